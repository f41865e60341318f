"""Standing path classes bite where a forge's API is written: by route and body, however both are spelt."""

import json
from typing import Any

import pytest
from policy_requests import bundle_with, request

from bailiwick.contract import Contract, EffectClass, Kind, WorkspaceUse
from bailiwick.policy import ActionRequest, VerdictKind, written_by

BUNDLE = bundle_with(
    '@id("own.web") @reason("r") permit (principal, action == Action::"tool.call", resource)'
    ' when { resource.name == "web.request" };'
)
WEB = Contract("web.request", "1.0.0", Kind.TOOL, EffectClass.EXTERNAL_ACTION, {}, {})
GH, GL, TEA = "/repos/acme/shop", "/api/v4/projects/acme%2Fshop", "/api/v1/repos/acme/shop"
CI = ".github/workflows/build.yml"


def asked(method: str, url_path: str, body: Any = None) -> ActionRequest:
    """A write over HTTP that policy would let go for its host and name."""
    text = body if isinstance(body, str) else json.dumps(body) if body is not None else ""
    facts = {"host": "forge.example", "method": method, "url_path": url_path}
    written = written_by(WEB, {"url": "u", "method": method, "body": text}, facts)
    return request(
        capability="web.request",
        effect=EffectClass.EXTERNAL_ACTION,
        paths=written.paths,
        classes=written.classes,
    )


DENIED = [
    ("PUT", f"{GH}/contents/{CI}", {"content": "eA==", "message": "m"}, "standing.pipelines"),
    ("DELETE", f"{GH}/contents/{CI}", {"sha": "x"}, "standing.pipelines"),
    ("put", f"/api/v3{GH}/contents/.GITHUB%2Fworkflows%2Fx.yml", {}, "standing.pipelines"),
    ("PUT", "/REPOS/acme/shop//Contents/%252Egithub/workflows/x.yml", {}, "standing.pipelines"),
    ("PUT", f"/repositories/42/contents/{CI}", {}, "standing.pipelines"),
    ("PUT", f"{GH}/contents/a/%2e%2e/x", {}, "standing.suspicious-path"),
    ("PUT", f"{GH}/contents/policies/deny.cedar", {}, "standing.policies"),
    ("PUT", f"{GH}/contents/AGENTS.md", {}, "standing.agents"),
    ("PUT", f"{GH}/contents/terraform/main.tf", {}, "standing.production-files"),
    ("POST", f"{GH}/git/trees", {"tree": [{"path": "a.py"}, {"path": CI, "sha": "1"}]}, "standing.pipelines"),
    ("POST", f"{GH}/git/trees", {"tree": [{"path": ".github", "type": "tree"}]}, "standing.pipelines"),
    ("POST", f"{GH}/git/trees", '{"tree": [{"path": ".github/x", "path": "a.py"}]}', "standing.unnamed-change"),
    ("PATCH", f"{GH}/git/refs/heads/main", {"sha": "1"}, "standing.unnamed-change"),
    ("PUT", f"{GH}/pulls/7/merge", {}, "standing.unnamed-change"),
    ("POST", f"{GH}/merges", {"base": "main", "head": "x"}, "standing.unnamed-change"),
    ("POST", f"{GH}/actions/workflows/build.yml/dispatches", {"ref": "main"}, "standing.pipelines"),
    ("POST", f"{GH}/actions/runs/1/rerun", None, "standing.pipelines"),
    ("POST", f"{GH}/dispatches", {"event_type": "x"}, "standing.pipelines"),
    ("PUT", f"{GH}/actions/secrets/TOKEN", {}, "standing.pipelines"),
    ("PUT", f"{GH}/branches/main/protection", {}, "standing.pipelines"),
    ("POST", f"{GH}/hooks", {}, "standing.pipelines"),
    ("POST", f"{GH}/deployments", {}, "standing.production-files"),
    ("POST", f"{TEA}/contents/{CI}", {}, "standing.pipelines"),
    ("POST", f"{TEA}/contents", {"files": [{"path": CI, "operation": "create"}]}, "standing.pipelines"),
    ("POST", f"{TEA}/contents", {"files": [{"path": "a", "from_path": CI}]}, "standing.pipelines"),
    ("POST", f"{TEA}/contents", {"files": []}, "standing.unnamed-change"),
    ("POST", f"{TEA}/diffpatch", {"content": f"--- a/{CI}\n+++ b/{CI}\n"}, "standing.pipelines"),
    ("POST", f"{TEA}/diffpatch", {"content": "diff --git a/x b/y\nrename to .gitea/x.yml\n"}, "standing.pipelines"),
    ("POST", f"{TEA}/pulls/1/merge", {}, "standing.unnamed-change"),
    ("PUT", f"{GL}/repository/files/%2Egitlab-ci%2Eyml", {}, "standing.pipelines"),
    ("POST", f"{GL}/repository/files/ci%2Fbuild.yml", {}, "standing.pipelines"),
    ("POST", f"{GL}/repository/commits", {"actions": [{"file_path": ".gitlab-ci.yml"}]}, "standing.pipelines"),
    (
        "POST",
        f"{GL}/repository/commits",
        {"actions": [{"file_path": "a", "previous_path": ".gitlab-ci.yml"}]},
        "standing.pipelines",
    ),
    ("POST", f"{GL}/repository/commits", "actions[][file_path]=.gitlab-ci.yml", "standing.unnamed-change"),
    ("PUT", f"{GL}/merge_requests/3/merge", None, "standing.unnamed-change"),
    ("POST", f"{GL}/pipeline", {"ref": "main"}, "standing.pipelines"),
    ("POST", f"{GL}/trigger/pipeline", {"token": "t"}, "standing.pipelines"),
    ("POST", f"{GL}/jobs/1/play", None, "standing.pipelines"),
    ("PUT", f"{GL}/variables/TOKEN", {}, "standing.pipelines"),
    ("POST", "/2.0/repositories/acme/shop/src", "x", "standing.unnamed-change"),
    ("POST", "/2.0/repositories/acme/shop/pipelines/", {}, "standing.pipelines"),
    ("POST", "/acme/p/_apis/git/repositories/r/pushes", {"item": {"path": "/azure-pipelines.yml"}}, "standing.pipelines"),
    ("POST", "/acme/shop.git/git-receive-pack", "0000", "standing.unnamed-change"),
    ("POST", "/graphql", {"query": "mutation { mergePullRequest(input: {}) { x } }"}, "standing.unnamed-change"),
    ("POST", "/api/graphql", {"query": "mutation { pipelineCreate(input: {}) { x } }"}, "standing.pipelines"),
    (
        "POST",
        "/graphql",
        {
            "query": "mutation ($i: X!) { createCommitOnBranch(input: $i) { x } }",
            "variables": {"i": {"fileChanges": {"additions": [{"path": CI}]}}},
        },
        "standing.pipelines",
    ),
    (
        "POST",
        "/graphql",
        {"query": f'mutation {{ commitCreate(input: {{actions: [{{filePath: "{CI}"}}]}}) {{ x }} }}'},
        "standing.pipelines",
    ),
    ("POST", "/graphql", [{"query": "mutation { mergePullRequest }"}], "standing.unnamed-change"),
]  # fmt: skip
FREE = [
    ("GET", f"{GH}/contents/{CI}", None),
    ("HEAD", f"{GH}/actions/runs", None),
    ("PUT", f"{GH}/contents/app/main.py", {"content": "eA=="}),
    ("POST", f"{GH}/pulls", {"title": "t", "head": "x", "base": "main"}),
    ("POST", f"{GH}/issues/1/comments", {"body": "run .github/workflows"}),
    ("POST", f"{GH}/git/refs", {"ref": "refs/heads/x", "sha": "1"}),
    ("POST", f"{GL}/merge_requests", {"title": "t"}),
    ("POST", f"{GL}/repository/commits", {"actions": [{"file_path": "app/main.py"}]}),
    ("POST", "/graphql", {"query": "{ viewer { login } }"}),
    ("POST", "/graphql", {"query": "mutation { addComment(input: {}) { x } }"}),
    ("POST", "/v1/orders", {"path": ".github/workflows/x.yml"}),
]


