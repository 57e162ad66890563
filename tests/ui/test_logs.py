"""The pages of logs."""

import json
from collections.abc import Callable

import pytest
from bs4 import BeautifulSoup, Tag

from app import log_search
from app.log_search import PAGE
from app.models import ERROR, FAIL, Event, WebhookLog
from app.services import Services
from app.webhooks import delete_webhook
from tests.receiver import Answer, Receiver
from tests.rows import ADMIN, AT, change, event, log, webhook
from tests.ui.conftest import FRAGMENT, Pages, text_of

pytestmark = pytest.mark.sqlite_only

LogIn = Callable[..., Pages]

HOSTILE = "<script>alert(1)</script>\u202e\"'&\x1b[2J"
SHOWN = "<script>alert(1)</script>‹U+202E›\"'&‹U+001B›[2J"


def rows(found: BeautifulSoup) -> list[Tag]:
    return found.select("tr.log")


def one(found: BeautifulSoup, selector: str) -> Tag:
    part = found.select_one(selector)
    assert part is not None
    return part


def ids(found: BeautifulSoup) -> list[str]:
    return [str(row["id"]).removeprefix("log-") for row in rows(found)]


@pytest.fixture
def mine(services: Services) -> str:
    return webhook(services, "p:r")


def test_without_logs_the_list_says_what_to_do(pages: Pages) -> None:
    found = pages.visit("/logs")
    assert "Nothing was sent yet" in text_of(found.main)
    assert found.find("a", href="/webhooks/new")


def test_a_row_shows_an_attempt_and_leads_on(pages: Pages, mine: str) -> None:
    log_id = log(mine, event("e/1"), "d" * 32, status=FAIL, response_status=503, error="busy", duration_ms=1_500)
    [row] = rows(pages.visit("/logs"))
    assert text_of(row).endswith(
        "2021-12-27 00:00:00 failure 503 given up http://receiver.example/hook NODE_CREATED 1 1.5 s busy"
    )
    links = [str(link["href"]) for link in row.select("a")]
    assert links == [f"/logs/{log_id}", f"/webhooks/{mine}", "/events/view?id=e/1"]
    assert row.select("time")[0]["title"] == "2021-12-27 00:00:00.010 UTC"


def test_pages_follow_each_other_as_a_link_and_as_rows(pages: Pages, mine: str) -> None:
    made = [log(mine, "e", "d", AT + number) for number in range(PAGE + 3)][::-1]
    first = pages.visit("/logs")
    assert ids(first) == made[:PAGE]
    older = str(one(first, "a.older")["href"])
    assert ids(pages.visit(older)) == made[PAGE:]
    part = pages.client.get(older, headers=FRAGMENT)
    assert part.text.strip().startswith("<tr")
    assert part.text.count('class="log"') == 3
    assert 'class="older"' not in part.text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=failures", [3, 1]),
        ("status=SUCCESS", [5, 4, 2, 0]),
        ("status=ERROR", [3]),
        ("trigger=NODE_DELETED", [2]),
        ("event=e4", [4]),
        ("delivery=d1&event=e", [1]),
        ("q=NEEDLE", [5, 4]),
        ("from=2021-12-27T00:00:00.004Z", [5, 4]),
        ("to=2021-12-27T00:00:00.001Z&status=", [1, 0]),
        ("status=FAIL&q=nothing", []),
    ],
)
def test_filters_are_in_the_url(pages: Pages, mine: str, query: str, found: list[int]) -> None:
    event("e")
    event("e4", payload='{"a":"needle"}')
    different = [
        {},
        {"status": FAIL, "delivery_id": "d1"},
        {"triggered_event": "NODE_DELETED"},
        {"status": ERROR},
        {"event_id": "e4"},
        {"response_body": "a needle"},
    ]
    made = [
        log(mine, str(each.pop("event_id", "e")), str(each.pop("delivery_id", "d")), AT + number, **each)
        for number, each in enumerate(different)
    ]
    page = pages.visit(f"/logs?{query}")
    assert ids(page) == [made[number] for number in found]
    assert bool(found) != ("No log is like that" in text_of(page.main))


def test_one_webhooks_logs_need_no_column_for_it(pages: Pages, services: Services, mine: str) -> None:
    log(webhook(services, "p:s"), "e", "d")
    log_id = log(mine, "e", "d")
    page = pages.visit(f"/logs?webhook={mine}")
    assert ids(page) == [log_id]
    assert "Webhook" not in [text_of(cell) for cell in page.select("thead th")]
    assert page.find("option", value=mine, selected=True)


