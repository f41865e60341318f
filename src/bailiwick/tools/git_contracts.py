"""The contracts of the git tools."""

from typing import Any

from bailiwick.contract import Contract, EffectClass, ErrorCategory, Kind, WorkspaceUse

_DIGEST = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_COMMIT = {"type": "string", "pattern": "^([0-9a-f]{40}|[0-9a-f]{64})$"}
_COUNT = {"type": "integer", "minimum": 0}
_PATHS = {"type": "array", "items": {"type": "string"}}
_REPOSITORY = {
    "type": "string",
    "minLength": 1,
    "maxLength": 80,
    "description": "the name under which it is configured",
}


def _object(properties: dict[str, Any], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


SNAPSHOT = Contract(
    name="git.snapshot",
    version="1.0.0",
    kind=Kind.TOOL,
    effect=EffectClass.READ_ONLY,
    summary="Make the files of a commit the run's workspace",
    tags=("git", "workspace"),
    workspace=WorkspaceUse.WRITES,
    timeout_seconds=120,
    failure_modes=(ErrorCategory.TOOL_FAILED, ErrorCategory.TIMEOUT),
    input=_object(
        {
            "repository": _REPOSITORY,
            "ref": {
                "type": "string",
                "minLength": 1,
                "maxLength": 200,
                "description": "a branch, a tag, HEAD or a commit id",
            },
            "include": {
                "type": "array",
                "items": {"type": "string", "minLength": 1, "maxLength": 200},
                "minItems": 1,
                "maxItems": 50,
                "description": "globs; * stays inside a folder, ** does not; all files when left out",
            },
        },
        optional=("ref", "include"),
    ),
    output=_object(
        {
            "tree": _DIGEST,
            "base": _COMMIT,
            "files": _COUNT,
            "skipped": {
                "type": "array",
                "items": _object({"path": {"type": "string"}, "reason": {"type": "string"}}),
            },
            "skipped_total": _COUNT,
        }
    ),
)

DIFF = Contract(
    name="git.diff",
    version="1.0.0",
    kind=Kind.TOOL,
    effect=EffectClass.READ_ONLY,
    summary="Make the patch from a tree to the workspace as it is now",
    tags=("git", "workspace"),
    workspace=WorkspaceUse.READS,
    timeout_seconds=60,
    failure_modes=(ErrorCategory.TOOL_FAILED,),
    input=_object({"base": {**_DIGEST, "description": "the tree that git.snapshot returned"}}),
    output=_object(
        {
            "patch": _DIGEST,
            "text": {"type": "string"},
            "truncated": {"type": "boolean"},
            "paths": _PATHS,
            "added": _COUNT,
            "deleted": _COUNT,
        }
    ),
)

APPLY = Contract(
    name="git.apply",
    version="1.0.0",
    kind=Kind.TOOL,
    effect=EffectClass.IDEMPOTENT_WRITE,
    summary="Land a patch as one commit on a new branch",
    tags=("git",),
    permissions=("repository.write",),
    timeout_seconds=120,
    failure_modes=(
        ErrorCategory.TOOL_FAILED,
        ErrorCategory.REJECTED,
        ErrorCategory.TRANSIENT,
        ErrorCategory.TIMEOUT,
    ),
    trace_fields=("repository", "branch", "commit"),
    input=_object(
        {
            "repository": _REPOSITORY,
            "base": {**_COMMIT, "description": "the commit that the patch was made from"},
            "patch": {**_DIGEST, "description": "the artifact that git.diff returned"},
            "branch": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$"},
            "message": {"type": "string", "minLength": 1, "maxLength": 4000},
        }
    ),
    output=_object({"commit": _COMMIT, "branch": {"type": "string"}, "base": _COMMIT, "paths": _PATHS}),
)
