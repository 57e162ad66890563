"""What event_from takes and what it refuses (contract §5, §6)."""

from typing import Any

import pytest

from app.event_types import (
    DELIVERY_EXHAUSTED,
    EVENT_TYPES,
    LIMITS,
    PUBLISHABLE_TYPES,
    WEBHOOK_DISABLED,
    WEBHOOK_FAILING,
    WEBHOOK_RECOVERED,
    WEBHOOK_TEST,
    Event,
    InvalidEvent,
    event_from,
)

ALLOWED = EVENT_TYPES.keys() | {"IMAGE_SIGNED"}
OPERATIONAL = {WEBHOOK_DISABLED, WEBHOOK_FAILING, WEBHOOK_RECOVERED, DELIVERY_EXHAUSTED}
WHOLE = {
    "type": "NODE_CREATED",
    "projectId": "p",
    "repoName": "r",
    "resourceKey": "/a/b.apk",
    "userId": "u1042",
    "data": {"node": {"size": 3}},
    "source": "pipeline",
    "eventId": "e-1",
}


def refusal(value: object) -> tuple[str, str]:
    with pytest.raises(InvalidEvent) as caught:
        event_from(value, ALLOWED)
    return caught.value.field, caught.value.reason


def without(*names: str, **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (WHOLE | changes).items() if name not in names}


def test_it_knows_the_types_of_the_contract() -> None:
    assert {
        *("PROJECT_CREATED", "REPO_CREATED", "REPO_UPDATED", "REPO_DELETED"),
        *("NODE_CREATED", "NODE_DOWNLOADED", "NODE_RENAMED", "NODE_MOVED", "NODE_COPIED", "NODE_DELETED"),
        *("METADATA_SAVED", "METADATA_DELETED", "VERSION_CREATED", "VERSION_UPDATED", "VERSION_DELETED"),
        *("SCAN_TRIGGERED", "SCAN_FINISHED"),
    } == PUBLISHABLE_TYPES
    assert EVENT_TYPES.keys() - PUBLISHABLE_TYPES == {WEBHOOK_TEST, *OPERATIONAL}
    assert all(kind.description for kind in EVENT_TYPES.values())


def test_the_types_about_webhooks_are_operational_and_require_nothing() -> None:
    assert {name for name, kind in EVENT_TYPES.items() if kind.operational} == OPERATIONAL
    assert all(EVENT_TYPES[name].requires == () for name in OPERATIONAL)


def test_it_takes_an_event_with_all_its_fields() -> None:
    assert event_from(WHOLE, ALLOWED) == Event(
        type="NODE_CREATED",
        project_id="p",
        repo_name="r",
        resource_key="/a/b.apk",
        user_id="u1042",
        data={"node": {"size": 3}},
        source="pipeline",
        event_id="e-1",
    )


@pytest.mark.parametrize("event_type", sorted(PUBLISHABLE_TYPES))
def test_it_takes_every_publishable_type(event_type: str) -> None:
    assert event_from(without(type=event_type), ALLOWED).type == event_type


def test_it_ignores_the_topic_and_other_unknown_keys() -> None:
    assert event_from(without(topic="t", future=[1]), ALLOWED) == event_from(WHOLE, ALLOWED)


@pytest.mark.parametrize("value", [None, 1, "NODE_CREATED", [WHOLE], True])
def test_it_refuses_what_is_no_object(value: object) -> None:
    assert refusal(value) == ("", "invalid")


@pytest.mark.parametrize("value", [without("type"), without(type=None), {}])
def test_it_refuses_an_event_without_a_type(value: object) -> None:
    assert refusal(value) == ("type", "missing")


@pytest.mark.parametrize(
    ("event_type", "reason"),
    [("", "empty"), ("NODE_EXPLODED", "unknown_type"), ("node_created", "unknown_type"), ("\ud800", "unknown_type")],
)
def test_it_refuses_types_that_are_not_allowed(event_type: str, reason: str) -> None:
    assert refusal(without(type=event_type)) == ("type", reason)


@pytest.mark.parametrize("event_type", sorted({WEBHOOK_TEST, *OPERATIONAL}))
@pytest.mark.parametrize("allowed", [ALLOWED, frozenset({"NODE_CREATED"})])
def test_it_refuses_to_publish_what_the_service_makes_itself(event_type: str, allowed: frozenset[str]) -> None:
    with pytest.raises(InvalidEvent) as caught:
        event_from(without(type=event_type), allowed)
    assert (caught.value.field, caught.value.reason) == ("type", "invalid")


