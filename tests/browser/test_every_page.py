"""What holds of every page: it is quiet, accessible, steady and as wide as the screen; in both languages, in light and
in dark, on a desktop and on a phone, and for who has only a keyboard."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from app.ui.menu import SECTIONS
from scripts import demo_data
from scripts.demo_webhooks import DEMOS
from tests.browser.conftest import PHONE, OpenPage, Problems, Service, accessible, violations

# The pages by name; {…} are ids in the demo's data.
PAGES = {
    "overview": "/",
    "webhooks": "/webhooks",
    "no webhooks found": "/webhooks?q=nothing",
    "webhook that is down": "/webhooks/{down}",
    "webhook that is disabled": "/webhooks/{gone}",
    "new webhook": "/webhooks/new",
    "form of a webhook": "/webhooks/{builds}/edit",
    "logs": "/logs",
    "no logs found": "/logs?q=nothing",
    "log of a success": "/logs/{success}",
    "log of a failure": "/logs/{failure}",
    "events": "/events",
    "event": "/events/view?id={event}",
    "rejected events": "/events/rejected",
    "publish": "/publish",
    "recovery": "/recovery",
    "recovery of a webhook": "/recovery?webhook={down}",
    "resend": "/recovery/resend?webhook={down}",
    "replay": "/recovery/replay?webhook={builds}",
    "job": "/recovery/jobs/{job}",
    "tail": "/tail",
    "users": "/admin/users",
    "user": "/admin/user?name=mobile-team",
    "new user": "/admin/users/new",
    "keys": "/admin/keys",
    "new key": "/admin/keys/new",
    "system": "/admin/system",
    "account": "/account",
    "reference of the API": "/openapi",
    "nothing there": "/webhooks/none",
}
# Views that are no pages of their own: parts, streams, and what leads on.
PARTS = {
    "admin.start",
    "events_ui.payload",
    "logs_ui.answer",
    "logs_ui.payload",
    "overview.figures",
    "tail.rows",
    "tail.stream",
    "webhooks_ui.secret",
}
FIRST_PAINT_BYTES = 100_000
SHIFT = 0.02  # a fifth of what is called good

# What has moved without anybody's doing, once fonts and scripts are there and the page is drawn.
WATCH_SHIFTS = """
    self.shifted = 0;
    new PerformanceObserver(list => {
        for (const entry of list.getEntries()) self.shifted += entry.hadRecentInput ? 0 : entry.value;
    }).observe({type: "layout-shift", buffered: true});
"""
REST = """async () => {
    await document.fonts.ready;
    await new Promise(done => requestIdleCallback(() => requestAnimationFrame(() => setTimeout(done))));
    return self.shifted;
}"""
# What reaches past the screen, where the page can be scrolled sideways.
TOO_WIDE = """() => document.documentElement.scrollWidth <= innerWidth ? [] :
    [`${document.documentElement.scrollWidth} of ${innerWidth}`, ...[...document.querySelectorAll("body *")]
        .filter(part => part.getBoundingClientRect().right > innerWidth + 1)
        .map(part => part.cloneNode().outerHTML).slice(0, 5)]
