"""The schema of a type holds for every payload of it: of the contract's table, of examples, of a trace of producers,
and of what the service makes itself."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from app.event_catalogue import payload_example
from app.event_examples import example_of
from app.event_schemas import DIALECT, schema_of
from app.event_types import EVENT_TYPES, PUBLISHABLE_TYPES, event_from
from app.operational import Detail, Disabled, Exhausted, Failing, GivenUp, Recovered
from app.payloads import build_payload
from tests.test_operational import told, webhook
from tests.test_payloads import MADE_USER, TABLE, event

TRACE = Path(__file__).parents[1] / "scripts" / "trace.ndjson"
TYPES = (*EVENT_TYPES, "IMAGE_SIGNED")
USERS = (None, {**MADE_USER, "createdDate": "2025-03-03T08:00:00.000", "admin": True})


@cache
def validator(event_type: str) -> Draft202012Validator:
    return Draft202012Validator(schema_of(event_type))


def faults(payload: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator(payload["eventType"]).iter_errors(payload)]


@pytest.mark.parametrize("event_type", TYPES)
def test_it_is_a_schema_and_its_example_conforms(event_type: str) -> None:
    schema = schema_of(event_type)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == DIALECT
    assert schema["properties"]["eventType"]["const"] == event_type
    assert faults(payload_example(event_type)) == []


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize(("event_type", "data", "others"), TABLE)
def test_payloads_of_the_contracts_table_conform(
    event_type: str, data: dict[str, Any] | None, others: dict[str, Any], user: dict[str, Any] | None
) -> None:
    payload = json.loads(build_payload(event(event_type, data), user))
    assert faults(payload) == []
    assert set(others) == set(schema_of(event_type)["required"]) - {"eventType", "user"}


def test_payloads_of_what_producers_published_conform() -> None:
    lines = TRACE.read_text().splitlines()
    payloads = [json.loads(build_payload(event_from(json.loads(line), EVENT_TYPES), None)) for line in lines]
    assert {payload["eventType"] for payload in payloads} == PUBLISHABLE_TYPES
    assert [fault for payload in payloads for fault in faults(payload)] == []


@pytest.mark.parametrize(
    "detail",
    [
        Disabled(reason="the receiver answered 410 Gone"),
        Failing(failures=5, last_error_msg=None, last_response_status=None),
        Failing(failures=5, last_error_msg="the receiver answered 500", last_response_status=500),
        Recovered(failed_for=0),
        Exhausted(
            delivery=GivenUp(id="d", event_id="e", triggered_event="NODE_CREATED", attempts=10, last_error_msg=None)
        ),
    ],
    ids=lambda detail: detail.type,
)
@pytest.mark.parametrize("association", ["SYSTEM/", "PROJECT/p", "REPO/p:r"])
def test_payloads_about_webhooks_conform(detail: Detail, association: str) -> None:
    payload = json.loads(told(webhook(association=association), detail).payload)
    assert faults(payload) == []
    assert payload.keys() == set(schema_of(detail.type)["required"])


@pytest.mark.parametrize("event_type", TYPES)
def test_a_payload_that_lacks_a_key_does_not_conform_and_one_with_more_keys_does(event_type: str) -> None:
    payload = payload_example(event_type)
    assert faults({**payload, "more": 1}) == []
    for key in payload.keys() - {"eventType"}:
        assert faults({name: value for name, value in payload.items() if name != key}) != []


@pytest.mark.parametrize(
    ("event_type", "wrong"),
    [
        ("NODE_CREATED", {"node": {"fullPath": "/a"}}),
        ("NODE_CREATED", {"user": "amy"}),
        ("NODE_DELETED", {"fullPath": None}),
        ("METADATA_DELETED", {"deletedMetedataKeys": "k"}),
        ("VERSION_CREATED", {"packageVersion": {"size": 1}}),
        ("WEBHOOK_TEST", {"webHook": {"id": "w"}}),
        ("DELIVERY_EXHAUSTED", {"delivery": {"id": "d"}}),
        ("REPO_DELETED", {"eventType": "REPO_CREATED"}),
    ],
)
def test_what_is_wrong_inside_does_not_conform(event_type: str, wrong: dict[str, Any]) -> None:
    payload = {**payload_example(event_type), **wrong}
    assert not validator(event_type).is_valid(payload)


def test_a_node_may_have_more_keys_than_are_named() -> None:
    payload = payload_example("NODE_CREATED")
    payload["node"]["stage"] = "release"
    assert faults(payload) == []


def test_the_examples_are_made_of_what_producers_publish() -> None:
    for event_type in PUBLISHABLE_TYPES:
        made = build_payload(event_from(example_of(event_type), EVENT_TYPES), None)
        assert json.loads(made) == payload_example(event_type)