REQUIRED = [
    (event_type, name)
    for prefix, names in {
        "PROJECT_": ("projectId",),
        "REPO_": ("projectId", "repoName"),
        "NODE_": ("projectId", "repoName", "resourceKey"),
        "METADATA_": ("projectId", "repoName", "resourceKey"),
        "VERSION_": ("projectId", "repoName"),
        "SCAN_": ("projectId",),
    }.items()
    for event_type in sorted(PUBLISHABLE_TYPES)
    if event_type.startswith(prefix)
    for name in names
]


@pytest.mark.parametrize(("event_type", "name"), REQUIRED)
def test_it_refuses_an_event_without_a_field_that_its_type_requires(event_type: str, name: str) -> None:
    assert refusal(without(name, type=event_type)) == (name, "missing")
    assert refusal(without(type=event_type, **{name: None})) == (name, "missing")
    assert refusal(without(type=event_type, **{name: ""})) == (name, "empty")


@pytest.mark.parametrize("event_type", ["PROJECT_CREATED", "REPO_DELETED", "VERSION_CREATED", "SCAN_FINISHED"])
def test_it_fills_in_an_empty_resource_key_and_user_where_they_are_not_required(event_type: str) -> None:
    event = event_from(without("userId", "resourceKey", type=event_type), ALLOWED)
    assert (event.resource_key, event.user_id) == ("", "")


def test_it_requires_no_user_of_a_node_event() -> None:
    assert event_from(without("userId"), ALLOWED).user_id == ""


def test_it_requires_nothing_but_the_type_of_an_extra_type() -> None:
    assert event_from({"type": "IMAGE_SIGNED"}, ALLOWED) == Event(type="IMAGE_SIGNED")


@pytest.mark.parametrize(("name", "limit"), LIMITS.items())
def test_it_counts_characters_and_refuses_one_too_many(name: str, limit: int) -> None:
    with pytest.raises(InvalidEvent) as caught:
        event_from(without(**{name: "件" * (limit + 1)}), ALLOWED)
    assert (caught.value.field, caught.value.reason, caught.value.limit) == (name, "too_long", limit)
    fits = "I" * limit
    assert event_from({"type": "IMAGE_SIGNED", name: fits}, {"IMAGE_SIGNED", fits})


@pytest.mark.parametrize("name", sorted(LIMITS))
@pytest.mark.parametrize("value", [1, 1.5, True, ["x"], {"x": 1}])
def test_it_refuses_a_field_that_is_not_a_string(name: str, value: object) -> None:
    assert refusal(without(**{name: value})) == (name, "invalid")


@pytest.mark.parametrize("value", ["x", 1, [1], False])
def test_it_refuses_data_that_are_not_an_object(value: object) -> None:
    assert refusal(without(data=value)) == ("data", "invalid")


@pytest.mark.parametrize("name", sorted(LIMITS.keys() - {"type"}))
@pytest.mark.parametrize("bad", ["\0", chr(0xD800), chr(0xDFFF)])
def test_it_refuses_nul_and_lone_surrogates_in_every_field(name: str, bad: str) -> None:
    assert refusal(without(**{name: f"/a{bad}b"})) == (name, "invalid")


@pytest.mark.parametrize("name", ["projectId", "repoName", "eventId"])
@pytest.mark.parametrize("bad", ["\n", "\r", "\t", "\x1b", "\x7f", "\x85"])
def test_it_refuses_control_characters_in_names(name: str, bad: str) -> None:
    assert refusal(without(**{name: f"a{bad}"})) == (name, "invalid")


@pytest.mark.parametrize("key", ["/a\tb\n.apk", "/文件/α.apk", "/a\u200db/\U0001f680", "/\u3000"])
def test_it_takes_any_other_resource_key(key: str) -> None:
    assert event_from(without(resourceKey=key), ALLOWED).resource_key == key


def test_it_leaves_what_is_inside_data_to_the_payload() -> None:
    assert event_from(without(type="NODE_MOVED", data={}), ALLOWED).data == {}


def test_a_refusal_reads_as_one_line() -> None:
    assert str(InvalidEvent("projectId", "missing")) == "projectId: missing"
    assert str(InvalidEvent("", "invalid")) == "event: invalid"
