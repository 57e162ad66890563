"""Parameters that several lists share."""

import base64
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.errors import BadRequest
from app.query_fields import (
    Range,
    cursor_of,
    cursor_text,
    date_of,
    event_type_of,
    page_size_of,
    range_of,
)

UTC = ZoneInfo("UTC")
SHANGHAI = ZoneInfo("Asia/Shanghai")
AT = 1_640_563_200_000
EMPTY = 250104
INVALID = 250105


def test_dates_are_local_with_a_fraction_or_without() -> None:
    assert date_of({"d": "2021-12-27T00:00:00.123"}, "d", UTC) == AT + 123
    assert date_of({"d": "2021-12-27T08:00:00"}, "d", SHANGHAI) == AT
    assert date_of({}, "d", UTC) is None
    assert date_of({"d": None}, "d", UTC) is None


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("", EMPTY),
        ("2021-12-27", INVALID),
        ("2021-12-27T00:00:00Z", INVALID),
        ("2021-12-27T00:00:00.1", INVALID),
        ("2021-02-30T00:00:00", INVALID),
        ("0000-01-01T00:00:00", INVALID),
        ("2021-12-27T00:00:00\0", INVALID),
        ("9" * 1_000, INVALID),
        (1_640_563_200_000, INVALID),
        (True, INVALID),
        ([], INVALID),
    ],
)
def test_what_is_no_date_is_refused(value: Any, code: int) -> None:
    with pytest.raises(BadRequest) as caught:
        date_of({"startDate": value}, "startDate", UTC)
    assert (caught.value.code, caught.value.params["field"]) == (code, "startDate")


def test_a_date_may_be_how_long_before_a_given_now() -> None:
    assert date_of({"d": "2h"}, "d", UTC, AT) == AT - 7_200_000
    assert date_of({"d": "999999999d"}, "d", UTC, AT) == 0
    assert range_of({"startDate": "10m", "endDate": "5m"}, UTC, AT) == Range(AT - 600_000, AT - 300_000)
    for text in ("10", "-1m", "m", "1.5h"):
        with pytest.raises(BadRequest, match="date_or_age"):
            date_of({"d": text}, "d", UTC, AT)


def test_a_range_may_be_open_but_not_reversed() -> None:
    assert range_of({}, UTC) == Range(None, None)
    one_moment = {"startDate": "2021-12-27T00:00:00", "endDate": "2021-12-27T00:00:00"}
    assert range_of(one_moment, UTC) == Range(AT, AT)
    with pytest.raises(BadRequest, match="dates_reversed"):
        range_of(one_moment | {"startDate": "2021-12-27T00:00:00.001"}, UTC)


def test_page_sizes() -> None:
    assert [page_size_of(given) for given in ({}, {"pageSize": "1"}, {"pageSize": "1000"})] == [20, 1, 1_000]


@pytest.mark.parametrize(
    ("text", "code"),
    [("", EMPTY), *((text, INVALID) for text in ("0", "1001", "-1", "1.5", "x", "9" * 5_000, "\u0661"))],
)
def test_other_page_sizes_are_refused(text: str, code: int) -> None:
    with pytest.raises(BadRequest) as caught:
        page_size_of({"pageSize": text})
    assert caught.value.code == code


def test_an_event_type_is_a_known_one() -> None:
    assert event_type_of({"type": "NODE_CREATED"}, "type", {"NODE_CREATED"}) == "NODE_CREATED"
    assert event_type_of({}, "type", {"NODE_CREATED"}) is None
    with pytest.raises(BadRequest, match="trigger_unknown"):
        event_type_of({"type": "NOPE"}, "type", {"NODE_CREATED"})
    with pytest.raises(BadRequest, match="not_string"):
        event_type_of({"type": 5}, "type", {"NODE_CREATED"})


@pytest.mark.parametrize("event_id", ["", "e", "事件/?+=", "x" * 128])
def test_a_cursor_comes_back_as_it_was_given(event_id: str) -> None:
    text = cursor_text("17", event_id)
    assert text.isascii()
    assert text.replace("-", "").replace("_", "").isalnum()
    assert cursor_of({"cursor": text}, "[0-9]+", ".*") == ["17", event_id]
    assert cursor_of({}, "[0-9]+", ".*") is None


def coded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", EMPTY),
        ("!", INVALID),
        ("A", INVALID),
        ("é", INVALID),
        ("x" * 5_000, INVALID),
        (coded(b"\xff\n1"), INVALID),
        (coded(b"17"), INVALID),
        (coded(b"17\ne\nf"), INVALID),
        (coded(b"-1\ne"), INVALID),
        (coded(b"x\ne"), INVALID),
    ],
)
def test_what_is_no_cursor_is_refused(text: str, code: int) -> None:
    with pytest.raises(BadRequest) as caught:
        cursor_of({"cursor": text}, "[0-9]+", ".*")
    assert (caught.value.code, caught.value.params["field"]) == (code, "cursor")
