"""Forges: what a request to the API of GitHub, GitLab, Gitea, Bitbucket or Azure changes, read from its route and body."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote

from bailiwick.base import BadInput, parse_strict

CI, PRODUCTION, UNNAMED = "ci", "production", "unnamed"
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_DECODINGS = 4
_NAMES = frozenset(
    {"path", "file_path", "previous_path", "from_path", "old_path", "new_path", "filepath", "previouspath"}
)
_PATCHED = re.compile(
    r"^(?:\+\+\+ |--- |rename (?:from|to) |copy (?:from|to) )(?:[ab]/)?([^\t\n]+)", re.MULTILINE
)
_INLINE = re.compile(r'\b(?:path|filePath|previousPath)\s*:\s*"([^"\\]*)"')
_COMMITS = re.compile(r"\b(?:createCommitOnBranch|commitCreate)\b")
_LANDS = re.compile(
    r"\b(?:merge\w*|enablePullRequestAutoMerge|enqueuePullRequest|updateRefs?|deleteRef|mergeRequestAccept)\b"
)
_RUNS = re.compile(
    r"\b(?:pipeline\w*|job(?:Play|Retry)|ci[A-Z]\w*|runner\w*|\w*BranchProtection\w*|\w*Ruleset\w*)\s*\("
)
_DEPLOYS = re.compile(r"\b(?:createDeployment\w*|\w*Environment)\s*\(")

_REPO = r"(?:^|/)(?:repos/[^/]+/[^/]+|repositories/(?:\d+|[^/]+/[^/]+))/"
_PROJECT = r"(?:^|/)api/v\d+/projects/.+?/"


class Written(NamedTuple):
    """What a request changes: the files that it names, and what it means beyond them."""

    paths: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()


class _Route(NamedTuple):
    """A route that writes: its pattern, how its body names files ("json", "patch" or ""), what it means by itself."""

    pattern: re.Pattern[str]
    body: str = ""
    meaning: str = ""
    methods: frozenset[str] = frozenset()


def _route(text: str, *, body: str = "", meaning: str = "", methods: str = "") -> _Route:
    return _Route(re.compile(text, re.IGNORECASE), body, meaning, frozenset(methods.split()))


_ROUTES = (
    _route(_REPO + r"contents(?:/(?P<path>.*))?$", body="json"),
    _route(_REPO + r"git/trees$", body="json"),
    _route(_REPO + r"diffpatch$", body="patch"),
    _route(_REPO + r"src$", body="json"),
    _route(_REPO + r"git/refs(?:/|$)", meaning=UNNAMED, methods="PUT PATCH DELETE"),
    _route(_REPO + r"(?:merges|merge-upstream|pulls/\d+/merge|pullrequests/\d+/merge)$", meaning=UNNAMED),
    _route(_REPO + r"(?:actions|dispatches|pipelines(?:_config)?|hooks|keys|rulesets|branch_protections)(?:/|$)", meaning=CI),
    _route(_REPO + r"(?:branches/.+/protection|check-(?:runs|suites)/\d+/rerequest)(?:/|$)", meaning=CI),
    _route(_REPO + r"(?:deployments|environments)(?:/|$)", meaning=PRODUCTION),
    _route(r"(?:^|/)(?:orgs/[^/]+/actions|api/v\d+/groups/.+?/(?:variables|hooks)|api/v\d+/runners)(?:/|$)", meaning=CI),
    _route(r"(?:^|/)projects/.+?/repository/files/(?P<path>.+)$", body="json"),
    _route(r"(?:^|/)projects/.+?/repository/commits$", body="json"),
    _route(_PROJECT + r"repository/commits/[^/]+/(?:cherry_pick|revert)$", meaning=UNNAMED),
    _route(_PROJECT + r"merge_requests/\d+/merge$", meaning=UNNAMED),
    _route(
        _PROJECT + r"(?:pipelines?|trigger|triggers|pipeline_schedules|jobs|variables|runners|hooks|deploy_keys"
        r"|protected_branches|push_rule|approval_rules|approvals)(?:/|$)",
        meaning=CI,
    ),
    _route(_PROJECT + r"(?:deployments|environments|protected_environments)(?:/|$)", meaning=PRODUCTION),
    _route(r"/_apis/git/repositories/[^/]+/pushes$", body="json"),
    _route(r"/_apis/git/repositories/[^/]+/pullrequests/\d+$", meaning=UNNAMED, methods="PATCH"),
    _route(r"/_apis/(?:build|pipelines|release|distributedtask)(?:/|$)", meaning=CI),
    _route(r"/git-receive-pack$", meaning=UNNAMED),
)  # fmt: skip


def forge_writes(method: str, url_path: str, body: str) -> Written:
    """Read what a request changes in a repository, its pipelines or its deployments.

    Routes are known by their form, on whichever host, since forges are self-hosted; encodings, case and doubled
    slashes are folded away first. A change whose files the request does not name (a merge, a pushed pack, a body
    that cannot be read) is `unnamed`.

    Args:
        method: The HTTP method.
        url_path: The path of the address, as it is sent.
        body: The body; at most what the tool's contract lets through.
    """
    if method.upper() in _READS:
        return Written()
    paths: list[str] = []
    classes: list[str] = []
    for route_path in _readings(url_path):
        if re.search(r"(?:^|/)graphql$", route_path, re.IGNORECASE):
            told = _graphql(body)
            paths += told.paths
            classes += told.classes
        for route in _ROUTES:
            match = route.pattern.search(route_path)
            if match is None or (route.methods and method.upper() not in route.methods):
                continue
            named = [match["path"]] if match.groupdict().get("path") else []
            named += _named_in(body, route.body)
            paths += named
            classes += [route.meaning] if route.meaning else [] if named else [UNNAMED]
    return Written(tuple(sorted(set(paths))), tuple(sorted(set(classes))))


def _readings(url_path: str) -> Iterator[str]:
    """List what a path may mean to a server that decodes it once, or more often than it should."""
    seen = set()
    for _ in range(_DECODINGS):
        plain = re.sub(r"/{2,}", "/", url_path.replace("\\", "/")).rstrip("/")
        if plain not in seen:
            seen.add(plain)
            yield plain
        url_path = unquote(url_path, errors="replace")


def _named_in(body: str, form: str) -> list[str]:
    """List the files that a body names; none when it cannot be read in one way."""
    if not form:
        return []
    try:
        content = parse_strict(body.encode(errors="surrogatepass"))
    except BadInput:
        return []
    if form == "patch":
        patch = content.get("content") if isinstance(content, dict) else None
        return _PATCHED.findall(patch) if isinstance(patch, str) else []
    return list(_paths_in(content))


def _paths_in(value: Any) -> Iterator[str]:
    """Walk a value that the strict door let in, so of bounded depth."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name.lower() in _NAMES and isinstance(inner, str):
                yield inner
            else:
                yield from _paths_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _paths_in(inner)


def _graphql(body: str) -> Written:
    """Read a GraphQL request: what commits must name its files, in variables or in its text."""
    try:
        content = parse_strict(body.encode(errors="surrogatepass"))
    except BadInput:
        return Written((), (UNNAMED,))
    text = str(content.get("query", "")) if isinstance(content, dict) else ""
    if not isinstance(content, dict) or "query" not in content:
        return Written((), (UNNAMED,))  # a batch, or a document that only the server knows
    if "mutation" not in text:
        return Written()
    classes = [
        meaning
        for form, meaning in ((_LANDS, UNNAMED), (_RUNS, CI), (_DEPLOYS, PRODUCTION))
        if form.search(text)
    ]
    paths: list[str] = []
    if _COMMITS.search(text):
        paths = [*_paths_in(content.get("variables")), *_INLINE.findall(text)]
        classes += [] if paths else [UNNAMED]
    return Written(tuple(paths), tuple(classes))
