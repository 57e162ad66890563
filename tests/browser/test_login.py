"""Logging in and out, and what becomes of a session that has ended, of a stale form, of a link that leads elsewhere."""

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from app.authentication import MAX_FAILURES
from tests.api.conftest import basic
from tests.browser.conftest import PASSWORD, OpenPage, Problems, Service, accessible, log_in

LIGHT, DARK = "rgb(255, 255, 255)", "rgb(17, 25, 31)"


def test_name_and_password_lead_to_the_page_that_was_asked_for(open_page: OpenPage) -> None:
    page = open_page(None)
    page.goto("/account?from=a%26b")
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
    expect(page.get_by_label("User name")).to_be_focused()
    page.keyboard.type("admin")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/account\?from=a%26b$"))
    expect(page.get_by_role("banner")).to_contain_text("admin")


def test_a_wrong_password_is_refused_and_after_ten_the_name_is_locked_out(
    open_page: OpenPage, problems: Problems
) -> None:
    problems.expect("status of (401|429)")
    page = open_page(None)
    page.goto("/login")
    fill_in(page, "nobody")
    error = page.get_by_role("alert").filter(visible=True)
    expect(error).to_have_text("the credentials are wrong")
    expect(page.get_by_label("User name")).to_have_value("nobody")
    expect(page.get_by_label("Password")).to_be_focused()
    expect(page.get_by_label("Password")).to_have_value("")
    accessible(page)
    for _ in range(MAX_FAILURES - 1):  # calls of the API count too, and are quicker
        assert page.request.get("/webhook/api/webhook/list", headers=basic("nobody")).status == 401
    fill_in(page, "nobody")
    expect(error).to_contain_text(re.compile(r"try again in \d+ seconds"))


def test_logging_out_ends_the_session_in_every_tab(open_page: OpenPage) -> None:
    page = open_page(None)
    log_in(page, "admin")
    other = page.context.new_page()
    other.goto("/account")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("status").first).to_contain_text("You have logged out.")
    other.reload()
    expect(other).to_have_url(re.compile("/login"))
    page.go_back()
    expect(page).to_have_url(re.compile("/login"))


def test_a_session_that_has_ended_leads_to_the_login_and_back(open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/account")
    page.context.clear_cookies(name="hookline")
    page.get_by_role("link", name="Webhooks").click()
    fill_in(page)
    expect(page).to_have_url(re.compile("/webhooks$"))


def test_a_part_of_a_page_leads_to_the_login_where_the_session_has_ended(open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/?range=6h")
    page.context.clear_cookies(name="hookline")
    page.locator("[data-live]").first.dispatch_event("live")
    fill_in(page)
    expect(page).to_have_url(re.compile(r"/\?range=6h$"))


def test_a_form_from_before_the_session_changes_nothing(open_page: OpenPage, problems: Problems) -> None:
    problems.expect("status of 400")
    page = open_page(None)
    log_in(page, "admin")
    page.goto("/account")
    page.context.clear_cookies(name="hookline")
    other = page.context.new_page()
    log_in(other, "admin")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("This form is out of date")
    other.reload()
    expect(other.get_by_role("banner")).to_contain_text("admin")


@pytest.mark.parametrize("target", ["//elsewhere.example/", "https://elsewhere.example/", "/\\elsewhere.example"])
def test_a_link_leads_nobody_elsewhere(open_page: OpenPage, service: Service, target: str) -> None:
    page = open_page(None)
    page.goto(f"/login?next={quote(target)}")
    fill_in(page)
    expect(page).to_have_url(f"{service.url}/")


def test_language_and_theme_stay_as_they_were_chosen(open_page: OpenPage) -> None:
    page = open_page(None)
    page.goto("/login")
    expect(page.locator("html")).to_have_css("background-color", LIGHT)
    page.get_by_role("button", name="Use the dark theme").click()
    expect(page.locator("html")).to_have_css("background-color", DARK)
    page.get_by_role("link", name="中文").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("登录")
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    expect(page.locator("html")).to_have_css("background-color", DARK)
    accessible(page)
    page.get_by_role("button", name="使用浅色主题").click()
    page.reload()
    expect(page.locator("html")).to_have_css("background-color", LIGHT)
    page.get_by_role("link", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")


def fill_in(page: Page, user: str = "admin") -> None:
    """Fill in the login form that is shown."""
    page.get_by_label("User name").fill(user)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
