"""Events from the queue: accepted once, or kept with the reason; and accepted later after all."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from app.authentication import Caller
from app.event_types import EVENT_TYPES
from app.ingest import (
    MAX_EVENT,
    MAX_KEPT,
    WHOLE,
    Incoming,
    Sorted,
    accept_rejected,
    ingest,
    keep_rejected,
    rejected_row,
    sort_messages,
)
from app.models import Delivery, Event, RejectedEvent
from app.services import Services
from app.webhooks import create_webhook

ADMIN = Caller("root", admin=True, scopes=frozenset(), platform=False)
TYPES = EVENT_TYPES.keys()
NOW = 1_700_000_000_000
GOOD = {"type": "NODE_CREATED", "projectId": "p", "repoName": "r", "resourceKey": "/a", "userId": "u"}
LOOSE = {key: value for key, value in GOOD.items() if key != "projectId"}
IDS = ["1", "", "x" * 500, "a\0b", "\ud800", "路径/😀", "a:0", "'; --", "{}"]


def message(message_id: str, *arguments: object) -> Incoming:
    return Incoming(message_id, arguments)


def take(services: Services, *messages: Incoming, types: Any = TYPES) -> Sorted:
    return ingest(services.publisher, messages, types, NOW)


def kept() -> list[tuple[str, int, str, Any]]:
    """Return the message, place, reason and value of what is kept, in order."""
    rows = RejectedEvent.select().order_by(RejectedEvent.message_id, RejectedEvent.place)
    return [(row.message_id, row.place, row.reason, json.loads(row.raw)) for row in rows]


def accepted() -> list[str]:
    return sorted(row.id for row in Event.select())


@pytest.fixture
def webhook(services: Services) -> str:
    meant = {"url": "http://a.example/", "triggers": ["NODE_CREATED"], "associationType": "SYSTEM"}
    return create_webhook(services, ADMIN, meant, NOW)


# --- accepting


def test_valid_events_are_accepted_and_owed(services: Services, webhook: str) -> None:
    found = take(services, message("1", [GOOD, {**GOOD, "eventId": "mine"}]), message("2", [GOOD]))
    assert (len(found.events), found.rejected) == (3, [])
    assert "mine" in accepted()
    assert len(accepted()) == 3
    assert {row.accepted_at for row in Event.select()} == {NOW}
    assert [row.webhook_id for row in Delivery.select()] == [webhook] * 3


def test_a_message_that_comes_twice_is_accepted_once(services: Services, webhook: str) -> None:
    for _ in range(2):
        take(services, message("1", [GOOD, GOOD]))
    take(services, message("1", [GOOD, GOOD]), message("1", [GOOD, GOOD]))
    assert len(accepted()) == 2
    assert Delivery.select().count() == 2


def test_an_events_own_id_counts_over_all_messages(services: Services, webhook: str) -> None:
    take(services, message("1", [{**GOOD, "eventId": "e"}]))
    take(services, message("2", [{**GOOD, "eventId": "e"}, {**GOOD, "eventId": "e"}]))
    assert accepted() == ["e"]
    assert Delivery.select().count() == 1


def test_one_event_may_come_without_a_list(services: Services) -> None:
    take(services, message("1", GOOD))
    take(services, message("1", [GOOD]))
    assert len(accepted()) == 1


def test_an_empty_id_is_none(services: Services) -> None:
    take(services, message("1", [{**GOOD, "eventId": ""}, {**GOOD, "eventId": None}]))
    assert len(accepted()) == 2
    assert all(len(event_id) == 32 for event_id in accepted())


def test_an_empty_list_is_nothing(services: Services) -> None:
    assert take(services, message("1", [])) == Sorted([], [])
    assert take(services) == Sorted([], [])
    assert (accepted(), kept()) == ([], [])


# --- keeping


def test_an_invalid_event_is_kept_and_the_others_of_its_batch_are_accepted(services: Services) -> None:
    take(services, message("1", [GOOD, LOOSE, {**GOOD, "eventId": "e"}]), message("2", [{"type": "NOTHING"}, GOOD]))
    assert len(accepted()) == 3
    assert kept() == [
        ("1", 1, "projectId: missing", LOOSE),
        ("2", 0, "type: unknown_type", {"type": "NOTHING"}),
    ]
    assert {row.received_at for row in RejectedEvent.select()} == {NOW}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "event: invalid"),
        (7, "event: invalid"),
        ("text", "event: invalid"),
        ([GOOD], "event: invalid"),
        ({}, "type: missing"),
        ({**GOOD, "resourceKey": ""}, "resourceKey: empty"),
        ({**GOOD, "data": "x"}, "data: invalid"),
        ({**GOOD, "eventId": "e" * 129}, "eventId: too_long"),
        ({**GOOD, "userId": "a\0b"}, "userId: invalid"),
        ({**GOOD, "type": "WEBHOOK_TEST"}, "type: invalid"),
        ({**GOOD, "data": {"x": "y" * MAX_EVENT}}, "event: too_long"),
    ],
)
def test_what_is_no_event_is_kept_with_the_reason(services: Services, value: Any, reason: str) -> None:
    take(services, message("1", [value]))
    assert kept() == [("1", 0, reason, value)]
    assert accepted() == []


@pytest.mark.parametrize("arguments", [(), ([GOOD], [GOOD]), ("text",), (None,), (7, 8), ([GOOD], {})])
def test_wrong_arguments_keep_the_message_as_a_whole(services: Services, arguments: Sequence[object]) -> None:
    take(services, Incoming("1", arguments), message("2", [GOOD]))
    reason = "the message's arguments are not one list of events"
    assert kept() == [("1", WHOLE, reason, list(arguments))]
    assert len(accepted()) == 1


def test_what_is_rejected_twice_is_kept_once_as_it_was(services: Services) -> None:
    take(services, message("1", [LOOSE, LOOSE]))
    ingest(services.publisher, [message("1", [LOOSE, LOOSE, LOOSE])], TYPES, NOW + 5)
    rows = RejectedEvent.select().order_by(RejectedEvent.place)
    assert [(row.place, row.received_at) for row in rows] == [(0, NOW), (1, NOW), (2, NOW + 5)]
    take(services, message("3", [LOOSE]), message("3", [LOOSE]))
    assert RejectedEvent.select().count() == 4


def test_tens_of_thousands_of_invalid_events_are_kept(services: Services) -> None:
    for _ in range(2):
        assert len(take(services, message("1", [{}] * 40_000)).rejected) == 40_000
    assert RejectedEvent.select().count() == 40_000


@pytest.mark.parametrize("message_id", IDS, ids=ascii)
def test_message_ids_may_be_long_and_strange(services: Services, webhook: str, message_id: str) -> None:
    for _ in range(2):
        take(services, message(message_id, [GOOD, LOOSE]), message(f"{message_id}!", [GOOD, LOOSE]))
    assert len(accepted()) == 2
    rows = list(RejectedEvent.select())
    assert len({row.id for row in rows}) == 2
    shown = message_id.replace("\0", "\ufffd").replace("\ud800", "\ufffd")
    assert {row.message_id for row in rows} == {shown[:128], f"{shown}!"[:128]}


def test_places_of_different_messages_have_different_ids() -> None:
    messages = [message("1", [GOOD] * 12), message("1:1", [GOOD]), message("11", [GOOD])]
    ids = [event.event_id for event in sort_messages(messages, TYPES, NOW).events]
    assert len(set(ids)) == 14


@pytest.mark.parametrize(
    ("value", "raw"),
    [
        (b"\xff{\x00", "\\xff{\ufffd"),
        ({"a": "\0路"}, '{"a":"\\u0000路"}'),
        ("\ud800", '"\\ud800"'),
        ([1, None, True, 1.5], "[1,null,true,1.5]"),
        (10**30, "1" + "0" * 30),
    ],
    ids=["bytes", "NUL", "surrogate", "list", "big"],
)
def test_what_is_kept_is_text_that_every_database_takes(services: Services, value: object, raw: str) -> None:
    keep_rejected([rejected_row("1", 0, "a\0b\ud800", value, now=NOW)])
    [row] = RejectedEvent.select()
    assert (row.raw, row.reason) == (raw, "a\ufffdb\ufffd")


def test_of_what_is_very_large_the_beginning_is_kept(services: Services) -> None:
    event = {**GOOD, "data": {"x": "\"'\\" * 7 * MAX_EVENT}}
    take(services, message("1", [event]), message("2", [GOOD]))
    [row] = RejectedEvent.select()
    size = len(json.dumps(event, separators=(",", ":")))
    assert row.reason == f"event: too_long (the first {MAX_KEPT:,} of {size:,} bytes are kept)"
    assert json.dumps(event, separators=(",", ":")).startswith(row.raw)
    assert len(row.raw) == MAX_KEPT
    assert len(accepted()) == 1


def test_an_event_as_large_as_may_be_is_accepted(services: Services) -> None:
    event = {**GOOD, "data": {"x": ""}}
    event["data"] = {"x": "y" * (MAX_EVENT - len(json.dumps(event, separators=(",", ":"))))}
    take(services, message("1", [event]))
    assert (len(accepted()), kept()) == (1, [])


# --- accepting after all


def reject(services: Services, *values: object, message_id: str = "1") -> list[RejectedEvent]:
    take(services, message(message_id, list(values)), types={"NODE_CREATED"})
    return list(RejectedEvent.select().order_by(RejectedEvent.place))


def test_a_rejected_event_is_accepted_with_the_id_that_it_would_have_had(services: Services, webhook: str) -> None:
    signed = {"type": "IMAGE_SIGNED", "projectId": "p"}
    [row] = reject(services, GOOD, signed)
    types = {*TYPES, "IMAGE_SIGNED"}
    assert accept_rejected(services.publisher, row, types, NOW)
    assert RejectedEvent.select().count() == 0
    both = accepted()
    take(services, message("1", [GOOD, signed]), types=types)  # the message comes again
    assert accepted() == both
    assert Event.get(Event.type == "IMAGE_SIGNED").id == row.id


@pytest.mark.parametrize("message_id", IDS, ids=ascii)
def test_the_same_holds_for_strange_message_ids(services: Services, message_id: str) -> None:
    [row] = reject(services, {"type": "IMAGE_SIGNED"}, message_id=message_id)
    types = {*TYPES, "IMAGE_SIGNED"}
    assert accept_rejected(services.publisher, row, types, NOW)
    take(services, message(message_id, [{"type": "IMAGE_SIGNED"}]), types=types)
    assert accepted() == [row.id]


def test_a_rejected_event_keeps_an_id_of_its_own(services: Services) -> None:
    [row] = reject(services, {"type": "IMAGE_SIGNED", "eventId": "mine"})
    assert accept_rejected(services.publisher, row, {"IMAGE_SIGNED"}, NOW)
    assert accepted() == ["mine"]


def test_accepting_twice_delivers_once(services: Services, webhook: str) -> None:
    keep_rejected([rejected_row("1", 0, "was wrong", GOOD, now=NOW)])
    [row] = RejectedEvent.select()
    for _ in range(2):  # the second time by someone who had read the row before
        assert accept_rejected(services.publisher, row, TYPES, NOW)
    assert accepted() == [row.id]
    assert Delivery.select().count() == 1


@pytest.mark.parametrize("value", [{}, LOOSE, None, 7, [GOOD]])
def test_what_is_still_invalid_stays(services: Services, value: object) -> None:
    [row] = reject(services, value)
    assert not accept_rejected(services.publisher, row, TYPES, NOW)
    assert RejectedEvent.select().count() == 1
    assert accepted() == []


@pytest.mark.parametrize("raw", [b"\xff", b"not JSON", b"{", b"[" * 5_000 + b"]" * 5_000, b"7", b"{}", b"[]", b"[7]"])
def test_what_was_no_message_stays(services: Services, raw: bytes) -> None:
    keep_rejected([rejected_row("1", WHOLE, "not a Dramatiq message", raw, now=NOW)])
    [row] = RejectedEvent.select()
    assert not accept_rejected(services.publisher, row, TYPES, NOW)
    assert RejectedEvent.select().count() == 1


def test_of_a_whole_message_the_valid_events_are_accepted_with_their_ids(services: Services) -> None:
    keep_rejected([rejected_row("1", WHOLE, "ValueError: a defect", [[GOOD, LOOSE, GOOD]], now=NOW)])
    [row] = RejectedEvent.select()
    assert accept_rejected(services.publisher, row, TYPES, NOW)
    assert kept() == [("1", 1, "projectId: missing", LOOSE)]
    both = accepted()
    assert len(both) == 2
    take(services, message("1", [GOOD, LOOSE, GOOD]))
    assert (accepted(), RejectedEvent.select().count()) == (both, 1)
