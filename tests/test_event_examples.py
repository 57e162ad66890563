"""Examples of events: each type has one that can be published as it is."""

import json

import pytest

from app.event_examples import example_of
from app.event_types import EVENT_TYPES, PUBLISHABLE_TYPES, event_from
from app.payloads import build_payload

TYPES = {*EVENT_TYPES, "IMAGE_SIGNED"}


@pytest.mark.parametrize("event_type", sorted({*PUBLISHABLE_TYPES, "IMAGE_SIGNED"}))
def test_an_example_is_accepted_and_its_payload_can_be_built(event_type: str) -> None:
    event = event_from(example_of(event_type), TYPES)
    payload = json.loads(build_payload(event, None))
    assert (event.type, payload["eventType"]) == (event_type, event_type)
    assert event.project_id
    assert event.resource_key
    assert event.user_id == payload["user"]["userId"]


@pytest.mark.parametrize(
    ("event_type", "key", "inner"),
    [
        ("PROJECT_CREATED", "project", "displayName"),
        ("REPO_UPDATED", "repository", "category"),
        ("NODE_MOVED", "node", "sha256"),
        ("METADATA_DELETED", "node", "nodeMetadata"),
        ("VERSION_CREATED", "packageVersion", "contentPath"),
        ("SCAN_FINISHED", "task", "scanResultOverview"),
    ],
)
def test_an_example_shows_what_producers_know_of_their_things(event_type: str, key: str, inner: str) -> None:
    event = event_from(example_of(event_type), TYPES)
    assert inner in json.loads(build_payload(event, None))[key]


def test_each_type_has_an_example_of_its_own() -> None:
    made_up = {key: value for key, value in example_of("IMAGE_SIGNED").items() if key != "type"}
    for event_type in PUBLISHABLE_TYPES:
        assert {key: value for key, value in example_of(event_type).items() if key != "type"} != made_up


def test_whoever_changes_an_example_changes_his_own() -> None:
    example_of("NODE_CREATED")["data"]["node"]["size"] = 1
    assert example_of("NODE_CREATED")["data"]["node"]["size"] != 1