def test_a_step_that_finds_too_little_says_how_far_it_looked(
    pages: Pages, mine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_search, "SCAN", 2)
    for number in range(3):
        log(mine, "e", "d", AT + number * 60_000)
    page = pages.visit("/logs?trigger=NODE_DELETED")
    assert "Nothing found so far." in text_of(page.main)
    assert "Looked at the logs back to 2021-12-27 00:01:00" in text_of(page.main)
    further = one(page, "a.older")
    assert text_of(further) == "Look further back"
    assert "There are no older logs" in text_of(pages.visit(str(further["href"])).main)


@pytest.mark.parametrize(
    "query",
    [
        *("status=NO", "trigger=NO", "from=yesterday", "cursor=x", "q=" + "x" * 257, "event=%00"),
        "from=2022-01-01T00:00:00Z&to=2021-01-01T00:00:00Z",
    ],
)
def test_a_filter_that_makes_no_sense_is_named_and_the_form_stays(pages: Pages, mine: str, query: str) -> None:
    page = pages.visit(f"/logs?{query}", 400)
    assert page.select_one("main [role=alert]")
    assert page.find("form", class_="filters")


def test_someone_elses_logs_are_not_there(log_in: LogIn, services: Services, mine: str) -> None:
    log_id = log(mine, event("e"), "d")
    outsider, manager = log_in("outsider"), log_in("repo-manager")
    assert ids(outsider.visit("/logs")) == []
    for path in (f"/logs?webhook={mine}", f"/logs/{log_id}", f"/logs/{log_id}/payload", f"/logs/{log_id}/answer"):
        assert "Not found" in text_of(outsider.visit(path, 404).main)
    outsider.visit("/logs")
    outsider.at = manager.visit("/logs")
    assert manager.send(f"/logs/{log_id}/retry", {}, 200)
    assert ids(manager.visit(f"/logs?webhook={mine}"))[-1] == log_id


def test_a_stranger_can_not_retry(log_in: LogIn, mine: str) -> None:
    log_id = log(mine, event("e"), "d")
    outsider = log_in("outsider")
    outsider.visit("/webhooks/new")
    outsider.send(f"/logs/{log_id}/retry", {}, 404)
    assert WebhookLog.select().count() == 1


def test_a_log_shows_request_answer_and_where_the_time_went(pages: Pages, mine: str) -> None:
    log_id = log(
        mine,
        event("e", payload='{"n":12345678901234567890,"b":1.10}'),
        "d" * 32,
        status=FAIL,
        error="the receiver answered 500",
        response_status=500,
        request_headers=json.dumps({"Content-Type": "application/json", "X-TOKEN": "****cdef"}),
        response_headers='{"Server":"x"}',
        response_body="it's broken",
        timing='{"dns":120,"connect":480,"tls":0,"firstByte":25480,"total":1025480}',
        next_attempt_at=AT + 5_000,
    )
    page = pages.visit(f"/logs/{log_id}")
    main = text_of(page.main)
    for expected in (
        "failure 500",
        "the receiver answered 500",
        "next one 2021-12-27 00:00:05",
        "Looking up the name 120 µs",
        "Connecting 360 µs",
        "Waiting for the first byte 25.0 ms",
        "Receiving the answer 1.00 s",
        "X-TOKEN ****cdef",
        "HTTP 500",
    ):
        assert expected in main
    assert "TLS handshake" not in main
    assert one(page, f"#payload-{log_id}").text == '{\n  "n": 12345678901234567890,\n  "b": 1.10\n}'
    assert one(page, f"#body-{log_id}").text == "it's broken"
    command = one(page, f"#curl-{log_id}").text
    assert "--header 'X-TOKEN: ****cdef'" in command
    assert command.endswith("""--data-raw '{"n":12345678901234567890,"b":1.10}'""")


