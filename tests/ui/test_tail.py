"""The live tail: what the page shows first, what a look brings, and the stream's messages."""

from collections.abc import Callable, Iterator

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from werkzeug.test import TestResponse

from app import log_tail
from app.api.context import EXTENSION, Context
from app.clock import now_ms
from app.ids import id_at
from app.models import FAIL, User
from app.readers import Readers
from app.services import Services
from app.sse import message
from tests.rows import log, webhook
from tests.ui.conftest import Pages, text_of

pytestmark = pytest.mark.sqlite_only

HOSTILE = "<script>alert(1)</script>"
STREAM = {"Accept": "text/event-stream"}


def made(webhook_id: str, ago_ms: int = 0, **columns: object) -> str:
    at = now_ms() - ago_ms
    return log(webhook_id, "e", id_at(at), at, **columns)


def ids(part: BeautifulSoup) -> list[str]:
    return [str(row["id"]).removeprefix("log-") for row in part.select("tr[id]")]


def rows_of(answer: TestResponse) -> BeautifulSoup:
    assert answer.status_code == 200
    return BeautifulSoup(f"<table>{answer.text}</table>", "html5lib")


@pytest.fixture
def place_for_one(app: Flask) -> Readers:
    """Have the application serve one reader at a time."""
    readers = Readers(1)
    known: Context = app.extensions[EXTENSION]
    app.extensions[EXTENSION] = Context(known.services, known.authenticator, readers)
    return readers


def test_the_page_begins_with_the_newest_and_shows_what_came_as_text(services: Services, pages: Pages) -> None:
    hook = webhook(services)
    first = made(hook, 5_000, status=FAIL, response_status=500, error=HOSTILE, attempt=0)
    second = made(hook, 1_000)
    shown = pages.visit("/tail")
    assert ids(shown) == [second, first]
    failed = shown.select_one(f"#log-{first}")
    assert HOSTILE in text_of(failed)
    assert failed.select_one("script") is None
    assert failed.select_one("a")["href"] == f"/logs/{first}"
    assert "by hand" in text_of(failed)
    assert "failure 500" in text_of(failed)


def test_filters_are_in_the_url_and_hold_for_what_comes_later(services: Services, pages: Pages) -> None:
    hook, other = webhook(services), webhook(services)
    bad = made(hook, status=FAIL, triggered_event="NODE_MOVED")
    made(hook)
    made(other, status=FAIL)
    query = f"webhook={hook}&status=failures&trigger=NODE_MOVED"
    shown = pages.visit(f"/tail?{query}")
    assert ids(shown) == [bad]
    root = shown.select_one("[data-stream]")
    assert (root["data-stream"], root["data-rows"]) == (f"/tail/stream?{query}", f"/tail/rows?{query}")
    assert [option["value"] for option in shown.select("option[selected]") if option.get("value")] == [hook, "failures"]


@pytest.mark.parametrize(
    ("query", "status"),
    [("status=good", 400), ("trigger=NOTHING", 400), ("webhook=" + "0" * 32, 404), ("webhook=x", 404)],
)
@pytest.mark.parametrize("path", ["/tail", "/tail/rows", "/tail/stream"])
def test_what_is_not_there_is_said(pages: Pages, path: str, query: str, status: int) -> None:
    assert pages.client.get(f"{path}?{query}").status_code == status


def test_others_see_their_own(services: Services, log_in: Callable[..., Pages]) -> None:
    mine, other = webhook(services), webhook(services, "other")
    seen = made(mine)
    made(other)
    manager = log_in("repo-manager", language="zh")
    shown = manager.visit("/tail")
    assert ids(shown) == [seen]
    assert text_of(shown.h1) == "实时日志"
    assert manager.client.get(f"/tail/rows?webhook={other}").status_code == 404


def test_nothing_yet_is_said(pages: Pages) -> None:
    assert "Nothing was delivered" in text_of(pages.visit("/tail").select_one(".empty"))


