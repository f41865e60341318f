"""Documenting: what the routes take and answer, said in OpenAPI 3.1 from the very shapes that are encoded."""

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.responses import Response

from bailiwick.http.problems import MEDIA_TYPE, Problem

_REF = "#/components/schemas/{name}"
SECURITY = "apiKey"
DESCRIPTION = (
    "The control plane of Bailiwick: runs, approvals, halts, keys and the audit log of one tenant, which is the "
    "tenant of the key. Money is whole micro-USD with the same amount as decimal text beside it; instants are "
    "RFC 3339 in UTC. Whatever is refused is an application/problem+json with code, facts and remedy."
)

_shapes: dict[str, type[msgspec.Struct]] = {}


def answer(shape: msgspec.Struct, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer with a shape as JSON."""
    return Response(msgspec.json.encode(shape), status, headers, "application/json")


def answers(shape: type[msgspec.Struct], status: int = 200, description: str = "Done.") -> dict[str, Any]:
    """Say that a route answers with a shape; the keywords of a FastAPI route."""
    content = {"application/json": {"schema": _reference(shape)}}
    return _route({status: {"description": description, "content": content}})


def answers_bytes(media_type: str, description: str) -> dict[str, Any]:
    """Say that a route answers with bytes."""
    return _route({200: {"description": description, "content": {media_type: {"schema": {}}}}})


def takes(shape: type[msgspec.Struct], *, required: bool = True) -> dict[str, Any]:
    """Say that a route takes a JSON body of a shape."""
    body = {"required": required, "content": {"application/json": {"schema": _reference(shape)}}}
    return {"requestBody": body}


def needs_idempotency_key() -> dict[str, Any]:
    """Say that a route needs an Idempotency-Key."""
    return {
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": True,
                "schema": {"type": "string", "minLength": 1, "maxLength": 255},
                "description": "Your own name for this request; a repeat with the same key makes nothing new.",
            }
        ]
    }


def _reference(shape: type[msgspec.Struct]) -> dict[str, str]:
    _shapes[shape.__name__] = shape
    return {"$ref": _REF.format(name=shape.__name__)}


def _route(responses: dict[int | str, Any]) -> dict[str, Any]:
    problem = {"description": "Refused.", "content": {MEDIA_TYPE: {"schema": _reference(Problem)}}}
    return {
        "responses": {**responses, "default": problem},
        "response_model": None,
        "response_class": Response,
    }


def install(app: FastAPI, *, version: str, bare: dict[str, Any]) -> None:
    """Make the application's document once; `bare` are the paths of routes that the framework cannot describe."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title="Bailiwick",
                version=version,
                openapi_version="3.1.0",
                description=DESCRIPTION,
                routes=app.routes,
            )
            for path, operations in bare.items():
                made["paths"].setdefault(path, {}).update(operations)
            _, components = msgspec.json.schema_components(_shapes.values(), ref_template=_REF)
            made.setdefault("components", {}).setdefault("schemas", {}).update(components)
            made["servers"] = [{"url": "/", "description": "this server"}]
            made["components"]["securitySchemes"] = {SECURITY: {"type": "http", "scheme": "bearer"}}
            _secure(made["paths"])
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _secure(paths: dict[str, Any]) -> None:
    for path, operations in paths.items():
        for operation in operations.values():
            operation["security"] = [{SECURITY: []}] if path.startswith("/v1/") else []
