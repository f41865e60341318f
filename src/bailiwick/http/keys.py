"""Keys: who may call, with which role; make, list, revoke."""

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from bailiwick.http.documenting import answer, answers, takes
from bailiwick.http.governing import KeyPage, KeyView, NewKey, key_view
from bailiwick.http.intake import Body, Caller, Door, shaped
from bailiwick.policy import Role

router = APIRouter(tags=["keys"])


class KeyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose key it is, what it may do, and the approver groups it speaks for."""

    name: str
    role: Role
    groups: tuple[str, ...] = ()


class RevokeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Revoking takes no words."""


@router.get("/v1/keys", **answers(KeyPage))
async def list_keys(door: Door, caller: Caller) -> Response:
    """List the tenant's keys, revoked ones too."""
    return answer(KeyPage([key_view(key) for key in await door.keyring.list(caller)]))


@router.post(
    "/v1/keys",
    **answers(NewKey, 201, "The key; its secret is shown this once."),
    status_code=201,
    openapi_extra=takes(KeyBody),
)
async def create(door: Door, caller: Caller, body: Body) -> Response:
    """Make a key in the caller's tenant."""
    given = shaped(body, KeyBody)
    key, secret = await door.keyring.create(caller, name=given.name, role=given.role, groups=given.groups)
    return answer(NewKey(key_view(key), secret), 201, {"Location": "/v1/keys"})


@router.post("/v1/keys/{id}:revoke", **answers(KeyView), openapi_extra=takes(RevokeBody, required=False))
async def revoke(door: Door, caller: Caller, id: str, body: Body) -> Response:
    """End a key at once; its open streams end too."""
    shaped(body, RevokeBody)
    return answer(key_view(await door.keyring.revoke(caller, id)))