@pytest.mark.parametrize(("method", "url_path", "body", "policy"), DENIED)
def test_a_protected_change_through_a_forge_is_denied(
    method: str, url_path: str, body: Any, policy: str
) -> None:
    verdict = BUNDLE.decide(asked(method, url_path, body))
    assert verdict.effect is VerdictKind.DENY
    assert policy in verdict.policies


@pytest.mark.parametrize(("method", "url_path", "body"), FREE)
def test_reading_and_what_changes_no_protected_file_is_free(method: str, url_path: str, body: Any) -> None:
    assert BUNDLE.decide(asked(method, url_path, body)).effect is VerdictKind.ALLOW


@pytest.mark.parametrize(
    ("arguments", "paths"),
    [
        ({"path": CI, "text": "x"}, (CI,)),
        ({"paths": ["a", CI]}, ("a", CI)),
        ({"from": "a", "to": CI}, ("a", CI)),
        ({"files": [{"path": CI, "text": "x"}]}, (CI,)),
        ({"files": {CI: "x"}}, (CI,)),
    ],
)
def test_a_tool_that_changes_the_workspace_names_its_files(
    arguments: dict[str, Any], paths: tuple[str, ...]
) -> None:
    tool = Contract(
        "files.any", "1.0.0", Kind.TOOL, EffectClass.READ_ONLY, {}, {}, workspace=WorkspaceUse.WRITES
    )
    assert sorted(written_by(tool, arguments, {}).paths) == sorted(paths)
