"""The pages of events."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from bs4 import BeautifulSoup, Tag

from app import event_query
from app.ids import id_at
from app.ingest import keep_rejected, rejected_row
from app.models import DEAD, FAIL, HELD, PENDING, Delivery, Event, RejectedEvent
from app.services import Services
from app.shown_text import visible
from tests.rows import AT, change, delivery, event, log, webhook, write_events
from tests.ui.conftest import Pages, text_of

pytestmark = pytest.mark.sqlite_only

Log = Callable[..., Pages]
HOSTILE = "<script>alert(1)</script>\u202e\"'&"
NOW = AT + 1_000


def rows(found: BeautifulSoup) -> list[str]:
    return [text_of(row) for row in found.select("main table:first-of-type tbody tr")]


def form_of(part: Any, path: str) -> dict[str, str]:
    """Return the fields of the first form that goes to `path`."""
    form = part.find("form", action=path)
    assert isinstance(form, Tag)
    return {str(each["name"]): str(each["value"]) for each in form.find_all("input")}


@pytest.fixture
def recent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the pages believe that the events of these tests are young."""
    monkeypatch.setattr("app.ui.events.now_ms", lambda: NOW)


def test_without_events_the_list_says_where_they_come_from(pages: Pages) -> None:
    found = pages.visit("/events")
    assert "There are no events yet" in text_of(found.main)
    assert found.find("a", href="/publish")


def test_the_list_shows_the_newest_first_in_pages(pages: Pages, services: Services) -> None:
    write_events([(f"e{number:02}", AT + number) for number in range(60)])
    Event.update(resource_key=Event.id, error="broken").execute()
    found = pages.visit("/events")
    assert "e59" in rows(found)[0]
    assert len(rows(found)) == 50
    assert "no payload" in rows(found)[0]
    [older] = found.select("a.older")
    assert "e09" in rows(pages.visit(str(older["href"])))[0]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("type=NODE_DELETED", "e1"),
        ("project=q", "e2"),
        ("repo=s", "e3"),
        ("user=v", "e4"),
        ("key=/b", "e5"),
        ("part=B", "e5"),
        ("from=2021-12-27T00:00:00.006Z", "e6"),
        ("to=2021-12-27T00:00:00.000Z", "e0"),
    ],
)
def test_filters_narrow_the_list(pages: Pages, services: Services, query: str, found: str) -> None:
    variants: tuple[dict[str, str], ...] = (
        *({}, {"type": "NODE_DELETED"}, {"project_id": "q"}, {"repo_name": "s"}, {"user_id": "v"}),
        *({"resource_key": "/b"}, {}),
    )
    for number, columns in enumerate(variants):
        event(f"e{number}", AT + number, **columns)
    [row] = pages.visit(f"/events?{query}").select("tbody tr")
    [link] = row.select("a")
    assert link["href"] == f"/events/view?id={found}"


def test_local_times_become_utc_in_the_url(pages: Pages) -> None:
    pages.client.set_cookie("zone", "Asia/Shanghai")
    answer = pages.client.get("/events?from=2021-12-27T08:00&to=&project=p")
    assert answer.status_code == 303
    assert answer.location == "/events?from=2021-12-27T00%3A00%3A00.000Z&project=p"


@pytest.mark.parametrize(
    ("query", "text"),
    [("from=x", "from must be a date"), ("from=2022-01-01T00:00:00Z&to=2021-01-01T00:00:00Z", "from is after to"),
     ("type=NOPE", "unknown event type"), ("cursor=x", "cursor is invalid"), ("user=" + "u" * 129, "user is longer")],
)  # fmt: skip
def test_what_cannot_be_a_filter_is_said_above_the_filters(pages: Pages, query: str, text: str) -> None:
    found = pages.visit(f"/events?{query}", status=400)
    assert text in text_of(found.select_one(".said.error"))
    assert found.select_one("form.filters")


def test_a_search_leads_to_an_id_else_to_a_key_else_to_a_part_of_one(pages: Pages, services: Services) -> None:
    event("e/1 x", resource_key="/b")
    event("e2", AT + 1, resource_key="/x/b")
    assert text_of(pages.visit("/events?q=e/1+x&type=NODE_MOVED").h1) == "NODE_CREATED"
    assert "exactly this resource key: /b" in text_of(pages.visit("/events?q=/b&project=p").main)
    assert len(rows(pages.visit("/events?q=/b&project=p"))) == 1
    found = pages.visit("/events?q=B&key=/x/b")
    assert "has this text in it: B" in text_of(found.main)
    assert len(rows(found)) == 2


