"""The kind `http.openapi`, against a real server with right and wrong documents."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.domain.check import Evidence, Outcome, Secret
from tests.checking import examine, make_context
from tests.servers.shop import Shop, make_token, serving

ITEM = {
    "type": "object",
    "required": ["id", "name"],
    "properties": {"id": {"type": "integer"}, "name": {"type": "string"}},
}
PROBLEM = {
    "description": "what is wrong",
    "content": {"application/problem+json": {"schema": {"type": "object", "required": ["title"]}}},
}
DOCUMENT: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Shop", "version": "1"},
    "servers": [{"url": "https://shop.example.com/"}],
    "paths": {
        "/items": {
            "get": {
                "operationId": "listItems",
                "parameters": [{"name": "q", "in": "query", "schema": {"type": "string"}}],
                "responses": {
                    "200": {
                        "description": "items",
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "object",
                                    "properties": {
                                        "items": {
                                            "type": "array",
                                            "items": {"$ref": "#/components/schemas/Item"},
                                        }
                                    },
                                }
                            }
                        },
                    }
                },
            },
            "post": {"responses": {"201": {"description": "added"}}},
        },
        "/items/{id}": {
            "parameters": [
                {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}, "example": 1}
            ],
            "get": {
                "operationId": "getItem",
                "responses": {
                    "200": {
                        "description": "item",
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Item"}}},
                    },
                    "4XX": {"$ref": "#/components/responses/Problem"},
                },
            },
        },
        "/me": {
            "get": {
                "responses": {
                    "200": {"description": "claims"},
                    "401": {"$ref": "#/components/responses/Problem"},
                }
            }
        },
    },
    "components": {"schemas": {"Item": ITEM}, "responses": {"Problem": PROBLEM}},
}


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Shop, str]]:
    shop = Shop()
    with serving(shop.app) as url:
        yield shop, url


@pytest.fixture
def shop(running: tuple[Shop, str]) -> Shop:
    running[0].openapi = copy.deepcopy(DOCUMENT)
    running[0].asked.clear()
    return running[0]


@pytest.fixture
def url(running: tuple[Shop, str], shop: Shop) -> str:
    return running[1]


async def openapi(base: str, path: str = "/openapi.json", *, root: Path = Path(), **params: Any) -> Evidence:
    given = {"url": f"{base}{path}", "bearer": Secret("token", make_token()), **params}
    return await examine("http.openapi", given, context=make_context(root=root))


async def test_an_api_that_answers_as_documented_passes(url: str, shop: Shop) -> None:
    evidence = await openapi(url, parameters={"q": "red"})
    assert evidence.outcome is Outcome.PASS, evidence.reason + evidence.excerpt
    assert evidence.values["exercised_share"] == 1
    assert evidence.values["operations"] == 4
    assert shop.asked == ["GET /openapi.json", "GET /items?q=red", "GET /items/1", "GET /me"]


async def test_an_answer_that_is_not_as_its_schema_says_fails(url: str, shop: Shop) -> None:
    shop.openapi["components"]["schemas"]["Item"] = {**ITEM, "required": ["id", "name", "price"]}
    evidence = await openapi(url)
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["mismatches"] == 2
    assert "'price' is a required property" in evidence.excerpt


async def test_an_answer_of_another_content_type_fails(url: str, shop: Shop) -> None:
    content = {"application/xml": {"schema": {"type": "object"}}}
    shop.openapi["paths"]["/me"]["get"]["responses"]["200"]["content"] = content
    assert (await openapi(url)).outcome is Outcome.FAIL


async def test_a_status_the_document_does_not_have_fails(url: str, shop: Shop) -> None:
    del shop.openapi["paths"]["/items/{id}"]["get"]["responses"]["4XX"]
    evidence = await openapi(url, parameters={"getItem.id": 99})
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["undocumented"] == 1


async def test_a_documented_5xx_fails_all_the_same(url: str, shop: Shop) -> None:
    shop.openapi["paths"]["/status/500"] = {"get": {"responses": {"500": {"description": "breaks"}}}}
    evidence = await openapi(url)
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["server_errors"] == 1


async def test_a_documented_refusal_does_not_count_as_exercised(url: str) -> None:
    evidence = await openapi(url, bearer=None)
    assert evidence.outcome is Outcome.WARN
    assert evidence.values["exercised_share"] == pytest.approx(2 / 3, abs=0.001)


async def test_operations_without_a_sample_lower_the_share_and_warn(url: str, shop: Shop) -> None:
    del shop.openapi["paths"]["/items/{id}"]["parameters"][0]["example"]
    evidence = await openapi(url)
    assert evidence.outcome is Outcome.WARN
    assert "no sample for id" in evidence.excerpt


async def test_a_document_without_get_operations_is_unknown(url: str, shop: Shop) -> None:
    shop.openapi["paths"] = {"/items": {"post": {"responses": {"201": {"description": "added"}}}}}
    assert (await openapi(url)).outcome is Outcome.UNKNOWN


async def test_an_invalid_document_fails_and_nothing_is_called(url: str, shop: Shop) -> None:
    del shop.openapi["info"]["title"]
    shop.openapi["paths"]["/items/{id}"]["get"]["responses"]["200"]["content"]["application/json"] = {
        "schema": {"$ref": "#/components/schemas/Nothing"}
    }
    evidence = await openapi(url)
    assert evidence.outcome is Outcome.FAIL
    assert evidence.values["problems"]
    assert shop.asked == ["GET /openapi.json"]


async def test_a_document_that_refers_elsewhere_is_unknown_and_nothing_else_is_fetched(
    url: str, shop: Shop
) -> None:
    shop.openapi["components"]["schemas"]["Item"] = {"$ref": f"{url}/page"}
    evidence = await openapi(url)
    assert evidence.outcome is Outcome.UNKNOWN
    assert shop.asked == ["GET /openapi.json"]


async def test_no_document_at_all_is_an_error_and_none_served_fails(url: str) -> None:
    assert (await openapi(url, "/items")).outcome is Outcome.ERROR
    assert (await openapi(url, "/nothing")).outcome is Outcome.FAIL


async def test_the_served_document_equals_the_committed_one(url: str, tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps(DOCUMENT))
    evidence = await openapi(url, root=tmp_path, file="openapi.json", exercise=False)
    assert evidence.outcome is Outcome.PASS, evidence.reason


async def test_an_operation_that_is_not_committed_fails(url: str, shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps(DOCUMENT))
    shop.openapi["paths"]["/orders"] = {"get": {"responses": {"200": {"description": "orders"}}}}
    evidence = await openapi(url, root=tmp_path, file="openapi.json", exercise=False)
    assert evidence.outcome is Outcome.FAIL
    assert "not committed  GET /orders" in evidence.excerpt


async def test_a_committed_yaml_document_is_validated_by_itself(tmp_path: Path) -> None:
    (tmp_path / "api.yaml").write_text(
        "openapi: 3.1.0\ninfo: {title: Shop, version: '1'}\n"
        "paths:\n  /items:\n    get:\n      responses:\n        200: {description: items}\n"
    )
    params = {"file": "api.yaml", "exercise": False}
    evidence = await examine("http.openapi", params, context=make_context(root=tmp_path))
    assert evidence.outcome is Outcome.PASS, evidence.excerpt


async def test_a_file_outside_the_root_is_an_error(tmp_path: Path) -> None:
    params = {"file": "../../etc/passwd", "exercise": False}
    evidence = await examine("http.openapi", params, context=make_context(root=tmp_path))
    assert evidence.outcome is Outcome.ERROR
