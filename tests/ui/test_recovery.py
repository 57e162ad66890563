"""The pages of recovery: where trouble is, sending again one by one and as a job, and replaying."""

import re
from collections.abc import Callable

import pytest
from bs4 import BeautifulSoup

from app.clock import now_ms
from app.ids import id_at
from app.jobs import work
from app.models import DEAD, FAIL, HELD, PENDING, Delivery, Job
from app.services import Services
from tests.rows import change, deliveries, delivery, event, log, webhook, write_events
from tests.ui.conftest import Pages, text_of

pytestmark = pytest.mark.sqlite_only

HOUR = 3_600_000
HOSTILE = "<b>boom</b>"


@pytest.fixture
def at() -> int:
    """An hour ago: what is older than logs are kept is not replayed."""
    return now_ms() - HOUR


def listed(page: BeautifulSoup) -> list[str]:
    return [str(row["id"]).removeprefix("delivery-") for row in page.select("tr[id^=delivery-]")]


def form_of(page: BeautifulSoup) -> dict[str, object]:
    """Return the fields of the form that confirms a preview."""
    found: dict[str, object] = {}
    for field in page.select(".preview form input"):
        known = found.get(str(field["name"]))
        found[str(field["name"])] = field["value"] if known is None else [known, field["value"]]
    return found


def shown_job(page: BeautifulSoup) -> tuple[str, list[str]]:
    return text_of(page.select_one(".job-state")), [text_of(value) for value in page.select("#job .value")]


def test_trouble_comes_first_with_what_failed_and_how(services: Services, pages: Pages, at: int) -> None:
    worst, stopped, healthy = webhook(services), webhook(services, "q"), webhook(services, "r")
    event("e", at)
    dead = [delivery(worst, "e", at + number, state=DEAD, attempt=3) for number in range(2)]
    held = delivery(stopped, "e", at + 5, state=HELD)
    delivery(healthy, "e", at)
    change(stopped, enabled=False)
    failed = log(worst, "e", dead[1], at + 10, status=FAIL, response_status=500, error=HOSTILE)
    shown = pages.visit("/recovery")
    rows = shown.select("#trouble tbody tr")
    assert [text_of(row.select("td")[2]) for row in rows] == ["2", "0"]
    assert "Send again" in text_of(rows[0])
    assert "Enable it first" in text_of(rows[1])
    assert listed(shown) == [held, dead[1], dead[0]]
    assert "the webhook is disabled" in text_of(shown.select_one(f"#delivery-{held}"))
    row = shown.select_one(f"#delivery-{dead[1]}")
    assert f"failure 500 3 attempts {HOSTILE}" in text_of(row)
    assert row.select_one(f"a[href='/logs/{failed}']") is not None
    assert row.select_one("b") is None


def test_no_trouble_is_said(pages: Pages) -> None:
    shown = pages.visit("/recovery")
    assert "No webhook is in trouble" in text_of(shown.select_one(".empty"))
    assert "No delivery is like that" in text_of(pages.visit("/recovery?state=DEAD"))


def test_filters_are_in_the_url_in_utc_and_pages_go_back(services: Services, pages: Pages, at: int) -> None:
    hook, other = webhook(services), webhook(services)
    ids = deliveries(hook, 60, at, state=DEAD)
    delivery(other, _event_of(ids[0]), at, state=HELD)
    first = pages.visit(f"/recovery?webhook={hook}&state=DEAD&trigger=NODE_CREATED")
    assert listed(first) == ids[:34:-1]
    older = first.select_one("a.older")
    assert text_of(older) == "Older"
    assert listed(pages.visit(str(older["href"]))) == ids[34:9:-1]
    pages.client.set_cookie("zone", "Asia/Shanghai")
    answer = pages.client.get("/recovery?from=2021-12-27T08:00&to=")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/recovery?from=2021-12-27T00%3A00%3A00.000Z")
    assert listed(pages.visit("/recovery?state=HELD")) != []


def _event_of(delivery_id: str) -> str:
    return str(Delivery.get_by_id(delivery_id).event_id)


