"""GET /openapi.json: valid, complete, with examples that are true. Every other test here holds its calls against it."""

import inspect
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator

from app import (
    delivery_fields,
    delivery_query,
    event_query,
    job_control,
    log_query,
    payload_fields,
    stream_target,
    webhook_fields,
)
from app.api.openapi.failures import FAILURES
from app.api.openapi.table import ENDPOINTS, TAGS
from app.api.openapi.views import document_of
from app.event_types import EVENT_TYPES
from app.ui.menu import SECTIONS

pytestmark = pytest.mark.sqlite_only

PAGES = {"static", "login", *(section.name for section in SECTIONS)}
API_MD = Path(__file__).parents[2] / "docs" / "api.md"


@pytest.fixture
def document(app: Flask) -> Any:
    return document_of(app).content


def operations(document: Any) -> list[tuple[str, Any]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_it_is_valid_and_open_to_all(client: FlaskClient, document: Any) -> None:
    answer = client.get("/openapi.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert answer.json == document
    assert list(OpenAPIV31SpecValidator(answer.json).iter_errors()) == []


def test_it_is_sent_once_to_who_keeps_it(client: FlaskClient) -> None:
    etag = client.get("/openapi.json").headers["ETag"]
    answer = client.get("/openapi.json", headers={"If-None-Match": etag})
    assert (answer.status_code, answer.get_data()) == (304, b"")


def test_every_endpoint_is_described_and_nothing_else_is(app: Flask) -> None:
    names = {rule.endpoint for rule in app.url_map.iter_rules()}
    assert {name for name in names if name.partition(".")[0] not in PAGES} == set(ENDPOINTS)


def test_every_operation_has_a_name_of_its_own_a_tag_and_a_summary(document: Any) -> None:
    named = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(named)) == len(named)
    for name, operation in operations(document):
        assert set(operation["tags"]) <= TAGS.keys(), name
        assert operation["summary"], name


def test_every_parameter_body_and_answer_has_examples_that_conform(document: Any) -> None:
    checked = 0
    for name, operation in operations(document):
        for parameter in operation.get("parameters", []):
            conforms(document, parameter["schema"], parameter["example"], name)
        parts = [operation[key] for key in ("requestBody",) if key in operation]
        for part in (*parts, *operation["responses"].values()):
            for content in part["content"].values():
                assert content["examples"], name
                for example in content["examples"].values():
                    conforms(document, content["schema"], resolved(document, example)["value"], name)
                    checked += 1
    assert checked > 200


def test_every_type_of_event_is_described_as_a_call_to_receivers(document: Any) -> None:
    assert set(document["webhooks"]) == set(EVENT_TYPES)
    for name, call in document["webhooks"].items():
        content = call["post"]["requestBody"]["content"]["application/json"]
        conforms(document, content["schema"], content["examples"]["payload"]["value"], name)


def test_every_error_of_the_documentations_table_has_an_example(document: Any) -> None:
    section = API_MD.read_text().partition("## Errors")[2]
    rows = re.findall(r"^\| ([0-9]{3}) \| ([0-9, ]+) \|", section, re.MULTILINE)
    table = {(int(status), int(code)) for status, codes in rows for code in codes.split(", ")}
    assert {(failure.status, failure.code) for failure in FAILURES} == table
    for failure in FAILURES:
        assert document["components"]["examples"][failure.name]["value"]["code"] == failure.code


@pytest.mark.parametrize(
    ("operation", "read"),
    [
        ("listLogs", log_query.PARAMETERS),
        ("listEvents", event_query.PARAMETERS),
        ("listDeliveries", delivery_query.PARAMETERS),
        ("listJobs", job_control.LIST_PARAMETERS),
        ("listWebhooks", (*webhook_fields.TYPE_NAMES, *webhook_fields.ID_NAMES)),
        ("streamEvents", (*stream_target.PARAMETERS, "triggers", "since")),
    ],
)
def test_the_parameters_that_are_read_are_described(document: Any, operation: str, read: tuple[str, ...]) -> None:
    [found] = [each for _, each in operations(document) if each["operationId"] == operation]
    assert sorted(each["name"] for each in found["parameters"] if each["in"] == "query") == sorted(read)


def test_the_fields_of_a_webhook_that_are_read_are_described(document: Any) -> None:
    source = "".join(inspect.getsource(module) for module in (webhook_fields, delivery_fields, payload_fields))
    read = {*re.findall(r'raw\.get\("(\w+)"\)', source), *webhook_fields.TYPE_NAMES, *webhook_fields.ID_NAMES}
    schemas = document["components"]["schemas"]
    assert set(schemas["NewWebhook"]["properties"]) == read
    assert set(schemas["WebhookChanges"]["properties"]) == read | {"id"}


def conforms(document: Any, schema: Any, value: Any, what: str) -> None:
    whole = {**schema, "components": document["components"]}
    try:
        jsonschema.validate(value, whole, jsonschema.Draft202012Validator)
    except jsonschema.ValidationError as error:
        pytest.fail(f"{what}: {error.json_path}: {error.message[:500]}")


def resolved(document: Any, part: Any) -> Any:
    for name in part.get("$ref", "#/").removeprefix("#/").split("/") if "$ref" in part else ():
        document = document[name]
    return document if "$ref" in part else part
