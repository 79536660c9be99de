"""The OpenAPI document says everything about every operation."""

from typing import Any

import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from bailiwick.api.access import Needs, query_names
from bailiwick.api.doorkeeper import is_open
from bailiwick.identity.people.permissions import OPERATIONS as OPERATIONS_TABLE
from bailiwick.kernel.errors import InternalError
from tests.support.api import Operation, operations, unserved_app

APP = unserved_app()
DOCUMENT = APP.openapi()
OPERATIONS = list(operations(APP))
SUCCESS = ("200", "201", "204", "303")
every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return DOCUMENT["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def has_example(schema: dict[str, Any]) -> bool:
    if "example" in schema or "examples" in schema:
        return True
    schema = resolved(schema)
    options = schema.get("anyOf", []) + schema.get("allOf", [])
    if any(has_example(option) for option in options):
        return True
    parts = [*schema.get("properties", {}).values(), schema.get("items", {})]
    return any(has_example(part) for part in parts if part)


def test_every_route_is_described() -> None:
    described = {(operation.path, operation.method.upper()) for operation in OPERATIONS}
    routed = {
        (context.path_format, method)
        for context in iter_route_contexts(APP.routes)
        for method in context.methods or ()
        if context.path_format != "/api/v1/openapi.json" and method != "HEAD"
    }
    assert routed == described


def test_an_operation_takes_the_query_it_describes() -> None:
    described = {
        (operation.path, operation.method.upper()): {
            parameter["name"] for parameter in operation.described.get("parameters", []) if parameter["in"] == "query"
        }
        for operation in OPERATIONS
    }
    taken = {
        (context.path_format, method): query_names(context.original_route.dependant)
        for context in iter_route_contexts(APP.routes)
        for method in context.methods or ()
        if isinstance(context.original_route, APIRoute)
    }
    assert taken == described


def test_names_are_unique() -> None:
    names = [operation.name for operation in OPERATIONS]
    assert len(set(names)) == len(names)


@every_operation
def test_an_operation_says_what_it_does(operation: Operation) -> None:
    assert operation.described["summary"]
    assert operation.described["description"].strip()
    assert operation.described["tags"]


def test_the_table_of_permissions_names_every_operation_and_no_other() -> None:
    # These answer without standing in the document.
    beside = {"get_openapi", "show_setup", "show_invitation", "show_password"}
    assert {operation.name for operation in OPERATIONS} | beside == set(OPERATIONS_TABLE) | beside


@every_operation
def test_an_operation_needs_a_key_unless_it_is_open(operation: Operation) -> None:
    is_for_all = is_open(operation.path)
    browser = {"session": []} if operation.method == "get" else {"session": [], "csrf": []}
    assert operation.described["security"] == ([] if is_for_all else [{"key": []}, {"token": []}, browser])
    assert is_for_all or {"401", "403"} <= set(operation.described["responses"])


@every_operation
def test_an_operation_says_the_permission_of_the_table(operation: Operation) -> None:
    assert operation.described["x-permission"] == OPERATIONS_TABLE[operation.name]


def test_only_what_the_doorkeeper_opens_needs_no_permission() -> None:
    declared_open = {operation.path for operation in OPERATIONS if operation.described["x-permission"] == "open"}
    assert declared_open == {operation.path for operation in OPERATIONS if is_open(operation.path)}


def test_an_operation_with_an_unknown_permission_cannot_be_made() -> None:
    with pytest.raises(InternalError, match="tasks:juggle"):
        Needs("tasks:juggle")


@every_operation
def test_an_operation_describes_its_answers(operation: Operation) -> None:
    responses = operation.described["responses"]
    good = [code for code in responses if code in SUCCESS]
    assert good
    for code in good:
        for media, content in responses[code].get("content", {}).items():
            assert media != "application/json" or content["schema"], code
            assert "example" in content or has_example(content["schema"]), code
    assert {"422", "500", "503"} <= set(responses)
    for code, response in responses.items():
        if code.startswith(("4", "5")) and operation.name != "get_readiness":
            assert response["content"] == {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            }, code


@every_operation
def test_an_operation_describes_what_it_takes(operation: Operation) -> None:
    for parameter in operation.described.get("parameters", []):
        assert parameter.get("description"), parameter["name"]
        assert "examples" in parameter["schema"] or "example" in parameter, parameter["name"]
    body = operation.described.get("requestBody")
    if body is not None:
        for content in body["content"].values():
            assert "example" in content or has_example(content["schema"])


def test_every_field_is_described() -> None:
    silent = [
        f"{name}.{field}"
        for name, schema in DOCUMENT["components"]["schemas"].items()
        for field, described in schema.get("properties", {}).items()
        if not described.get("description") and "$ref" not in described
    ]
    assert silent == []
    nameless = [name for name, schema in DOCUMENT["components"]["schemas"].items() if not schema.get("description")]
    assert nameless == []


def test_listings_are_pages() -> None:
    for operation in OPERATIONS:
        if operation.name.startswith("list_"):
            schema = resolved(operation.described["responses"]["200"]["content"]["application/json"]["schema"])
            assert {"items", "next_cursor"} <= set(schema["properties"]), operation.name
