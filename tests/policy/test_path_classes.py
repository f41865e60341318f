"""Promises about changed paths: what a file means does not depend on how its path is spelt."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.policy import is_production, path_classes

PLAIN = {
    "ci": (
        ".github/workflows/build.yml",
        ".github/actions/x/action.yml",
        ".gitlab-ci.yml",
        "build/.gitlab-ci.common.yml",
        ".ci/run",
        "ci/steps.sh",
        "Jenkinsfile",
        "Jenkinsfile.release",
        "release.jenkinsfile",
        ".circleci/config.yml",
        ".buildkite/pipeline.yml",
        "buildkite.yaml",
        "azure-pipelines.yml",
        "azure-pipelines-nightly.yml",
        ".azure-pipelines/a.yml",
        "bitbucket-pipelines.yml",
        ".travis.yml",
        ".drone.yml",
        ".woodpecker.yml",
        ".tekton/push.yaml",
        "cloudbuild.yaml",
        ".pre-commit-config.yaml",
        "CODEOWNERS",
    ),
    "policy": ("policies/deny.yaml", "policy/x.json", "a/b/mine.cedar", "schema.cedarschema", "x/authz.rego"),
    "prompt": (
        "prompts/planner.md",
        "src/app/prompts/x.txt",
        "planner.prompt",
        "x.prompty",
        "system_prompt.txt",
    ),
    "agent": (
        "agents/planner.toml",
        "src/agents/x.py",
        "AGENTS.md",
        "CLAUDE.md",
        "a/b.agent.yaml",
        ".cursorrules",
    ),
    "production": (
        "k8s/service.yaml",
        "kubernetes/a.yaml",
        "terraform/main.tf",
        "net/main.tf",
        "vars.tfvars",
        "deploy/run.sh",
        "infra/x.yaml",
        "helm/values.yaml",
        "charts/a/Chart.yaml",
        "values-production.yaml",
        "config/prod.env",
        "env/production/app.yaml",
        ".env.production",
        "overlays/x/kustomization.yaml",
    ),
}
CASES = [(name, path) for name, paths in PLAIN.items() for path in paths]


def wide(text: str) -> str:
    """The same letters in their full-width forms, which NFKC makes plain again."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "}" else c for c in text)


def bold(text: str) -> str:
    """Capitals that have no lower case of their own until NFKC made them plain."""
    return "".join(chr(0x1D400 + ord(c) - 65) if "A" <= c <= "Z" else c for c in text.upper())


SPELLINGS: dict[str, Callable[[str], str]] = {
    "upper case": str.upper,
    "swapped case": str.swapcase,
    "dot slash": lambda path: "./" + path,
    "inner dot slash": lambda path: path.replace("/", "/./"),
    "doubled slash": lambda path: path.replace("/", "//"),
    "backslash": lambda path: path.replace("/", "\\"),
    "full width": wide,
    "bold capitals": bold,
    "zero width": "\u200c".join,
    "soft hyphen": lambda path: path[:2] + "\u00ad" + path[2:],
    "trailing dot": lambda path: path + ".",
    "trailing blank": lambda path: path + " ",
    "trailing slash": lambda path: path + "/",
    "dots on every segment": lambda path: path.replace("/", ". /") + ". .",
    "climbing": lambda path: "docs/../" + path,
}
NESTED = {name: paths for name, paths in PLAIN.items() if name != "policy"}


@pytest.mark.parametrize(("name", "path"), CASES)
def test_a_plain_path_is_met(name: str, path: str) -> None:
    assert name in path_classes((path,))
    assert "suspicious" not in path_classes((path,))


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_evades_a_class(spelling: str) -> None:
    evaded = [(name, path) for name, path in CASES if name not in path_classes((SPELLINGS[spelling](path),))]
    assert evaded == []


def test_depth_does_not_evade_a_class() -> None:
    nested = [(name, f"services/api/{path}") for name, paths in NESTED.items() for path in paths]
    assert [case for case in nested if case[0] not in path_classes((case[1],))] == []


def test_replacing_the_directory_itself_is_met() -> None:
    assert path_classes((".github", "prompts", "agents", "terraform")) == (
        "agent",
        "ci",
        "production",
        "prompt",
    )


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "./",
        "/etc/passwd",
        "\\\\server\\share",
        "C:\\x",
        "c:x",
        "../x",
        "a/../../x",
        "a/../b",
        "a\\..\\b",
        "~/x",
        "GITHUB~1/x",
        "a\0b",
        "a\nb",
        "a\u202eb",
        "a\ud800b",
        ".git/hooks/pre-commit",
        "sub/.git/config",
        ".GIT/config",
        ".g\u200cit/config",
        '"b/\\056github/workflows/x"',
        "Jenkinsfile::$DATA",
        "a/.../b",
        "x" * 4097,
    ],
)
def test_a_path_without_one_plain_meaning_is_suspicious(path: str) -> None:
    assert "suspicious" in path_classes((path,))


@pytest.mark.parametrize(
    "path",
    [
        "app/main.py",
        "tests/test_health.py",
        "README.md",
        "docs/über uns.md",
        ".gitignore",
        "src/circus/ring.py",
        "src/agenda.py",
        "src/policyholder.py",
        "src/reproduce.py",
        "src/product.py",
        "src/deployer.py",
        "src/prompting.py",
        "日本語.md",
    ],
)
def test_ordinary_files_have_no_class(path: str) -> None:
    assert path_classes((path,)) == ()


def test_the_classes_of_many_files_are_sorted_and_named_once() -> None:
    paths = ("prompts/a", "x.py", ".ci/run", "prompts/b", "/")
    assert path_classes(paths) == path_classes(paths[::-1]) == ("ci", "prompt", "suspicious")


@given(st.text(max_size=40))
def test_any_text_is_classified_without_an_error(path: str) -> None:
    assert set(path_classes((path,))) <= {"agent", "ci", "policy", "production", "prompt", "suspicious"}


@given(st.text(max_size=12), st.sampled_from(CASES))
def test_nothing_that_stands_before_a_segment_hides_it(prefix: str, case: tuple[str, str]) -> None:
    name, path = case
    met = path_classes((f"{prefix}/{path}",))
    assert name in met or "suspicious" in met or name == "policy"


@pytest.mark.parametrize(
    "label", ["production", "PROD", "prod-eu1", "eu_prod", wide("prod"), "prod2", "non-prod"]
)
def test_a_label_that_says_production_is_production(label: str) -> None:
    assert is_production("", label, "")


@pytest.mark.parametrize("label", ["", "staging", "products", "reproduction-lab", "preproduction", "local"])
def test_a_label_that_does_not_say_production_is_not(label: str) -> None:
    assert not is_production(label)
