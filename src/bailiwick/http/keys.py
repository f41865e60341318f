"""Keys: who may call; make one for an identity (a new one, or one that is there), list, revoke."""

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from bailiwick.base import Instant, parse_instant
from bailiwick.http.documenting import answer, answers, takes
from bailiwick.http.governing import KeyPage, KeyView, NewKey, key_view
from bailiwick.http.intake import Body, Caller, Door, shaped
from bailiwick.http.paging import MAX_LISTED, Cursor, Limit, link, page_of
from bailiwick.http.refusals import InvalidBody
from bailiwick.policy import Role

router = APIRouter(tags=["keys"])


class KeyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key for an `identity` that is there (its name or id), or for a new one: `name`, `role`, `groups` and `kind`.

    `expires_at` is RFC 3339, "" for a key that never expires.
    """

    identity: str = ""
    name: str = ""
    role: Role | None = None
    groups: tuple[str, ...] = ()
    kind: str = "person"
    expires_at: str = ""


class RevokeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Revoking takes no words."""


@router.get("/v1/keys", **answers(KeyPage))
async def list_keys(door: Door, caller: Caller, limit: Limit = MAX_LISTED, cursor: Cursor = "") -> Response:
    """List the tenant's keys, revoked ones too, by id."""
    views = [key_view(held) for held in await door.keyring.list(caller)]
    shown, following = page_of(views, lambda view: view.id, limit, cursor)
    return answer(KeyPage(list(shown), following), 200, link("/v1/keys", following, limit=limit))


@router.post(
    "/v1/keys",
    **answers(NewKey, 201, "The key; its secret is shown this once."),
    status_code=201,
    openapi_extra=takes(KeyBody),
)
async def create(door: Door, caller: Caller, body: Body) -> Response:
    """Make a key in the caller's tenant: for an identity that is there, or with a new one whose name nobody had."""
    given = shaped(body, KeyBody)
    expires_at = parse_instant(given.expires_at) if given.expires_at else Instant(0)
    if given.identity:
        if given.name or given.role is not None or given.groups:
            raise InvalidBody("/identity", "an identity that is there keeps its name, role and groups")
        held, secret = await door.keyring.mint(caller, given.identity, expires_at)
    elif given.role is None:
        raise InvalidBody("", "Object missing required field `role`")
    else:
        held, secret = await door.keyring.create(
            caller,
            name=given.name,
            role=given.role,
            groups=given.groups,
            kind=given.kind,
            expires_at=expires_at,
        )
    return answer(NewKey(key_view(held), secret), 201, {"Location": "/v1/keys"})


@router.post("/v1/keys/{id}:revoke", **answers(KeyView), openapi_extra=takes(RevokeBody, required=False))
async def revoke(door: Door, caller: Caller, id: str, body: Body) -> Response:
    """End a key at once; its open streams end too."""
    shaped(body, RevokeBody)
    return answer(key_view(await door.keyring.revoke(caller, id)))