def test_of_one_webhook_what_is_on_its_way_is_listed_too(services: Services, pages: Pages, at: int) -> None:
    hook = webhook(services)
    event("e", at)
    new, tried = delivery(hook, "e", at), delivery(hook, "e", at + 1, attempt=1)
    waiting = delivery(hook, "e", at + 2, state="WAITING")
    shown = pages.visit(f"/recovery?webhook={hook}&state=PENDING")
    assert listed(shown) == [tried, new]
    assert "waits for a retry" in text_of(shown.select_one(f"#delivery-{tried}"))
    assert listed(pages.visit(f"/recovery?webhook={hook}&state=WAITING")) == [waiting]
    assert listed(pages.visit(f"/recovery?webhook={hook}")) == [tried]
    assert "Choose a webhook" in text_of(pages.visit("/recovery?state=PENDING").select_one("#list .empty"))


@pytest.mark.parametrize(
    ("query", "status"),
    [("state=LOST", 400), ("trigger=NOTHING", 400), ("from=yesterday", 400), ("cursor=x", 400),
     ("webhook=" + "0" * 32, 404), ("from=2021-12-28T00:00:00.000Z&to=2021-12-27T00:00:00.000Z", 400)],
)  # fmt: skip
def test_what_is_not_there_is_said(pages: Pages, query: str, status: int) -> None:
    pages.visit(f"/recovery?{query}", status)


def test_others_see_and_send_their_own(services: Services, log_in: Callable[..., Pages], at: int) -> None:
    mine, other = webhook(services), webhook(services, "other")
    event("e", at)
    own, foreign = delivery(mine, "e", at, state=DEAD), delivery(other, "e", at, state=DEAD)
    manager = log_in("repo-manager", language="zh")
    shown = manager.visit("/recovery")
    assert listed(shown) == [own]
    assert text_of(shown.h1) == "恢复"
    manager.visit(f"/recovery?webhook={other}", 404)
    manager.visit(f"/recovery/resend?webhook={other}&preview=1&state=DEAD", 404)
    manager.visit("/recovery")
    assert "投递不存在" in text_of(manager.send("/recovery/resend-one", {"delivery": foreign}).select_one("#said"))
    assert Delivery.get_by_id(foreign).state == DEAD


def test_one_is_sent_again_and_the_list_stays_where_it_was(services: Services, pages: Pages, at: int) -> None:
    hook = webhook(services)
    event("e", at)
    dead = delivery(hook, "e", at, state=DEAD)
    shown = pages.visit(f"/recovery?webhook={hook}&state=DEAD")
    fields = {field["name"]: field["value"] for field in shown.select(f"#delivery-{dead} input")}
    answer = pages.post("/recovery/resend-one", fields)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/recovery?webhook={hook}&state=DEAD")
    assert Delivery.get_by_id(dead).state == PENDING
    led = pages.post("/recovery/resend-one", {"delivery": "x", "back": "//elsewhere.example/recovery"})
    assert led.headers["Location"] == "/recovery"
    assert pages.client.post("/recovery/resend-one", data={"delivery": dead}).status_code == 400


def test_many_are_sent_again_after_a_preview_and_sending_twice_makes_one_job(
    services: Services, pages: Pages, at: int
) -> None:
    hook = webhook(services)
    ids = deliveries(hook, 3, at, state=DEAD)
    delivery(hook, _event_of(ids[0]), at, attempt=1)
    preview = pages.visit(f"/recovery/resend?webhook={hook}&state=DEAD&preview=1")
    assert "Send 3 deliveries again?" in text_of(preview.select_one(".preview h2"))
    assert "http://receiver.example/hook" in text_of(preview.select_one(".preview"))
    form = form_of(preview)
    shown = pages.send("/recovery/resend", form)
    assert "The job has begun." in text_of(shown.select_one("#said"))
    assert shown_job(shown) == ("about to begin", ["0", "0", "…"])
    assert shown.select_one("#job")["data-live"] == "1"
    again = pages.send("/recovery/resend", form)
    assert text_of(again.select_one("#said")) == ""
    [job] = Job.select()
    work(services, now_ms())
    ended = pages.visit(f"/recovery/jobs/{job.id}")
    assert shown_job(ended) == ("done", ["3", "0", "3"])
    assert "data-live" not in ended.select_one("#job").attrs
    assert (ended.progress["value"], ended.progress["max"], text_of(ended.select_one(".job-share"))) == (
        "3",
        "3",
        "100 %",
    )
    assert pages.visit("/recovery").select_one(f"a[href='/recovery/jobs/{job.id}']") is not None


