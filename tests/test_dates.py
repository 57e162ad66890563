"""Dates on the wire."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dates import from_iso, to_iso

ZONE = ZoneInfo("UTC")
SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("at", "zone", "text"),
    [
        (0, ZONE, "1970-01-01T00:00:00.000"),
        (1, ZONE, "1970-01-01T00:00:00.001"),
        (-1, ZONE, "1969-12-31T23:59:59.999"),
        (1_640_534_400_000, SHANGHAI, "2021-12-27T00:00:00.000"),
        (1_640_534_400_120, SHANGHAI, "2021-12-27T00:00:00.120"),
    ],
)
def test_a_date_is_local_with_three_digits_and_no_offset(at: int, zone: ZoneInfo, text: str) -> None:
    assert to_iso(at, zone) == text
    assert from_iso(text, zone) == at


@given(st.integers(0, 4_000_000_000_000), st.sampled_from([ZONE, SHANGHAI]))
def test_a_date_that_is_written_is_read_as_it_was(at: int, zone: ZoneInfo) -> None:
    if zone is SHANGHAI and at < 1_000_000_000_000:
        at += 1_000_000_000_000  # since then its clocks have not changed
    assert from_iso(to_iso(at, zone), zone) == at


@pytest.mark.parametrize(("text", "millis"), [("", 0), (".5", 500), (".05", 50), (".001", 1), (".0019", 2)])
def test_a_fraction_may_be_missing_shorter_or_longer(text: str, millis: int) -> None:
    assert from_iso(f"1970-01-01T00:00:00{text}", ZONE) == millis


def test_a_time_that_comes_twice_is_the_earlier_one() -> None:
    summer = datetime(2021, 10, 31, 0, 30, tzinfo=UTC)
    assert from_iso("2021-10-31T02:30:00", BERLIN) == round(summer.timestamp() * 1000)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2021-12-27",
        "2021-12-27 00:00:00",
        "2021-12-27T00:00:00Z",
        "2021-12-27T00:00:00.000Z",
        "2021-12-27T00:00:00+08:00",
        "2021-02-29T00:00:00",
        "2021-13-01T00:00:00",
        "2021-12-27T24:00:00",
        "2021-12-27T00:00:00.",
        "2021-12-27T00:00:00.1234567",
        "1640534400000",
        "yesterday",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time data|unconverted data|day is out of range"):
        from_iso(text, ZONE)
