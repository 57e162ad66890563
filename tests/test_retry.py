"""When the next attempt is due."""

import time
from email.utils import formatdate

import pytest

from app.retry import MAX_RETRY_AFTER_MS, next_attempt_at, retry_after_ms

SCHEDULE = (5_000, 300_000, 1_800_000)
NOW = 1_700_000_000_000


@pytest.mark.parametrize(("attempt", "delay"), [(1, 5_000), (2, 300_000), (3, 1_800_000)])
def test_each_failure_waits_for_its_step_of_the_schedule(attempt: int, delay: int) -> None:
    assert next_attempt_at(SCHEDULE, attempt, NOW, jitter=0) == NOW + delay


def test_it_gives_up_after_the_last_step() -> None:
    assert next_attempt_at(SCHEDULE, 4, NOW, jitter=0) is None
    assert next_attempt_at(SCHEDULE, 99, NOW, jitter=0, retry_after_ms=1) is None


@pytest.mark.parametrize(("jitter", "delay"), [(-0.2, 4_000), (0.2, 6_000), (-1, 0), (1, 10_000)])
def test_jitter_stretches_or_shortens_the_wait(jitter: float, delay: int) -> None:
    assert next_attempt_at(SCHEDULE, 1, NOW, jitter=jitter) == NOW + delay


@pytest.mark.parametrize(
    ("asked", "delay"),
    [(None, 5_000), (0, 5_000), (4_999, 5_000), (60_000, 60_000), (MAX_RETRY_AFTER_MS * 9, MAX_RETRY_AFTER_MS)],
)
def test_a_receiver_can_only_make_the_wait_longer_and_by_no_more_than_a_day(asked: int | None, delay: int) -> None:
    assert next_attempt_at(SCHEDULE, 1, NOW, jitter=0, retry_after_ms=asked) == NOW + delay


def test_a_step_of_the_schedule_may_be_longer_than_a_day() -> None:
    two_days = 2 * MAX_RETRY_AFTER_MS
    assert next_attempt_at((two_days,), 1, NOW, jitter=0, retry_after_ms=two_days * 2) == NOW + two_days


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("0", 0),
        ("120", 120_000),
        (" 120 ", 120_000),
        ("86400", MAX_RETRY_AFTER_MS),
        ("86401", MAX_RETRY_AFTER_MS),
        ("9" * 5_000, MAX_RETRY_AFTER_MS),
        (formatdate(NOW / 1000 + 30, usegmt=True), 30_000),
        (formatdate(NOW / 1000 - 30, usegmt=True), 0),
    ],
)
def test_it_reads_seconds_and_dates(value: str, wait: int) -> None:
    assert retry_after_ms(429, value, NOW) == wait
    assert retry_after_ms(503, value, NOW) == wait


@pytest.mark.parametrize(
    "value", ["", "soon", "-1", "1.5", "１２", "Fri, 99 Foo 2023 00:00:00 GMT", "Fri, 31 Dec 99999 00:00:00 GMT", "\0"]
)
def test_what_it_cannot_read_asks_for_nothing(value: str) -> None:
    assert retry_after_ms(429, value, NOW) is None


@pytest.mark.parametrize("status", [None, 200, 301, 400, 404, 500, 502])
def test_only_429_and_503_may_ask_for_a_wait(status: int | None) -> None:
    assert retry_after_ms(status, "120", NOW) is None


def test_no_header_asks_for_nothing() -> None:
    assert retry_after_ms(503, None, NOW) is None


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "America/New_York"])
@pytest.mark.parametrize("date", ["Sun Nov  6 08:49:37 1994", "Sun, 06 Nov 1994 08:49:37 -0000"])
def test_a_date_without_a_zone_is_utc_wherever_the_machine_is(
    date: str, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert retry_after_ms(503, date, 784_111_776_000) == 1_000
    finally:
        monkeypatch.undo()
        time.tzset()


def test_leading_zeros_do_not_shorten_the_wait() -> None:
    assert retry_after_ms(429, "0" * 20 + "5", 0) == 5_000
