"""Tenants: for the deployment's operators; make, list, disable and enable them."""

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from bailiwick.http.documenting import answer, answers, takes
from bailiwick.http.governing import NewTenant, TenantPage, TenantView, key_view, tenant_view
from bailiwick.http.intake import Body, Caller, Door, shaped
from bailiwick.http.paging import MAX_LISTED, Cursor, Limit, link, page_of

router = APIRouter(tags=["tenants"])


class TenantBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the tenant is called: a-z, 0-9, `.`, `_` and `-`."""

    id: str


class TurnBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Disabling and enabling take no words."""


@router.get("/v1/tenants", **answers(TenantPage))
async def list_tenants(
    door: Door, caller: Caller, limit: Limit = MAX_LISTED, cursor: Cursor = ""
) -> Response:
    """List the deployment's tenants by id, disabled ones too."""
    shown, following = page_of(await door.tenancy.list(caller), lambda one: one.id, limit, cursor)
    page = TenantPage([tenant_view(one) for one in shown], following)
    return answer(page, 200, link("/v1/tenants", following, limit=limit))


@router.post(
    "/v1/tenants",
    **answers(NewTenant, 201, "The tenant, and the key of its first admin; the secret is shown this once."),
    status_code=201,
    openapi_extra=takes(TenantBody),
)
async def create(door: Door, caller: Caller, body: Body) -> Response:
    """Make a tenant with its first admin."""
    tenant, held, secret = await door.tenancy.create(caller, shaped(body, TenantBody).id)
    return answer(NewTenant(tenant_view(tenant), key_view(held), secret), 201, {"Location": "/v1/tenants"})


@router.post("/v1/tenants/{id}:disable", **answers(TenantView), openapi_extra=takes(TurnBody, required=False))
async def disable(door: Door, caller: Caller, id: str, body: Body) -> Response:
    """Refuse a tenant's keys and let nothing of it start; what runs stands still until it is enabled."""
    shaped(body, TurnBody)
    return answer(tenant_view(await door.tenancy.disable(caller, id)))


@router.post("/v1/tenants/{id}:enable", **answers(TenantView), openapi_extra=takes(TurnBody, required=False))
async def enable(door: Door, caller: Caller, id: str, body: Body) -> Response:
    """Let a disabled tenant work again."""
    shaped(body, TurnBody)
    return answer(tenant_view(await door.tenancy.enable(caller, id)))
