"""Identities: who may act in the tenant; make, list, change, disable and enable them."""

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from bailiwick.http.documenting import answer, answers, takes
from bailiwick.http.governing import IdentityPage, IdentityView, identity_view
from bailiwick.http.intake import Body, Caller, Door, shaped
from bailiwick.http.paging import MAX_LISTED, Cursor, Limit, link, page_of
from bailiwick.http.refusals import InvalidBody
from bailiwick.policy import Role

router = APIRouter(tags=["identities"])


class IdentityBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A name of a-z, 0-9, `.`, `_` and `-` that nobody had, a person or a service, what it may do, and its groups."""

    name: str
    role: Role
    groups: tuple[str, ...] = ()
    kind: str = "person"


class ChangeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of it: another role, other groups (all of them), or both; null leaves it as it is."""

    role: Role | None = None
    groups: tuple[str, ...] | None = None


class TurnBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Disabling and enabling take no words."""


@router.get("/v1/identities", **answers(IdentityPage))
async def list_identities(
    door: Door, caller: Caller, limit: Limit = MAX_LISTED, cursor: Cursor = ""
) -> Response:
    """List the tenant's identities by name, disabled ones too."""
    shown, following = page_of(await door.identities.list(caller), lambda one: one.name, limit, cursor)
    page = IdentityPage([identity_view(one) for one in shown], following)
    return answer(page, 200, link("/v1/identities", following, limit=limit))


@router.post(
    "/v1/identities",
    **answers(IdentityView, 201, "The identity; it has no key yet."),
    status_code=201,
    openapi_extra=takes(IdentityBody),
)
async def create(door: Door, caller: Caller, body: Body) -> Response:
    """Make an identity in the caller's tenant, without a key."""
    given = shaped(body, IdentityBody)
    made = await door.identities.create(
        caller, name=given.name, role=given.role, groups=given.groups, kind=given.kind
    )
    return answer(identity_view(made), 201, {"Location": "/v1/identities"})


@router.post("/v1/identities/{id}:change", **answers(IdentityView), openapi_extra=takes(ChangeBody))
async def change(door: Door, caller: Caller, id: str, body: Body) -> Response:
    """Give an identity (its name or id) another role or other groups; its keys act by them at once."""
    given = shaped(body, ChangeBody)
    if given.role is None and given.groups is None:
        raise InvalidBody("", "say `role`, `groups` or both")
    changed = await door.identities.change(caller, id, role=given.role, groups=given.groups)
    return answer(identity_view(changed))


@router.post(
    "/v1/identities/{id}:disable", **answers(IdentityView), openapi_extra=takes(TurnBody, required=False)
)
async def disable(door: Door, caller: Caller, id: str, body: Body) -> Response:
    """Refuse all keys of an identity at once; its name stays taken."""
    shaped(body, TurnBody)
    return answer(identity_view(await door.identities.disable(caller, id)))


@router.post(
    "/v1/identities/{id}:enable", **answers(IdentityView), openapi_extra=takes(TurnBody, required=False)
)
async def enable(door: Door, caller: Caller, id: str, body: Body) -> Response:
    """Let a disabled identity act again."""
    shaped(body, TurnBody)
    return answer(identity_view(await door.identities.enable(caller, id)))
