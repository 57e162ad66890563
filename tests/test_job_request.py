"""What callers ask of bulk actions."""

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.errors import BadRequest
from app.job_request import JobFilters, JobRequest, filters_from, replay_request, resend_request
from app.log_query import Frame

AT = 1_640_563_200_000
START = "2021-12-27T00:00:00.000"
FRAME = Frame(ZoneInfo("UTC"), AT, {"NODE_CREATED", "NODE_MOVED"})
RESEND = {"webHookId": "w"}
REPLAY = {"webHookId": "w", "startDate": START}
MISSING, EMPTY, INVALID = 250103, 250104, 250105


def test_resending_takes_all_that_failed_by_default() -> None:
    assert resend_request(RESEND, None, FRAME) == JobRequest(
        "RESEND", "w", JobFilters(None, None, None, ("DEAD", "FAILED")), None
    )
    nulls = dict.fromkeys(("startDate", "endDate", "state", "triggeredEvent"))
    assert resend_request(RESEND | nulls, None, FRAME) == resend_request(RESEND, None, FRAME)


def test_resending_may_be_narrowed() -> None:
    body = RESEND | {
        "startDate": START,
        "endDate": START,
        "state": ["FAILED", "FAILED"],
        "triggeredEvent": "NODE_MOVED",
    }
    asked = resend_request(body, "k" * 128, FRAME)
    assert asked == JobRequest("RESEND", "w", JobFilters(AT, AT, "NODE_MOVED", ("FAILED",)), "k" * 128)


def test_replaying_needs_to_know_from_when() -> None:
    assert replay_request(REPLAY, "key-1", FRAME) == JobRequest("REPLAY", "w", JobFilters(AT, None, None), "key-1")
    narrowed = replay_request(REPLAY | {"endDate": START, "type": "NODE_MOVED"}, None, FRAME)
    assert narrowed.filters == JobFilters(AT, AT, "NODE_MOVED")


def test_filters_are_kept_as_text() -> None:
    for filters in (JobFilters(None, None, None, ("DEAD",)), JobFilters(AT, AT + 1, "NODE_MOVED")):
        assert filters_from(filters.text()) == filters


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"webHookId": None}, "webHookId", MISSING),
        ({"webHookId": ""}, "webHookId", EMPTY),
        ({"webHookId": 5}, "webHookId", INVALID),
        ({"webHookId": ["w"]}, "webHookId", INVALID),
        ({"webHookId": "w" * 65}, "webHookId", INVALID),
        ({"webHookId": "\0"}, "webHookId", INVALID),
        ({"startDate": ""}, "startDate", EMPTY),
        ({"startDate": "2021-12-27"}, "startDate", INVALID),
        ({"startDate": AT}, "startDate", INVALID),
        ({"endDate": {}}, "endDate", INVALID),
        ({"endDate": "2021-12-27T00:00:00+08:00"}, "endDate", INVALID),
        ({"startDate": START, "endDate": "2021-12-26T23:59:59.999"}, "startDate", INVALID),
    ],
)
@pytest.mark.parametrize(("read", "body"), [(resend_request, RESEND), (replay_request, REPLAY)])
def test_the_bad_field_is_named(
    read: Callable[..., JobRequest], body: dict[str, Any], change: dict[str, Any], field: str, code: int
) -> None:
    with pytest.raises(BadRequest) as caught:
        read(body | change, None, FRAME)
    assert (caught.value.params["field"], caught.value.code) == (field, code)


@pytest.mark.parametrize(
    ("read", "body", "field", "code"),
    [
        (resend_request, RESEND | {"state": []}, "state", EMPTY),
        (resend_request, RESEND | {"state": "DEAD"}, "state", INVALID),
        (resend_request, RESEND | {"state": ["PENDING"]}, "state", INVALID),
        (resend_request, RESEND | {"state": [None]}, "state", MISSING),
        (resend_request, RESEND | {"state": [""]}, "state", EMPTY),
        (resend_request, RESEND | {"state": [5]}, "state", INVALID),
        (resend_request, RESEND | {"triggeredEvent": "NOPE"}, "triggeredEvent", INVALID),
        (resend_request, RESEND | {"triggeredEvent": ""}, "triggeredEvent", EMPTY),
        (resend_request, RESEND | {"triggeredEvent": 1}, "triggeredEvent", INVALID),
        (replay_request, RESEND, "startDate", MISSING),
        (replay_request, REPLAY | {"type": "NOPE"}, "type", INVALID),
        (replay_request, REPLAY | {"type": ""}, "type", EMPTY),
    ],
)
def test_so_is_that_of_one_action(read: Callable[..., JobRequest], body: dict[str, Any], field: str, code: int) -> None:
    with pytest.raises(BadRequest) as caught:
        read(body, None, FRAME)
    assert (caught.value.params["field"], caught.value.code) == (field, code)


@pytest.mark.parametrize(
    ("key", "code"), [("", EMPTY), *((key, INVALID) for key in ("k" * 129, "a b", "a\tb", "é", "\x7f", "a\n"))]
)
def test_a_key_is_visible_ascii(key: str, code: int) -> None:
    with pytest.raises(BadRequest) as caught:
        resend_request(RESEND, key, FRAME)
    assert (caught.value.params["field"], caught.value.code) == ("Idempotency-Key", code)
