"""The overview."""

import json
from collections.abc import Callable

import pytest
from bs4 import Tag

from app.clock import now_ms
from app.log_stats import measure_logs
from app.log_steps import HOUR_MS, MINUTE_MS
from app.models import DEAD, FAIL, HELD
from app.services import Services
from app.statistics import EVERYTHING, statistics
from app.timeline import RANGES, Comparison, Summary
from app.ui.overview_charts import changes_of, durations_chart, status_chart
from tests import rows
from tests.test_log_stats import store
from tests.ui.conftest import Pages, text_of

pytestmark = pytest.mark.sqlite_only


def cards(page: Tag) -> dict[str, str]:
    return {text_of(card.dt): text_of(card.find(class_="value")) for card in page.select(".card")}


def chart(page: Tag, name: str) -> dict[str, list[float]]:
    """Return the series of a chart by name."""
    data = json.loads(str(page.select_one(f"#chart-{name}")["data-chart"]))  # type: ignore[index]
    return {series["name"]: series["values"] for series in data["series"]}


def attempts(webhook_id: str, count: int, back: int, **columns: object) -> None:
    for number in range(count):
        at = now_ms() - back + number
        rows.log(webhook_id, "e", "d", at, duration_ms=40, **columns)


def test_a_new_installation_is_told_what_to_do(pages: Pages, log_in: Callable[..., Pages]) -> None:
    page = pages.visit("/")
    assert "There is no webhook yet." in text_of(page.main)
    links = [link["href"] for link in page.select("#live a")]
    assert links == ["/webhooks/new", "/publish"]
    assert "Ask an administrator" in text_of(log_in("outsider").visit("/").main)


def test_it_shows_what_has_become_of_deliveries(pages: Pages, services: Services) -> None:
    hook = rows.webhook(services)
    attempts(hook, 7, 30 * MINUTE_MS)
    attempts(hook, 2, MINUTE_MS, status=FAIL, response_status=500)
    measure_logs(now_ms())
    rows.deliveries(hook, 3, at=now_ms() - HOUR_MS, state=HELD)
    rows.deliveries(hook, 1, at=now_ms(), state=DEAD)
    page = pages.visit("/?range=1h")
    shown = cards(page)
    assert (shown["Delivery attempts"], shown["Success rate"]) == ("9", "77.78 %")
    assert (shown["Outstanding"], shown["Given up"]) == ("3", "1")
    assert shown["Oldest outstanding"].startswith("1 h")
    assert shown["Latency p95"].endswith(" ms")
    found = chart(page, "status")
    assert {name: sum(values) for name, values in found.items()} == {"succeeded": 7, "failed": 2, "not sent": 0}
    assert {len(values) for values in found.values()} == {61}
    assert [*chart(page, "durations")] == ["p50", "p95", "p99"]
    current = page.select_one(".tabs [aria-current]")
    assert current is not None
    assert current["href"] == "/?range=1h"


def test_the_charts_are_told_in_words_and_as_a_table(pages: Pages, services: Services) -> None:
    attempts(rows.webhook(services), 4, 2 * HOUR_MS)
    page = pages.visit("/")
    described = page.select_one("#chart-status")
    assert described is not None
    assert described["aria-label"] == "Delivery attempts in the last 24 hours: 4 succeeded, 0 failed, 0 not sent."
    [way] = {link["href"] for link in page.select(".as-table")}
    table = pages.visit(str(way)).table
    assert isinstance(table, Tag)
    assert len(table.select("tbody tr")) == 25
    assert [text_of(cell) for cell in table.select("tfoot tr > *")][:6] == ["Together", "4", "4", "0", "0", "100 %"]


def test_failing_webhooks_come_first_and_what_they_send_is_text(pages: Pages, services: Services) -> None:
    bad = "<script>alert(1)</script>"
    stopped = rows.webhook(services, failures=12, circuit_until=now_ms(), failing_since=now_ms() - HOUR_MS)
    rows.webhook(services, "p", failures=1, failed_at=now_ms(), url=f"http://a.example/?{bad}")
    rows.log(stopped, "e", "d", now_ms(), status=FAIL, response_status=503, error=bad)
    page = pages.visit("/")
    first, second = page.select("#live table.stack tbody tr")
    assert "circuit open" in text_of(first)
    assert "12 failures in a row" in text_of(first)
    assert (bad in text_of(first), bad in text_of(second)) == (True, True)
    assert not page.select("#live script")
    assert first.select_one(f"a[href='/webhooks/{stopped}']") is not None


def test_without_failing_webhooks_it_says_so(pages: Pages, services: Services) -> None:
    rows.webhook(services)
    assert "No webhook is failing." in text_of(pages.visit("/").main)


def test_others_see_the_webhooks_that_they_may_manage_only(services: Services, log_in: Callable[..., Pages]) -> None:
    mine, other = rows.webhook(services, "p:r", failures=3), rows.webhook(services, "p:s", failures=9)
    attempts(mine, 3, MINUTE_MS)
    attempts(other, 5, MINUTE_MS)
    page = log_in("repo-manager").visit("/")
    assert cards(page)["Delivery attempts"] == "3"
    assert [row["id"] for row in page.select("#live table.stack tbody tr")] == [f"failing-{mine}"]


def test_the_live_part_is_all_that_is_sent_again(pages: Pages, services: Services) -> None:
    rows.webhook(services)
    live = pages.visit("/?range=6h").select_one("#live")
    assert live is not None
    assert (live["hx-get"], live["hx-trigger"], live["data-live"]) == ("/?range=6h", "live", "5")
    part = pages.fragment("/?range=6h")
    assert (part.h1, part.select_one("#live") is not None) == (None, True)


def test_it_speaks_chinese(services: Services, log_in: Callable[..., Pages]) -> None:
    rows.webhook(services, failures=2)
    text = text_of(log_in("root", "zh").visit("/").main)
    for wanted in ("概览", "失败的 Webhook", "连续失败 2 次", "成功率", "投递趋势", "最近 24 小时"):
        assert wanted in text


def test_a_range_that_there_is_not_is_refused(pages: Pages) -> None:
    assert "range" in text_of(pages.visit("/?range=2h", status=400).main)


def test_series_and_axis_go_as_far_as_is_counted(services: Services) -> None:
    now = now_ms()
    store([(now - HOUR_MS, "w", "SUCCESS", 100), (now - HOUR_MS, "w", "ERROR", 0)])
    measure_logs(now)
    found = statistics(EVERYTHING, RANGES["24h"], now)
    status, durations = status_chart(found), durations_chart(found)
    assert status["end"] - status["start"] == 25 * 3_600
    assert (status["at"][0], status["step"], len(status["at"])) == (status["start"], 3_600, 25)
    assert [sum(series["values"]) for series in status["series"]] == [1, 0, 1]
    assert [value for value in durations["series"][0]["values"] if value is not None] == [90.0]


def test_changes_say_whether_they_are_good() -> None:
    now = Summary(90, 10, 0, 10.0, 300.0, 400.0)
    before = Summary(99, 1, 0, 10.0, 200.0, 400.0)
    changes = changes_of(Comparison(now, before))
    assert {name: tuple(change) for name, change in changes.items()} == {
        "attempts": ("±0 %", ""),
        "rate": ("−9.00 points", "bad-text"),
        "p95": ("+50 %", "bad-text"),
    }
    nothing = Summary(0, 0, 0, None, None, None)
    assert (changes_of(None), changes_of(Comparison(now, nothing)), changes_of(Comparison(nothing, nothing))) == (
        {}, {}, {},
    )  # fmt: skip