def test_a_job_stands_in_the_way_of_another_and_can_be_stopped(services: Services, pages: Pages, at: int) -> None:
    hook = webhook(services)
    deliveries(hook, 600, at, state=DEAD)
    url = f"/recovery/resend?webhook={hook}&state=DEAD&state=FAILED&preview=1"
    first, second = form_of(pages.visit(url)), form_of(pages.visit(url))
    pages.send("/recovery/resend", first)
    [job] = Job.select()
    refused = pages.send("/recovery/resend", second, 429)
    assert refused.select_one(f".error a[href='/recovery/jobs/{job.id}']") is not None
    work(services, now_ms())
    running = pages.visit(f"/recovery/jobs/{job.id}")
    assert shown_job(running) == ("running", ["500", "0", "600"])
    assert text_of(running.select_one(".job-share")) == "83.33 %"
    assert "nothing is taken back" in text_of(running.select_one("dialog"))
    stopped = pages.send(f"/recovery/jobs/{job.id}/cancel", {})
    assert shown_job(stopped)[0] == "cancelled"
    assert "nothing to cancel" in text_of(pages.send(f"/recovery/jobs/{job.id}/cancel", {}).select_one("#said"))


def test_what_is_missing_is_replayed(services: Services, pages: Pages, at: int) -> None:
    hook = webhook(services)
    write_events([("e1", at), ("e2", at + 1)])
    assert "from is required" in text_of(pages.visit(f"/recovery/replay?webhook={hook}&preview=1", 400))
    since = "2020-01-01T00:00:00.000Z"
    preview = pages.visit(f"/recovery/replay?webhook={hook}&from={since}&trigger=NODE_CREATED&preview=1")
    assert "Go over 2 events?" in text_of(preview.select_one(".preview h2"))
    pages.send("/recovery/replay", form_of(preview))
    work(services, now_ms())
    [job] = Job.select()
    shown = pages.visit(f"/recovery/jobs/{job.id}")
    assert shown_job(shown) == ("done", ["2", "0", "2"])
    assert re.search(r"Begun .* by root", text_of(shown))


@pytest.mark.parametrize(
    ("query", "said"),
    [("", "webhook is required"), ("webhook={}", "state is required"), ("webhook={}&state=LOST", "LOST"),
     ("webhook={}&state=DEAD&from=x", "from must be a date")],
)  # fmt: skip
def test_the_form_says_what_is_wrong(services: Services, pages: Pages, query: str, said: str) -> None:
    shown = pages.visit(f"/recovery/resend?preview=1&{query.format(webhook(services))}", 400)
    assert said in text_of(shown.select_one(".error"))
    assert shown.select_one(".preview") is None


def test_nothing_is_previewed_for_one_that_is_disabled(services: Services, pages: Pages) -> None:
    hook = webhook(services, enabled=False)
    shown = pages.visit(f"/recovery/resend?preview=1&webhook={hook}&state=DEAD", 400)
    assert "enable it first" in text_of(shown.select_one(".error"))


def test_a_form_without_its_key_begins_nothing(services: Services, pages: Pages) -> None:
    pages.visit("/recovery")
    pages.send("/recovery/resend", {"webhook": webhook(services), "state": "DEAD"}, 400)
    assert Job.select().count() == 0


def test_a_job_says_why_it_stopped_and_someone_elses_is_not_there(
    services: Services, pages: Pages, log_in: Callable[..., Pages], at: int
) -> None:
    hook = webhook(services)
    deliveries(hook, 2, at, state=DEAD)
    pages.send("/recovery/resend", form_of(pages.visit(f"/recovery/resend?webhook={hook}&state=DEAD&preview=1")))
    [job] = Job.select()
    Job.update(created_at=at).execute()
    assert "no scheduler seems to be at work" in text_of(pages.visit(f"/recovery/jobs/{job.id}"))
    change(hook, enabled=False)
    work(services, now_ms())
    assert "The webhook was disabled." in text_of(pages.visit(f"/recovery/jobs/{job.id}").select_one(".error"))
    outsider = log_in("outsider")
    outsider.visit(f"/recovery/jobs/{job.id}", 404)
    outsider.visit(f"/recovery/jobs/{id_at(at)}", 404)
    outsider.visit("/recovery")
    outsider.send(f"/recovery/jobs/{job.id}/cancel", {}, 404)
