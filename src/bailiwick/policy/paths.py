"""Path classes: what a changed file means (pipeline, policy, prompt, agent, production), however it is spelt."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

MAX_PATH = 4096
SUSPICIOUS = "suspicious"

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_ODD = re.compile(r'^~|~[0-9]|[:"*?<>|]|(^|/)\.git(/|$)')


def _segments(*names: str) -> str:
    return rf"(?:^|/)(?:{'|'.join(names)})(?:/|$)"


def _files(*names: str) -> str:
    return rf"(?:^|/)(?:{'|'.join(names)})$"


# Matched against the folded path: lower case, "/" between segments, no trailing dots or blanks. A directory's
# name counts in the last segment too, because replacing the directory by a link changes all below it.
_CLASSES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile("|".join(patterns)))
    for name, patterns in (
        (
            "agent",
            (
                _segments("agents?", r"\.agents?", r"\.claude", r"\.cursor", r"\.codex", r"\.windsurf"),
                _files(
                    r"agents?(\.override)?\.md",
                    r"claude(\.local)?\.md",
                    r"gemini\.md",
                    r"skill\.md",
                    r"\.cursorrules",
                    r"\.windsurfrules",
                    r"copilot-instructions\.md",
                    r"[^/]*\.agent\.(?:md|ya?ml|json|toml)",
                    r"\.mcp\.json",
                ),
            ),
        ),
        (
            "ci",
            (
                _segments(
                    r"\.github",
                    r"\.gitlab",
                    r"\.gitea",
                    r"\.forgejo",
                    r"\.?ci",
                    r"\.circleci",
                    r"\.buildkite",
                    r"\.azure-pipelines?",
                    r"azure-pipelines",
                    r"\.teamcity",
                    r"\.tekton",
                    r"\.semaphore",
                    r"\.woodpecker",
                    r"\.drone",
                    r"\.husky",
                    r"\.githooks",
                ),
                _files(
                    r"[^/]*\.gitlab-ci[^/]*",
                    r"[^/]*jenkinsfile[^/]*",
                    r"\.?azure-pipelines?[^/]*",
                    r"buildkite[^/]*\.(?:ya?ml|json|sh)",
                    r"bitbucket-pipelines\.ya?ml",
                    r"\.travis\.ya?ml",
                    r"\.drone\.(?:ya?ml|star|jsonnet)",
                    r"\.woodpecker[^/]*",
                    r"\.?appveyor\.ya?ml",
                    r"\.cirrus\.(?:ya?ml|star)",
                    r"cloudbuild[^/]*\.(?:ya?ml|json)",
                    r"buildspec[^/]*\.ya?ml",
                    r"\.pre-commit-config\.ya?ml",
                    r"codeowners",
                ),
            ),
        ),
        (
            "policy",
            (
                r"^(?:policy|policies)(?:/|$)",
                _segments(r"\.bailiwick"),
                _files(r"[^/]*\.(?:cedar|cedarschema|rego)", r"[^/]*\.cedar\.json"),
            ),
        ),
        (
            "production",
            (
                _segments(
                    "k8s",
                    "kubernetes",
                    "kustomize",
                    "manifests",
                    "overlays",
                    "helm",
                    "charts",
                    "terraform",
                    r"\.terraform",
                    "pulumi",
                    "ansible",
                    "deploy",
                    "deployments?",
                    "infra",
                    "infrastructure",
                    "prod",
                    "production",
                    r"\.?argocd",
                ),
                _files(
                    r"[^/]*\.(?:tf|tfvars|hcl)",
                    r"[^/]*\.tf(?:vars)?\.json",
                    r"(?:[^/]*[^a-z/])?(?:prod|production)(?:[^a-z/][^/]*)?",
                    r"chart\.ya?ml",
                    r"kustomization\.ya?ml",
                    r"helmfile\.ya?ml",
                    r"pulumi[^/]*\.ya?ml",
                    r"serverless\.ya?ml",
                    r"procfile",
                    r"fly\.toml",
                ),
            ),
        ),
        (
            "prompt",
            (
                _segments("prompts?", r"\.prompts?"),
                _files(r"[^/]*\.prompty?", r"[^/]*\.prompt\.[a-z]+", r"system[-_ ]?prompt[^/]*"),
            ),
        ),
    )
)
_PRODUCTION_LABEL = re.compile(r"(?<![a-z])(?:prod|production|prd)(?![a-z])")


def path_classes(paths: Sequence[str]) -> tuple[str, ...]:
    """Name what a set of changed files touches.

    Spelling does not matter: case, Unicode compatibility forms, backslashes, `./`, doubled slashes and
    trailing dots are folded away first. What cannot be folded to one meaning (absolute, `..`, hidden
    characters, drive letters, short names, inside `.git`, empty, over 4096 characters) is `suspicious`.

    Returns:
        The classes met, sorted, each once: agent, ci, policy, production, prompt, suspicious.
    """
    met: set[str] = set()
    for path in paths:
        met.update(_classes_of(path))
    return tuple(sorted(met))


def is_production(*labels: str) -> bool:
    """Tell whether a label of an environment says production (`prod`, `production`, `prd` as a word)."""
    return any(map(_says_production, labels))


@lru_cache(maxsize=1024)
def _says_production(label: str) -> bool:
    return bool(label) and _PRODUCTION_LABEL.search(_fold(label)) is not None


def _classes_of(path: str) -> set[str]:
    if not 0 < len(path) <= MAX_PATH:
        return {SUSPICIOUS}
    met = set()
    if not path.isascii() or not path.isprintable():
        if any(unicodedata.category(character) in _HIDDEN for character in path):
            met.add(SUSPICIOUS)
        # Hidden characters are dropped as some file systems drop them, so the class is met as well.
        path = "".join(c for c in path if unicodedata.category(c) not in _HIDDEN)
    spelt = _fold(path).replace("\\", "/")
    segments, climbs = _resolved(spelt)
    folded = "/".join(segments)
    # Behind a symbolic link ".." leads elsewhere than it reads, so it is never plain.
    if climbs or not all(segments) or not folded or spelt.startswith("/") or _ODD.search(folded):
        met.add(SUSPICIOUS)
    met.update(name for name, pattern in _CLASSES if pattern.search(folded))
    return met


def _resolved(path: str) -> tuple[list[str], bool]:
    segments: list[str] = []
    climbs = False
    for segment in path.split("/"):
        if segment == "..":
            climbs = True
            del segments[-1:]
        elif segment not in ("", "."):
            segments.append(segment.rstrip(". "))
    return segments, climbs


def _fold(text: str) -> str:
    if text.isascii():
        return text.lower()
    # Folding case can undo the composition, so it is normalised on both sides.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
