"""The reference of the API: everything that the document has, for everybody."""

import shlex
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient

from app.api.openapi.failures import FAILURES
from app.api.openapi.views import document_of
from app.event_types import EVENT_TYPES
from app.ui.reference_parts import Piece, fields_of, groups_of, limits_of, pieces_of
from app.ui.security import POLICY
from tests.ui.conftest import Pages, text_of

pytestmark = pytest.mark.sqlite_only

BASE = "https://hookline.example.com"


def test_it_has_every_operation_type_payload_and_error_and_each_link_leads_somewhere(
    app: Flask, client: FlaskClient
) -> None:
    answer = client.get("/openapi")
    assert answer.headers["Content-Security-Policy"] == POLICY
    page = BeautifulSoup(answer.text, "html5lib")
    ids = {part["id"] for part in page.find_all(id=True)}
    document = document_of(app).content
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    assert {operation["operationId"] for operation in operations} <= ids
    assert {f"payload-{name}" for name in EVENT_TYPES} <= ids
    assert {f"type-{name}" for name in document["components"]["schemas"]} <= ids
    assert {str(link["href"])[1:] for link in page.select('a[href^="#"]')} <= ids
    assert all(str(failure.code) in text_of(page.select_one("#errors ~ table")) for failure in FAILURES)
    assert not page.select("[style], style, script:not([src])")


def test_who_is_logged_in_keeps_the_menu_and_anyone_finds_it_from_the_foot(
    log_in: Callable[..., Pages], client: FlaskClient
) -> None:
    page = log_in("repo-manager").visit("/openapi")
    assert page.select_one("nav.menu a[href='/webhooks']")
    anybodys = BeautifulSoup(client.get("/login").text, "html5lib")
    assert anybodys.select_one("footer a[href='/openapi']")
    assert not BeautifulSoup(client.get("/openapi").text, "html5lib").select("nav.menu")


def test_its_frame_is_there_in_chinese(client: FlaskClient) -> None:
    page = BeautifulSoup(client.get("/openapi", headers={"Accept-Language": "zh"}).text, "html5lib")
    assert text_of(page.h1) == "API 参考"


def test_commands_can_be_run_as_they_are(app: Flask) -> None:
    groups = groups_of(document_of(app).content, BASE)
    commands = {
        operation.id: shlex.split(operation.command.replace("\\\n", ""))
        for group in groups
        for operation in group.operations
    }
    assert commands["getHealth"] == ["curl", "--request", "GET", f"{BASE}/healthz"]
    assert commands["deleteWebhook"][1:3] == ["--user", "$HOOKLINE_USER:$HOOKLINE_PASSWORD"]
    assert commands["listJobs"][-1].startswith(f"{BASE}/webhook/api/delivery/job/list?webHookId=0")
    assert commands["createWebhook"][-4:-1] == ["--header", "Content-Type: application/json", "--data"]
    assert not any("{" in word for command in commands.values() for word in command if word.startswith("http"))


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "string"}, [Piece("string")]),
        ({}, [Piece("any")]),
        ({"const": 0}, [Piece("0")]),
        ({"enum": ["a", "b"]}, [Piece('"a" | "b"')]),
        ({"$ref": "#/components/schemas/Node"}, [Piece("Node", is_link=True)]),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, [Piece("string"), Piece(" | "), Piece("null")]),
        ({"type": "array", "items": {"$ref": "#/x/User"}}, [Piece("list of "), Piece("User", is_link=True)]),
        ({"type": "object", "additionalProperties": {"type": "string"}}, [Piece("object of "), Piece("string")]),
        ({"type": "object"}, [Piece("object")]),
    ],
)
def test_types_are_said_in_few_words(schema: dict[str, Any], said: list[Piece]) -> None:
    assert pieces_of(schema) == said


def test_limits_of_what_may_be_null_and_of_entries_are_said() -> None:
    assert limits_of({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]}) == ["minimum 0"]
    assert limits_of({"type": "array", "minItems": 1, "items": {"pattern": "^a$"}}) == ["minItems 1", "pattern ^a$"]


def test_fields_that_are_required_come_first() -> None:
    schema = {"properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": ["b"]}
    assert [(field.name, field.is_required) for field in fields_of(schema)] == [("b", True), ("a", False)]