def test_where_it_looked_at_many_in_vain_it_goes_on_further_back(
    pages: Pages, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_query, "SCAN", 5)
    write_events([(f"e{number}", AT + number) for number in range(12)])
    event("old", AT - 1, user_id="amy")
    found = pages.visit("/events?user=amy")
    assert "Nothing found so far" in text_of(found.main)
    for _ in range(2):
        [further] = found.select("a.older")
        assert text_of(further) == "Look further back"
        found = pages.visit(str(further["href"]))
    assert len(rows(found)) == 1


def test_others_see_the_events_of_what_they_manage(log_in: Log, services: Services) -> None:
    for number, (project, repo) in enumerate((("p", "r"), ("p", "s"), ("other", "r"), (None, None))):
        event(f"e{number}", project_id=project, repo_name=repo)
    for name, count in (("root", 4), ("project-manager", 2), ("repo-manager", 1), ("outsider", 1)):
        pages = log_in(name)
        assert len(rows(pages.visit("/events"))) == count
        pages.visit("/events/view?id=e1", status=200 if name in ("root", "project-manager") else 404)
        pages.visit("/events/payload?id=e0", status=404) if name == "outsider" else None


def test_an_event_shows_itself_and_where_it_went(pages: Pages, services: Services, recent: None) -> None:
    hooks = [webhook(services) for _ in range(4)]
    event("e", payload='{"eventType":"NODE_CREATED","size":1e5}')
    made = delivery(hooks[0], "e", state=DEAD, attempt=3)
    log(hooks[0], "e", made, attempt=3, status=FAIL, response_status=500, error="the receiver answered 500")
    log(hooks[1], "e", id_at(AT + 1))
    delivery(hooks[2], "e", state=HELD)
    change(hooks[2], circuit_until=AT, backlog=True)
    delivery(hooks[3], "e", id=id_at(AT + 9), queued_at=AT)
    found = pages.visit("/events/view?id=e")
    shown = rows(found)
    assert ["given up" in shown[0], "500" in shown[0], "the receiver answered 500" in shown[0]] == [True] * 3
    assert "held its webhook's circuit is open" in shown[1]
    assert "pending" in shown[2]
    assert "Send again" not in shown[2]
    assert "delivered" in shown[3]
    assert '"size": 1e5' in found.select_one("pre").get_text()  # type: ignore[union-attr]
    section = found.select_one("#fanout")
    assert section is not None
    assert section["data-live"] == "3"
    assert "given up 1 · held 1 · pending 1 · delivered 1" in text_of(section)


def test_it_says_why_others_got_nothing_and_in_chinese(log_in: Log, services: Services, recent: None) -> None:
    late, wrong = webhook(services), webhook(services, "p")
    change(late, created_at=AT + 5, last_modified_at=AT + 5)
    change(wrong, enabled=False, disabled_reason="the receiver answered 410 Gone", resource_key_pattern="<b>.*")
    elsewhere = webhook(services, "q")
    event("e")
    found = log_in("root").visit("/events/view?id=e")
    text = text_of(found.select("section")[1])
    assert "matches now It was made after the event, 2021-12-27 00:00:00 . Replay" in text
    assert "It is disabled. (the receiver answered 410 Gone)" in text
    assert "Its pattern does not match the whole resource key: <b>.*" in text
    assert "is for another project" not in text
    more = log_in("root").visit("/events/view?id=e&elsewhere=1")
    assert "It is for another project or repository." in text_of(more.select_one("#elsewhere"))
    chinese = log_in("root", "zh").visit("/events/view?id=e")
    assert "它在事件之后创建" in text_of(chinese.main)
    for asked, answer in ((elsewhere, "another project"), ("nonsense", "webhook not found"), (late, "matches now")):
        found = log_in("root").visit(f"/events/view?id=e&webhook={asked}")
        assert answer in text_of(found.select_one("#asked"))


def test_a_webhook_made_later_has_the_event_replayed_once(pages: Pages, services: Services, recent: None) -> None:
    hook = webhook(services)
    event("e /1", AT - 1)
    found = pages.visit(f"/events/view?id={quote('e /1')}")
    form = form_of(found, "/events/replay")
    assert form["webhook"] == hook
    found = pages.send("/events/replay", form)
    assert "The event is replayed" in text_of(found.select_one("#said"))
    assert len(found.select("#fanout tbody tr")) == 1
    assert "has got the event already" in text_of(pages.send("/events/replay", form).select_one("#said"))
    assert Delivery.select().count() == 1


def test_replay_is_refused_in_words(pages: Pages, services: Services, recent: None) -> None:
    hook = webhook(services, triggers='["NODE_MOVED"]')
    event("e")
    pages.visit("/events/view?id=e")
    found = pages.send("/events/replay", {"event": "e", "webhook": hook})
    assert "does not match the webhook as it is now" in text_of(found.select_one("#said"))
    pages.send("/events/replay", {"event": "unknown", "webhook": hook}, status=404)