def test_a_look_brings_what_is_new_and_says_from_when_to_go_on(services: Services, pages: Pages) -> None:
    hook = webhook(services)
    made(hook, 60_000)
    at = str(pages.visit("/tail").select_one("[data-at]")["data-at"])
    new = made(hook)
    answer = pages.client.get(f"/tail/rows?after={at}", headers={"HX-Request": "true"})
    assert ids(rows_of(answer)) == [new]
    assert int(answer.headers["Hookline-At"]) >= int(at)


def test_what_was_too_much_is_counted(services: Services, pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_tail, "MOST", 2)
    hook = webhook(services)
    at = now_ms()
    for _ in range(5):
        made(hook)
    shown = rows_of(pages.client.get(f"/tail/rows?after={at}"))
    assert len(ids(shown)) == 2
    assert "3 further deliveries came" in text_of(shown.select_one(".passed-over"))
    assert shown.select_one(".passed-over").find_previous_sibling("tr")["id"]


def test_an_ended_session_leads_to_the_login_page(app: Flask, services: Services) -> None:
    stranger = app.test_client()
    looked = stranger.get(
        "/tail/rows", headers={"HX-Request": "true", "HX-Current-URL": "http://here/tail?status=failures"}
    )
    assert (looked.status_code, looked.headers["HX-Redirect"]) == (204, "/login?next=/tail?status%3Dfailures")
    assert stranger.get("/tail/stream", headers=STREAM).status_code == 401


# --- the stream


def test_a_message_has_an_id_a_name_and_a_line_for_each_line() -> None:
    assert message("logs", 17, "<tr>\r\n\n</tr>\n") == "id: 17\nevent: logs\ndata: <tr>\ndata: \ndata: </tr>\n\n"
    assert message("beat", 17) == "id: 17\nevent: beat\ndata: \n\n"


def open_stream(pages: Pages, query: str = "", **headers: str) -> tuple[TestResponse, Iterator[str]]:
    answer = pages.client.get(f"/tail/stream{query}", headers=STREAM | headers, buffered=False)
    return answer, (chunk.decode() for chunk in answer.iter_encoded())


def test_the_stream_goes_on_from_the_last_message(services: Services, pages: Pages) -> None:
    hook = webhook(services)
    missed = made(hook)
    made(hook, 50_000)
    answer, messages = open_stream(pages, **{"Last-Event-ID": str(now_ms() - 1_000)})
    with answer:
        assert answer.mimetype == "text/event-stream"
        assert answer.headers["X-Accel-Buffering"] == "no"
        assert next(messages).startswith("id: ")
        first = next(messages)
        assert "event: logs\n" in first
        assert first.count("<tr id=") == 1
        assert f"log-{missed}" in first
        new = made(hook)
        assert f"log-{new}" in next(messages)


def test_one_too_many_is_told_to_come_back_and_a_place_is_free_once_a_reader_is_gone(
    pages: Pages, place_for_one: Readers
) -> None:
    answer, messages = open_stream(pages)
    with answer:
        next(messages)
        refused = pages.client.get("/tail/stream", headers=STREAM)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert place_for_one.present == 0
    assert pages.client.head("/tail/stream").status_code == 503
    unread, _ = open_stream(pages)
    unread.close()
    assert place_for_one.present == 0


def test_the_stream_ends_with_the_process(pages: Pages, place_for_one: Readers) -> None:
    answer, messages = open_stream(pages)
    with answer:
        next(messages)
        place_for_one.end()
        assert list(messages) == []


def test_it_ends_where_the_user_is_gone(services: Services, pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_tail, "RECHECK_MS", 0)
    monkeypatch.setattr(log_tail, "INTERVAL_S", 0.01)
    answer, messages = open_stream(pages)
    with answer:
        next(messages)
        User.update(password_hash="another").where(User.id == "root").execute()
        assert [text for text in messages if "event: beat" not in text] == []
