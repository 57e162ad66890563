"""The pages about webhooks: who sees what, the form and its checks, two people who edit one, what is done to one."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from app.models import DEAD, HELD, Delivery, LogCount, Webhook
from app.services import Services
from app.webhooks import HOUR_MS, delete_webhook, find_webhook, update_webhook
from tests.receiver import Answer, Receiver
from tests.rows import ADMIN, AT, URL, change, deliveries, event, webhook
from tests.ui.conftest import FRAGMENT, Pages, text_of

pytestmark = pytest.mark.sqlite_only

GOOD = {
    "url": "http://receiver.example/hook",
    "associationType": "REPO",
    "associationId": "p:r",
    "triggers": ["NODE_CREATED"],
    "ordering": "none",
    "signing": "v1",
    "enabled": "on",
}
SCRIPT = "<script>alert(1)</script>"
LogIn = Callable[..., Pages]


def typed(pages: Pages) -> dict[str, Any]:
    """Return what the form on the page would send."""
    assert pages.at is not None
    found: dict[str, Any] = {}
    for control in pages.at.select("#webhook [name]"):
        name = str(control["name"])
        if control.get("type") == "checkbox":
            if control.has_attr("checked"):
                found.setdefault(name, []).append(control.get("value", "on"))
        elif control.name == "select":
            found[name] = str((control.select_one("[selected]") or control.select("option")[0])["value"])
        else:
            value = control.text.removeprefix("\n") if control.name == "textarea" else control.get("value", "")
            found.setdefault(name, []).append(value)
    return found


def errors(pages: Pages) -> dict[str, str]:
    """Return what is said to be wrong, by the field that it is tied to."""
    assert pages.at is not None
    tied = pages.at.select("[aria-invalid], #triggers")
    found = {str(field["id"]): pages.at.find(id=str(field["aria-describedby"]).split()[-1]) for field in tied}
    return {name: text_of(error) for name, error in found.items() if error is not None and error.text}


def test_each_sees_the_webhooks_that_he_may_manage(log_in: LogIn, services: Services) -> None:
    for place in ("p:r", "p:s", "q:r", ""):
        webhook(services, place, url=f"http://a/{place or 'all'}/{SCRIPT}")
    for name, seen in (("root", ["all", "q:r", "p:s", "p:r"]), ("project-manager", ["p:s", "p:r"]), ("outsider", [])):
        at = log_in(name).visit("/webhooks")
        assert [text_of(link) for link in at.select("td a")] == [f"http://a/{place}/{SCRIPT}" for place in seen]
        assert not at.select("main script")
    assert "No webhooks yet" in text_of(at)
    assert not at.select_one("[name=type] [value=SYSTEM]")


def test_filters_are_in_the_url_and_pages_go_on(pages: Pages, services: Services) -> None:
    for number in range(30):
        webhook(services, "p:r" if number else "q", url=f"http://a/{number}")
    at = pages.visit("/webhooks?q=HTTP&type=REPO&association=&state=enabled&trigger=NODE_CREATED")
    assert len(at.select("td a")) == 25
    assert at.select_one("[name=state] [selected]")["value"] == "enabled"
    older = at.select_one("a.older")["href"]
    assert older.startswith("/webhooks?q=HTTP&type=REPO&state=enabled&trigger=NODE_CREATED&cursor=")
    assert [text_of(link) for link in pages.visit(older).select("td a")] == [f"http://a/{n}" for n in (4, 3, 2, 1)]
    assert "No webhook matches" in text_of(pages.visit("/webhooks?q=nowhere"))
    pages.visit("/webhooks?state=ill", status=400)
    pages.visit("/webhooks?cursor=x", status=400)


def test_the_last_day_is_drawn_and_said(pages: Pages, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.ui.webhooks.now_ms", lambda: AT + HOUR_MS)
    webhook_id = webhook(services)
    for status, number in (("SUCCESS", 9), ("FAIL", 3)):
        LogCount.insert(
            webhook_id=webhook_id, hour=AT, triggered_event="NODE_CREATED", status=status, number=number
        ).execute()
    image = pages.visit("/webhooks").select_one(f"#webhook-{webhook_id} svg")
    assert image["aria-label"] == "Last 24 hours: 9 succeeded, 3 failed"
    assert [(bar["class"], bar["height"]) for bar in image.select("rect")] == [(["good"], "18"), (["bad"], "6")]


def test_all_that_is_wrong_is_told_at_its_field_and_what_was_typed_is_kept(pages: Pages) -> None:
    pages.visit("/webhooks/new")
    wrong = {
        **GOOD,
        "url": "ftp://x",
        "associationId": "p",
        "triggers": [],
        "resourceKeyPattern": "(",
        "timeout": "soon",
        "retrySchedule": "5s, 9",
        "rateLimit": "1.5",
        "rateBurst": "-1",
        "header_name": ["Host", "", "X-A", "x-a"],
        "header_value": ["a", "", "b", "c"],
        "clientCertificate": "none",
        "token": "项目",
    }
    at = pages.send("/webhooks/new", wrong, status=400)
    assert errors(pages) == {
        "url": "url must begin with http:// or https://",
        "associationId": "associationId must be projectId:repoName",
        "triggers": "triggers must not be empty",
        "resourceKeyPattern": "resourceKeyPattern is not a pattern that RE2 takes: missing ): (",
        "timeout": "timeout must be a number of seconds from 1 to 30, or 0 for what the settings say",
        "retrySchedule": 'retrySchedule[1]: "9" is not a duration such as 5s, 5m or 2h',
        "rateLimit": "rateLimit must be a whole number from 0 to 10000",
        "rateBurst": "rateBurst must be a whole number from 0 to 10000",
        "header-name-0": "headers: Host is reserved",
        "header-value-0": "headers: Host is reserved",
        "header-name-3": 'headers: "x-a" is given twice, in different case',
        "header-value-3": 'headers: "x-a" is given twice, in different case',
        "clientCertificate": "clientCertificate holds no certificate that can be read; "
        "give the chain and the key as PEM",
        "token": "token must hold only visible ASCII characters, spaces and tabs",
    }
    summary = at.select_one("#errors")
    assert summary.has_attr("autofocus")
    assert "12 things are wrong" in text_of(summary)
    links = [link["href"] for link in summary.select("a")]
    assert links[:4] == ["#url", "#associationId", "#triggers", "#resourceKeyPattern"]
    assert all(at.select_one(link) for link in links)
    assert len(at.select("details[open]")) == 2
    kept = typed(pages)
    assert [kept[name] for name in ("url", "retrySchedule", "token")] == [["ftp://x"], ["5s, 9"], ["项目"]]
    assert kept["header_name"] == ["Host", "", "X-A", "x-a", ""]
    assert Webhook.select().count() == 0


def test_nobody_makes_webhooks_of_what_is_not_his(log_in: LogIn) -> None:
    pages = log_in("repo-manager")
    pages.visit("/webhooks/new")
    pages.send("/webhooks/new", GOOD | {"associationId": "q:r"}, status=400)
    assert errors(pages) == {"associationId": "you may not manage the webhooks of REPO q:r"}
    pages.send("/webhooks/new", GOOD | {"triggers": ["WEBHOOK_FAILING"]}, status=400)
    assert "is for webhooks of SYSTEM and of projects only" in errors(pages)["triggers"]


def test_a_new_webhook_has_what_was_typed_and_its_secret_is_shown_once(pages: Pages, services: Services) -> None:
    pages.visit("/webhooks/new")
    full = {
        **GOOD,
        "trigger_group": ["Scans"],
        "resourceKeyPattern": r"/a/.*",
        "token": "a-long-token",
        "header_name": ["X-Env", ""],
        "header_value": ["staging", ""],
        "timeout": "2.5",
        "retrySchedule": "5s，5m 2h",
        "rateLimit": "10",
        "ordering": "resource",
    }
    at = pages.send("/webhooks/new", full)
    row = Webhook.get()
    assert json.loads(row.triggers) == ["NODE_CREATED", "SCAN_TRIGGERED", "SCAN_FINISHED"]
    assert (row.timeout_ms, row.retry_schedule, row.rate_limit, row.rate_burst) == (
        *(2500, "[5000, 300000, 7200000]", 10),
        None,
    )
    secret = services.vault.decrypt(row.secret)
    assert text_of(at.select_one("#signing-secret")) == secret
    path = f"/webhooks/{row.id}/secret"
    assert secret not in pages.visit(path).text
    assert secret in pages.send(path, {}).text
    shown = text_of(pages.visit(f"/webhooks/{row.id}"))
    for text in ("NODE_CREATED , SCAN_TRIGGERED , SCAN_FINISHED", "/a/.*", "****oken", "X-Env: staging", "2.5 s"):
        assert text in shown


def test_one_field_is_checked_while_the_others_are_still_empty(pages: Pages, services: Services) -> None:
    row = find_webhook(ADMIN, webhook(services))
    update_webhook(services, ADMIN, {"id": row.id, "token": "a-long-token"}, AT)
    pages.visit("/webhooks/new")
    for token, is_refused in (("****oken", True), ("****", True), ("other", False)):
        answer = pages.post("/webhooks/check", {"token": token, "url": ""}, headers=FRAGMENT)
        assert answer.status_code == 200
        assert "<html" not in answer.text
        assert ("token is masked" in answer.text) == is_refused
    answer = pages.post("/webhooks/check", {"id": row.id, "token": "****oken", "url": "http://a"}, headers=FRAGMENT)
    assert "token is masked" not in answer.text
    rows = {"header_name": ["A", "", "B"], "header_value": ["1", "", "2"]}
    answer = pages.post("/webhooks/check?remove=0", rows, headers=FRAGMENT)
    assert 'value="A"' not in answer.text
    assert 'value="B"' in answer.text


def test_a_pattern_is_tried_on_a_key_and_on_recent_events(pages: Pages) -> None:
    event("e/1", resource_key=f"/a/{SCRIPT}")
    event("e2", AT + 1, resource_key="/b")
    pages.visit("/webhooks/new")

    def tried(**form: str) -> str:
        answer = pages.post("/webhooks/pattern", GOOD | form, headers=FRAGMENT)
        assert SCRIPT not in answer.text
        return " ".join(answer.text.split())

    assert "does not match" in tried(resourceKeyPattern="/a/.*", tried_key="/b")
    assert "1 of the last 2 events match." in tried(resourceKeyPattern="/a/.*", tried_key="")
    assert "/events/view?id=e/1" in tried(resourceKeyPattern="")
    assert "missing ): (" in tried(resourceKeyPattern="(")
    assert "Choose a project" in tried(associationId="")


def test_an_edit_keeps_masked_secrets_and_leaves_the_health_alone(pages: Pages, services: Services) -> None:
    webhook_id = webhook(services)
    secrets = {"token": "a-long-token", "headers": {"X-Key": "a-long-secret", "X-B": "b"}}
    update_webhook(services, ADMIN, {"id": webhook_id, **secrets, "timeout": 2, "retrySchedule": ["24h"]}, AT)
    change(webhook_id, failures=12, circuit_until=AT, backlog=True)
    pages.visit(f"/webhooks/{webhook_id}/edit")
    before = find_webhook(ADMIN, webhook_id)
    pages.send(f"/webhooks/{webhook_id}/edit", typed(pages) | {"url": "http://b"})
    row = find_webhook(ADMIN, webhook_id)
    assert (row.url, services.vault.decrypt(row.token)) == ("http://b", "a-long-token")
    assert json.loads(services.vault.decrypt(row.headers)) == secrets["headers"]
    same = ("timeout_ms", "retry_schedule", "failures", "circuit_until", "secret", "triggers", "association_id")
    assert [getattr(row, name) for name in same] == [getattr(before, name) for name in same]


def test_the_second_of_two_who_edit_a_webhook_is_told(log_in: LogIn, services: Services) -> None:
    webhook_id = webhook(services)
    path = f"/webhooks/{webhook_id}/edit"
    first, second = log_in("root"), log_in("project-manager")
    for pages in (first, second):
        pages.visit(path)
    first.send(path, typed(first) | {"url": "http://first", "token": "first-token", "triggers": ["NODE_MOVED"]})
    at = second.send(path, typed(second) | {"url": "http://second", "timeout": "3"}, status=409)
    assert find_webhook(ADMIN, webhook_id).url == "http://first"
    told = text_of(at.select_one("#conflict"))
    assert "The last change was made by root" in told
    assert "You both changed these; what you typed is kept, and the present value stands below it: URL" in told
    assert "they hold the present values now: Token , Triggers" in told
    assert text_of(at.select_one("#url-now")) == "Now: http://first"
    assert text_of(at.select_one("#triggers-now")) == "Now: NODE_MOVED"
    kept = typed(second)
    assert (kept["url"], kept["timeout"], kept["token"]) == (["http://second"], ["3"], ["****oken"])
    assert kept["triggers"] == ["NODE_MOVED"]
    second.send(path, kept)
    row = find_webhook(ADMIN, webhook_id)
    assert (row.url, services.vault.decrypt(row.token), row.last_modified_by) == (
        *("http://second", "first-token"),
        "project-manager",
    )


def test_a_form_that_lost_what_it_was_made_of_changes_nothing(pages: Pages, services: Services) -> None:
    webhook_id = webhook(services)
    pages.visit(f"/webhooks/{webhook_id}/edit")
    for base in ("", "{", '{"texts": 5}'):
        form = typed(pages) | {"base": base, "url": "http://x"}
        pages.send(f"/webhooks/{webhook_id}/edit", form, status=409)
        assert Webhook.get_by_id(webhook_id).url == URL
    delete_webhook(ADMIN, webhook_id, AT)
    pages.send(f"/webhooks/{webhook_id}/edit", form, status=404)


def test_dialogs_say_what_goes_and_the_buttons_do_it(pages: Pages, services: Services) -> None:
    webhook_id = webhook(services)
    deliveries(webhook_id, 2, state=HELD)
    deliveries(webhook_id, 1, AT + 10, state=DEAD)
    path = f"/webhooks/{webhook_id}"
    at = pages.visit(path)
    assert "Deliveries that will never be sent: 2" in text_of(at.select_one("dialog#delete"))
    assert "can't be sent again any more: 1" in text_of(at.select_one("dialog#delete"))
    assert at.select_one("dialog#enable") is None
    assert "disabled: no deliveries are made" in text_of(pages.send(f"{path}/disable", {}))
    assert "Deliveries that were held: 2" in text_of(pages.visit(path).select_one("dialog#enable"))
    pages.send(f"{path}/enable", {"pending": "drop"})
    assert (find_webhook(ADMIN, webhook_id).enabled, Delivery.select().count()) == (True, 1)
    assert f"The webhook for {find_webhook(ADMIN, webhook_id).url} was deleted" in text_of(
        pages.send(f"{path}/delete", {})
    )
    gone = pages.visit(path, status=410)
    assert gone.select_one(f'a[href="/logs?webhook={webhook_id}"]')


def test_why_a_webhook_is_stopped_is_said(pages: Pages, services: Services) -> None:
    webhook_id = webhook(services, enabled=False, disabled_reason="no delivery has succeeded for 5 days")
    at = pages.visit(f"/webhooks/{webhook_id}")
    assert "The service disabled it: no delivery has succeeded for 5 days." in text_of(at.select_one("#health"))
    change(webhook_id, enabled=True, circuit_until=AT, failures=12, failing_since=AT - HOUR_MS)
    at = pages.visit(f"/webhooks/{webhook_id}")
    assert "Its circuit is open" in text_of(at.select_one("#health"))
    assert "since 2021-12-26 23:00:00" in text_of(at.select_one("#health"))


def test_someone_elses_webhook_is_not_there(log_in: LogIn, services: Services) -> None:
    webhook_id = webhook(services)
    pages = log_in("outsider")
    for path in ("", "/edit", "/secret"):
        pages.visit(f"/webhooks/{webhook_id}{path}", status=404)
    for path in ("edit", "secret", "test", "enable", "disable", "delete", "rotate"):
        assert pages.post(f"/webhooks/{webhook_id}/{path}", {}).status_code == 404
        assert pages.client.post(f"/webhooks/{webhook_id}/{path}").status_code == 400  # no token


def test_a_test_shows_request_and_answer_as_text(pages: Pages, services: Services, receiver: Receiver) -> None:
    receiver.script.append(Answer(status=500, body=f"{SCRIPT}\u202e".encode(), headers={"X-Odd": SCRIPT}))
    webhook_id = webhook(services, url=receiver.url)
    pages.visit(f"/webhooks/{webhook_id}")
    answer = pages.post(f"/webhooks/{webhook_id}/test", {}, headers=FRAGMENT)
    assert answer.status_code == 200
    assert SCRIPT not in answer.text
    assert "&lt;script&gt;" in answer.text
    assert "failure 500" in answer.text
    assert "WEBHOOK_TEST" in answer.text
    plain = pages.post(f"/webhooks/{webhook_id}/test", {})
    assert (plain.status_code, plain.location[:6]) == (303, "/logs/")


def test_a_secret_is_rotated_once_and_by_who_has_seen_the_present_one(pages: Pages, services: Services) -> None:
    webhook_id = webhook(services)
    path = f"/webhooks/{webhook_id}"
    at = pages.visit(f"{path}/secret")
    seen = at.select_one("[name=seen]")["value"]
    pages.send(f"{path}/rotate", {"seen": seen, "overlapHours": "200", "secret": ""}, status=400)
    assert errors(pages) == {"overlapHours": "overlapHours must be a whole number from 0 to 168"}
    pages.send(f"{path}/rotate", {"seen": seen, "overlapHours": "1", "secret": "whsec_x"}, status=400)
    assert "secret must be whsec_" in errors(pages)["secret"]
    at = pages.send(f"{path}/rotate", {"seen": seen, "overlapHours": "1", "secret": ""})
    row = find_webhook(ADMIN, webhook_id)
    assert text_of(at.select_one("#signing-secret")) == services.vault.decrypt(row.secret)
    assert text_of(at.select_one("#previous-secret")) == services.vault.decrypt(row.previous_secret)
    pages.send(f"{path}/rotate", {"seen": seen, "overlapHours": "1"}, status=409)
    assert find_webhook(ADMIN, webhook_id).secret == row.secret


def test_the_pages_are_in_chinese_too(log_in: LogIn, services: Services) -> None:
    webhook_id = webhook(services, enabled=False, disabled_reason="no delivery has succeeded for 5 days")
    pages = log_in("root", "zh")
    assert "已停用" in text_of(pages.visit("/webhooks"))
    assert "已有 5 天没有成功的投递" in text_of(pages.visit(f"/webhooks/{webhook_id}"))
    pages.visit("/webhooks/new")
    pages.send("/webhooks/new", GOOD | {"url": ""}, status=400)
    assert errors(pages) == {"url": "参数 url 不能为空"}