"""
# Whether an element looks different while it has the focus.
SHOWS_FOCUS = """part => {
    const look = of => ["outline", "boxShadow", "borderColor", "backgroundColor", "textDecoration", "position"]
        .map(name => getComputedStyle(of)[name]).join();
    const focused = look(part);
    part.blur();
    // The calendar's button inside a field keeps the focus: there, another field of the kind has to look different.
    const others = part.matches(":focus-within") ? document.querySelectorAll(`input[type="${part.type}"]`) : [part];
    return [...others].some(other => focused !== look(other));
}"""


def path_of(name: str, known: demo_data.Known) -> str:
    """Return the path of a page."""
    return PAGES[name].format(**known.webhooks, **known._asdict())


@pytest.fixture
def open_at(open_page: OpenPage, service: Service, problems: Problems) -> Callable[..., Page]:
    """Open the page of a name, and wait until it has come to rest. It must not have moved."""

    def make(name: str, **options: Any) -> Page:
        if name == "nothing there":
            problems.expect("status of 404")
        page = open_page(**options)
        page.add_init_script(WATCH_SHIFTS)
        page.goto(path_of(name, service.known))
        if (
            page.evaluate(REST) >= SHIFT
        ):  # a busy machine may have drawn half a table; what comes late, comes late again
            page.reload()
            assert page.evaluate(REST) < SHIFT
        return page

    return make


@pytest.mark.sqlite_only
def test_no_page_is_left_out(app: Flask) -> None:
    routes = [rule for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())]
    pages = {rule.endpoint for rule in routes if rule.endpoint.partition(".")[0] in {part.name for part in SECTIONS}}
    known = demo_data.Known({demo.name: "0" for demo in DEMOS}, event="0", success="0", failure="0", job="0")
    match = app.url_map.bind("localhost").match
    assert {match(path_of(name, known).partition("?")[0])[0] for name in PAGES} == pages - PARTS


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_quiet_steady_and_accessible(open_at: Callable[..., Page], name: str) -> None:
    page = open_at(name)
    assert page.title().endswith(" · Hookline")
    accessible(page)
    page.set_viewport_size({"width": PHONE, "height": 844})
    assert violations(page) == []
    assert page.evaluate(TOO_WIDE) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_quiet_steady_and_fits_a_phone_in_chinese(open_at: Callable[..., Page], name: str) -> None:
    page = open_at(name, language="zh", theme="dark", width=PHONE)
    assert re.search("[\u4e00-\u9fff]", page.locator("main").inner_text())
    assert page.evaluate(TOO_WIDE) == []


def test_who_manages_one_project_sees_its_webhooks_and_no_administration(
    open_page: OpenPage, service: Service, problems: Problems
) -> None:
    problems.expect("status of 40[34]")
    page = open_page(demo_data.MANAGER)
    page.goto("/")
    menu = page.get_by_role("navigation", name="Sections")
    for section in ("Webhooks", "Logs", "Events", "Recovery", "Live tail", "Publish", "Overview"):
        menu.get_by_role("link", name=section).click()
        expect(menu.locator("[aria-current]")).to_have_text(section)
    expect(menu.get_by_role("link")).to_have_count(7)
    page.goto("/admin/users")
    expect(page.locator("h1")).to_have_text("Not allowed")
    page.goto(f"/webhooks/{service.known.webhooks['down']}")
    expect(page.locator("h1")).to_have_text("Not found")
    page.goto("/webhooks")
    expect(page.get_by_role("main").get_by_role("link", name="https://chat.example.com")).to_be_visible()
    expect(page.get_by_role("main").get_by_role("link", name="https://search.example.com")).to_have_count(0)


@pytest.mark.parametrize(("path", "user"), [("/login", None), ("/", "admin")])
def test_the_first_paint_is_small(open_page: OpenPage, path: str, user: str | None) -> None:
    page = open_page(user)
    names: dict[str, str] = {}
    sizes: dict[str, int] = {}
    network = page.context.new_cdp_session(page)
    network.on("Network.requestWillBeSent", lambda event: names.update({event["requestId"]: event["request"]["url"]}))
    network.on(
        "Network.loadingFinished",
        lambda event: sizes.update({names[event["requestId"]]: event["encodedDataLength"]}),
    )
    network.send("Network.enable")
    page.goto(path)
    page.evaluate(REST)
    network.detach()
    assert len(sizes) > 5
    assert sum(sizes.values()) <= FIRST_PAINT_BYTES, sizes


def test_the_first_key_leads_past_the_menu(open_at: Callable[..., Page]) -> None:
    page = open_at("webhooks")
    page.keyboard.press("Tab")
    link = page.get_by_role("link", name="Skip to the content")
    expect(link).to_be_focused()
    expect(link).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")


@pytest.mark.parametrize("name", ["overview", "webhooks", "new webhook", "logs"])
def test_who_uses_a_keyboard_sees_where_he_is(open_at: Callable[..., Page], name: str) -> None:
    page = open_at(name)
    for _ in range(40):
        page.keyboard.press("Tab")
        part = page.evaluate_handle("document.activeElement").as_element()
        assert part is not None
        if part.evaluate("part => part === document.body"):
            break
        assert part.evaluate(SHOWS_FOCUS), part.evaluate("part => part.outerHTML")