def test_an_old_event_is_not_offered_for_replay(pages: Pages, services: Services) -> None:
    webhook(services)
    event("e")
    found = pages.visit("/events/view?id=e")
    assert "It can't be replayed: the event is so old" in text_of(found.main)
    assert not found.find("form", action="/events/replay")


def test_a_delivery_is_sent_again(pages: Pages, services: Services) -> None:
    hook = webhook(services)
    event("e")
    made = delivery(hook, "e", state=DEAD, attempt=3)
    form = form_of(pages.visit("/events/view?id=e"), "/events/resend")
    assert form["delivery"] == made
    found = pages.send("/events/resend", form)
    assert "is made again" in text_of(found.select_one("#said"))
    assert Delivery.get_by_id(made).state == PENDING
    change(hook, enabled=False)
    assert "the webhook is disabled" in text_of(pages.send("/events/resend", form).select_one("#said"))


def test_nobody_sends_again_or_replays_what_is_anothers(log_in: Log, services: Services) -> None:
    hook = webhook(services)
    event("e")
    made = delivery(hook, "e", state=DEAD, attempt=3)
    pages = log_in("outsider")
    pages.visit("/events")
    pages.send("/events/resend", {"event": "e", "delivery": made}, status=404)
    pages.send("/events/replay", {"event": "e", "webhook": hook}, status=404)
    assert Delivery.get_by_id(made).state == DEAD
    without_token = pages.client.post("/events/resend", data={"event": "e", "delivery": made})
    assert without_token.status_code == 400


def test_what_producers_sent_is_text(pages: Pages, services: Services) -> None:
    columns = dict.fromkeys(("project_id", "repo_name", "resource_key", "user_id", "source", "error"), HOSTILE)
    event(HOSTILE, payload=f'{{"a":"{"<img src=x onerror=alert(1)>"}', **columns)
    keep_rejected([rejected_row(HOSTILE, 0, HOSTILE, HOSTILE, now=AT)])
    for path in ("/events", f"/events/view?id={quote(HOSTILE)}", "/events/rejected"):
        if path.startswith("/events/view"):
            Event.update(id="e").execute()
            path = "/events/view?id=e"
        found = pages.visit(path)
        assert not [each for each in found.find_all("script") if not each.get("src")]
        assert not found.select("main img")
        assert visible(HOSTILE) in found.main.get_text()  # type: ignore[union-attr]


def test_the_payload_comes_as_a_file_just_as_it_is(pages: Pages, services: Services) -> None:
    event("e", payload='{"a": 1e5}')
    answer = pages.client.get("/events/payload?id=e")
    assert (answer.text, answer.mimetype) == ('{"a": 1e5}', "application/json")
    assert answer.headers["Content-Disposition"].startswith("attachment")


def test_a_long_payload_is_shown_in_part(pages: Pages, services: Services) -> None:
    event("e", payload='{"a":"' + "x" * 100_000 + '"}')
    found = pages.visit("/events/view?id=e")
    assert len(found.select_one("pre").get_text()) == 65_536  # type: ignore[union-attr]
    assert "This is its beginning" in text_of(found.main)


def test_rejected_events_are_shown_tried_again_and_discarded(log_in: Log, services: Services) -> None:
    valid = {"type": "NODE_CREATED", "projectId": "p", "repoName": "r", "resourceKey": "/a"}
    keep_rejected(
        [rejected_row("m", place, "type: unknown_type", value, now=AT) for place, value in enumerate((valid, {}))]
    )
    pages = log_in("root")
    assert pages.visit("/events").find("a", href="/events/rejected")
    found = pages.visit("/events/rejected")
    assert text_of(found.select("article h2")[0]) == "type: unknown_type"
    bad, good = _retries(found)
    assert "still can't be accepted" in text_of(pages.send(bad, {}).select_one("#said"))
    assert "was accepted" in text_of(pages.send(good, {}).select_one("#said"))
    assert Event.select().count() == 1
    [discard] = [str(form["action"]) for form in pages.visit("/events/rejected").select("dialog form")]
    assert "No event was rejected" in text_of(pages.send(discard, {}).main)
    assert RejectedEvent.select().count() == 0
    pages.send(discard, {}, status=404)
    other = log_in("project-manager")
    other.visit("/events/rejected", status=403)


def _retries(found: BeautifulSoup) -> tuple[str, str]:
    """Return where the forms go that try the bad event and the good one."""
    by_text = {text_of(article.select_one("pre")): article for article in found.select("article.panel")}
    bad = next(article for text, article in by_text.items() if "NODE_CREATED" not in text)
    good = next(article for text, article in by_text.items() if "NODE_CREATED" in text)
    paths = [str(form["action"]) for each in (bad, good) for form in each.select("form[action$=retry]")]
    return paths[0], paths[1]
