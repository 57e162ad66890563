"""What templates show of numbers, durations and times."""

import pytest
from flask import Flask

from app.clock import now_ms
from app.ui.pages import canonical_times, here
from app.ui.templating import ago, duration, number, percent, size, when

pytestmark = pytest.mark.sqlite_only


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (None, "–"),
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1 s"),
        (1_550, "1.6 s"),
        (59_999, "60 s"),
        (60_000, "1 min"),
        (61_000, "1 min 1 s"),
        (3_600_000, "1 h"),
        (7_260_000, "2 h 1 min"),
        (86_400_000, "1 d"),
        (90_000_000, "1 d 1 h"),
    ],
)
def test_a_duration_has_two_units_at_most(ms: float | None, shown: str) -> None:
    assert duration(ms) == shown


def test_a_duration_has_chinese_units_on_a_chinese_page(app: Flask) -> None:
    with app.test_request_context("/", headers={"Cookie": "language=zh"}):
        assert [duration(ms) for ms in (5, 1_500, 61_000, 90_000_000)] == [
            "5 毫秒",
            "1.5 秒",
            "1 分 1 秒",
            "1 天 1 小时",
        ]


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (None, "–"),
        (0, "0 %"),
        (1, "100 %"),
        (0.5, "50 %"),
        (0.99999, "99.99 %"),
        (0.12345, "12.35 %"),
        (0.00001, "0 %"),
    ],
)
def test_a_hundred_percent_means_all(share: float | None, shown: str) -> None:
    assert percent(share) == shown


def test_numbers_and_sizes_are_readable() -> None:
    assert [number(value) for value in (None, 0, 1_234_567)] == ["–", "0", "1,234,567"]
    assert [size(octets) for octets in (0, 1023, 1024, 1_572_864)] == ["0 B", "1023 B", "1.0 KiB", "1.5 MiB"]


def test_a_time_tells_utc_on_hover(app: Flask) -> None:
    with app.test_request_context("/", headers={"Cookie": "zone=Asia/Shanghai"}):
        shown = str(when(1_640_563_200_123))
    assert shown == (
        '<time datetime="2021-12-27T00:00:00.123Z" title="2021-12-27 00:00:00.123 UTC">2021-12-27 08:00:00</time>'
    )
    assert (when(None), ago(None)) == ("–", "–")


def test_how_long_ago_and_how_far_ahead(app: Flask) -> None:
    with app.test_request_context("/"):
        assert ">2 h ago<" in str(ago(now_ms() - 7_200_500))
        assert ">in 1 h" in str(ago(now_ms() + 3_700_000))


def test_a_link_to_another_filter_keeps_the_rest(app: Flask) -> None:
    with app.test_request_context("/logs?status=FAIL&q=a%26b&trigger="):
        assert here() == "/logs?status=FAIL&q=a%26b"
        assert here(status=None, cursor="x y") == "/logs?q=a%26b&cursor=x+y"
    with app.test_request_context("/logs?status=FAIL"):
        assert here(status=None) == "/logs"


def test_times_in_links_are_in_utc(app: Flask) -> None:
    shanghai = {"Cookie": "zone=Asia/Shanghai"}
    with app.test_request_context("/logs?from=2021-12-27T08:00&to=&q=x", headers=shanghai):
        assert canonical_times("from", "to") == "/logs?from=2021-12-27T00%3A00%3A00.000Z&q=x"
    with app.test_request_context("/logs?from=2021-12-27T00:00:00.000Z&q=x", headers=shanghai):
        assert canonical_times("from", "to") is None
