"""Logs in a browser: rows that open in place, older ones, filters in the address, sending again, hostile text."""

import re
from typing import Any

from playwright.sync_api import Page, expect

from app.clock import now_ms
from tests.browser.conftest import PHONE, OpenPage, Service, accessible
from tests.receiver import Answer, Receiver
from tests.rows import event, log

NEW = {"triggers": ["NODE_CREATED"], "associationType": "PROJECT", "associationId": "browser"}
HOSTILE = '<img src="/nowhere" onerror="alert(1)"><script>alert(2)</script>'


def made(service: Service, name: str, url: str = "http://receiver.example/hook", **columns: Any) -> str:
    """Make a webhook with one log, and return the log's id. The event's id and the delivery's are made of `name`."""
    webhook_id = service.client().create(**NEW, url=url)
    payload = columns.pop("payload", '{"name":"browser"}')
    with service.rows():
        return log(webhook_id, event(f"logs-{name}", payload=payload), "d" * 32, now_ms(), **columns)


def test_a_row_opens_in_place_and_closes_by_mouse_and_keyboard(page: Page, service: Service) -> None:
    timing = '{"dns":100,"connect":2000,"tls":0,"firstByte":9000,"total":9500}'
    log_id = made(service, "opens", timing=timing)
    page.goto("/logs?event=logs-opens")
    opener = page.get_by_role("button", name="Request and answer")
    opener.press("Enter")
    expect(opener).to_have_attribute("aria-expanded", "true")
    detail = page.locator(f"[data-log='{log_id}']")
    expect(detail).to_contain_text("Waiting for the first byte 7.0 ms")
    expect(detail.locator("pre").first).to_have_text('{\n  "name": "browser"\n}')
    accessible(page)
    opener.press("Enter")
    expect(detail).to_be_hidden()
    page.locator("tr.log td.num").first.click()
    expect(detail).to_be_visible()
    detail.get_by_role("button", name="On a page of its own").click()
    expect(page).to_have_url(re.compile(f"/logs/{log_id}$"))


def test_older_logs_come_in_place_and_a_link_leads_there_too(open_page: OpenPage, service: Service) -> None:
    page = open_page()
    page.goto("/logs?status=SUCCESS")
    rows = page.locator("tr.log")
    expect(rows).to_have_count(50)
    older = page.get_by_role("button", name="Older")
    target = older.get_attribute("href")
    older.press("Enter")
    expect(rows).to_have_count(100)
    expect(rows.nth(50).get_by_role("button")).to_be_focused()
    page.goto(str(target))
    expect(rows).to_have_count(50)
    page.get_by_role("link", name="To the newest").click()
    expect(page).to_have_url(re.compile("/logs[?]status=SUCCESS$"))


def test_a_filter_is_in_the_address_in_utc(page: Page, service: Service) -> None:
    page.goto("/logs")
    page.get_by_label("Result").select_option("failures")
    page.get_by_label("From").fill("2021-12-27T08:00:00")  # in Shanghai
    page.get_by_role("button", name="Find").click()
    expect(page).to_have_url(re.compile("status=failures&from=2021-12-27T00%3A00%3A00.000Z"))
    expect(page.get_by_label("From")).to_have_value("2021-12-27T08:00")
    expect(page.locator("tr.log .badge.good")).to_have_count(0)
    page.get_by_label("Text in payload or answer").fill("nowhere to be found")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("main")).to_contain_text(re.compile("No log is like that|Nothing found so far"))
    accessible(page)


def test_a_log_is_sent_again_in_place_and_the_new_one_shown(page: Page, service: Service, receiver: Receiver) -> None:
    receiver.script.extend([Answer(503, body=b'{"busy":true}'), Answer(200)])
    log_id = made(service, "again", receiver.url, status="FAIL", response_status=500, error="the receiver answered 500")
    page.goto("/logs?event=logs-again")
    page.get_by_role("button", name="Request and answer").click()
    page.get_by_role("button", name="Send again now").click()
    new = page.locator(f"#retried-{log_id}")
    expect(new).to_contain_text("failure 503")
    expect(new).to_contain_text('"busy": true')
    expect(page.locator("#said")).to_contain_text("Sent again, without success: the receiver answered 503")
    assert receiver.received[0].body == b'{"name":"browser"}'
    accessible(page)
    page.goto(f"/logs/{log_id}")
    page.locator(".log-detail").get_by_role("button", name="Send again now").first.click()
    expect(page.locator("#said")).to_contain_text("Sent again, and delivered.")


def test_the_curl_command_is_copied(open_page: OpenPage, service: Service) -> None:
    page = open_page()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"/logs/{made(service, 'curl')}")
    page.get_by_text("As a curl command").click()
    page.get_by_role("button", name="Copy the command").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("curl --globoff --request POST 'http://receiver.example/hook'")
    assert copied.endswith("""--data-raw '{"name":"browser"}'""")


def test_what_strangers_sent_is_text_on_a_phone_too(open_page: OpenPage, service: Service) -> None:
    binary = (bytes(range(1, 256)) * 257).decode("utf-8", "replace")[: 64 * 1024]
    log_id = made(
        service,
        "hostile",
        payload=f"{HOSTILE}\u202egnp.exe مرحبا",
        response_body=binary,
        response_headers='{"X-Evil":"<b>\u202ex</b>"}',
    )
    page = open_page(language="zh", width=PHONE)
    page.goto(f"/logs/{log_id}")
    expect(page.locator(f"#payload-{log_id}")).to_have_text(f"{HOSTILE}‹U+202E›gnp.exe مرحبا")
    page.locator(".body summary").nth(1).click()
    page.locator(".headers summary").nth(1).click()
    expect(page.locator(f"#body-{log_id}")).to_contain_text("‹U+001B›")
    expect(page.locator(".headers table").nth(1)).to_contain_text("<b>‹U+202E›x</b>")
    accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