def test_what_strangers_sent_is_text(pages: Pages, mine: str) -> None:
    body = (HOSTILE + "\x00" * 9) * 1_700
    headers = json.dumps({"X-Evil": HOSTILE})
    log_id = log(
        mine, event("e", payload=HOSTILE), "d", response_body=body, response_headers=headers, error=HOSTILE, url=HOSTILE
    )
    for path in (f"/logs/{log_id}", "/logs"):
        page = pages.visit(path)
        assert "alert(1)" not in "".join(script.text for script in page.select("script"))
        assert "\u202e" not in page.text
        assert "\x1b" not in page.text
        assert SHOWN in text_of(page.main)
    page = pages.visit(f"/logs/{log_id}")
    assert one(page, f"#payload-{log_id}").text == SHOWN
    body_shown = one(page, f"#body-{log_id}")
    assert body_shown.text.count("‹U+0000›") == 9 * 1_700
    assert one(page, f"details:not([open]) > #body-{log_id}")
    for name, text in (("payload", HOSTILE), ("answer", body)):
        answer = pages.client.get(f"/logs/{log_id}/{name}")
        assert answer.text == text
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_row_opens_to_a_part_of_the_page(pages: Pages, mine: str) -> None:
    log_id = log(mine, event("e"), "d")
    part = pages.fragment(f"/logs/{log_id}")
    assert part.select_one(f"[data-log='{log_id}']")
    assert part.find("header") is None
    assert part.find("a", href=f"/logs/{log_id}", string="On a page of its own")


def test_an_error_shows_the_raw_event_and_no_command(pages: Pages, mine: str) -> None:
    event("e", payload='{"type":"NODE_CREATED"}', error="data.node is missing")
    log_id = log(mine, "e", "d", status=ERROR, response_status=None, error="the payload could not be built")
    main = text_of(pages.visit(f"/logs/{log_id}").main)
    assert "This is what it was to be built from." in main
    assert "No request was made." in main
    assert "curl" not in main


def test_the_attempts_of_a_delivery_are_listed_with_each(pages: Pages, mine: str) -> None:
    event("e")
    made = [log(mine, "e", "d" * 32, AT + number, attempt=number) for number in range(1, 4)]
    log(mine, "e", "f" * 32)
    assert ids(pages.visit(f"/logs/{made[1]}")) == made[::-1]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_log_is_sent_again_and_the_new_one_shown(log_in: LogIn, mine: str, receiver: Receiver, language: str) -> None:
    change(mine, url=receiver.url)
    log_id = log(mine, event("e", payload='{"a":1}'), "d" * 32, status=FAIL)
    pages = log_in("repo-manager", language)
    pages.visit(f"/logs/{log_id}")
    page = pages.send(f"/logs/{log_id}/retry", {})
    said = {"en": "Sent again, and delivered.", "zh": "已重新发送并投递成功。"}
    assert text_of(page.select_one("p.said")) == said[language]
    assert receiver.received[0].body == b'{"a":1}'
    newest = WebhookLog.select().order_by(WebhookLog.id.desc()).first()
    assert page.select_one(f"main > [data-log='{newest.id}']")
    receiver.script.append(Answer(503))
    part = pages.client.post(f"/logs/{log_id}/retry", data={"csrf_token": pages.token()}, headers=FRAGMENT)
    assert "503" in part.text
    assert 'hx-swap-oob="innerHTML"' in part.text


def test_what_can_not_be_sent_again_says_why(pages: Pages, services: Services, mine: str) -> None:
    log_id, gone = log(mine, event("e"), "d"), webhook(services, "p:r")
    of_gone = log(gone, "e", "d")
    delete_webhook(ADMIN, gone, AT)
    page = pages.visit(f"/logs/{of_gone}")
    assert "The webhook was deleted" in text_of(page.main)
    assert page.find("form", action=f"/logs/{of_gone}/retry") is None
    pages.send(f"/logs/{of_gone}/retry", {}, 404)
    Event.delete().execute()
    page = pages.visit(f"/logs/{log_id}")
    assert "The event is not on record any more" in text_of(page.main)
    assert page.find("form", action=f"/logs/{log_id}/retry") is None


def test_the_list_in_chinese_and_in_the_viewers_zone(log_in: LogIn, mine: str) -> None:
    log(mine, "e", "d", AT)
    pages = log_in("root", "zh")
    pages.client.set_cookie("zone", "Asia/Shanghai")
    page = pages.visit("/logs?from=2021-12-27T08:00:00")
    assert one(page, "input[name=from]")["value"] == "2021-12-27T08:00:00"
    [row] = rows(page)
    assert "2021-12-27 08:00:00" in text_of(row)
    assert text_of(page.find("h1")) == "日志"
