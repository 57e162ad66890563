"""The overview in a browser: its charts are drawn, say what is under the cursor, and go with what happens."""

import re

from playwright.sync_api import Page, expect

from app.clock import now_ms
from app.models import FAIL
from tests import rows
from tests.browser.conftest import PHONE, OpenPage, Service, accessible
from tests.server import eventually

# How many points of a chart have a colour, and the picture as a whole.
PAINTED = """canvas => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data
    .reduce((found, value, place) => found + (place % 4 === 3 && value > 0), 0)"""
PICTURE = "canvas => canvas.toDataURL()"
CHARTS = ("#chart-status", "#chart-durations")


def attempts_shown(page: Page) -> int:
    """Return the number on the card of delivery attempts."""
    card = page.locator(".card", has_text="Delivery attempts").locator(".value")
    return int(card.inner_text().replace(",", ""))


def test_charts_are_drawn_and_tell_what_is_under_the_cursor(page: Page) -> None:
    page.goto("/?range=7d")
    for name in CHARTS:
        chart = page.locator(name)
        expect(chart.locator("canvas")).to_be_visible()
        assert chart.locator("canvas").evaluate(PAINTED) > 1_000
        newest = chart.locator(".readout").inner_text()
        assert "–" in newest
        chart.locator(".u-over").hover(position={"x": 80, "y": 40})
        expect(chart.locator(".readout")).not_to_have_text(newest)
    expect(page.locator("#chart-status .readout")).to_have_text(
        re.compile(r"succeeded [\d,]+ · failed \d+ · not sent \d+")
    )


def test_new_attempts_show_up_by_themselves_and_nothing_is_loaded_anew(page: Page, service: Service) -> None:
    page.goto("/?range=1h")
    page.evaluate("self.untouched = document.querySelector('#chart-status canvas')")
    before, picture = attempts_shown(page), page.locator("#chart-status canvas").evaluate(PICTURE)
    with service.rows():
        for number in range(40):
            rows.log(service.known.webhooks["builds"], "e", "d", now_ms() - number, duration_ms=30, status=FAIL)
    eventually(lambda: attempts_shown(page) >= before + 40)  # some may be there before the others
    assert page.evaluate("self.untouched.isConnected")
    assert page.locator("#chart-status canvas").evaluate(PICTURE) != picture


def test_the_charts_change_their_colours_with_the_theme_and_their_width_with_the_window(page: Page) -> None:
    page.goto("/")
    canvas = page.locator("#chart-status canvas")
    light = canvas.evaluate(PICTURE)
    page.get_by_role("button", name="Use the dark theme").click()
    eventually(lambda: canvas.evaluate(PICTURE) != light)
    page.set_viewport_size({"width": PHONE, "height": 844})
    eventually(lambda: canvas.evaluate("canvas => canvas.clientWidth") < PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE


def test_a_range_is_a_link_that_can_be_sent_to_a_colleague(page: Page, open_page: OpenPage) -> None:
    page.goto("/")
    page.get_by_role("link", name="the last 30 days").click()
    page.wait_for_url("**/?range=30d")
    colleague = open_page()
    colleague.goto(page.url)
    expect(colleague.get_by_role("link", name="the last 30 days")).to_have_attribute("aria-current", "true")
    colleague.get_by_role("link", name="As a table").first.click()
    expect(colleague.get_by_role("heading", level=1)).to_have_text("Deliveries over time")
    expect(colleague.locator("tbody tr")).to_have_count(31)
    accessible(colleague)
