"""Administration and one's own account, in a browser."""

import re

from playwright.sync_api import Page, expect

from app.accounts import create_user
from app.clock import now_ms
from tests.browser.conftest import PHONE, OpenPage, Problems, Service, accessible, log_in

PATHS = (
    *("/admin/users", "/admin/users/new", "/admin/user?name=mobile-team", "/admin/keys", "/admin/keys/new"),
    *("/admin/system", "/account"),
)
FIRST, SECOND = "a first password", "a second password"


def confirm(page: Page, opener: str, button: str) -> str:
    """Open a dialog, press the button that does it, and return what the dialog said."""
    page.get_by_role("button", name=opener, exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    said = dialog.inner_text()
    dialog.get_by_role("button", name=button).click()
    return said


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_a_user_is_made_given_a_project_and_deleted(page: Page, open_page: OpenPage, problems: Problems) -> None:
    page.goto("/admin/users")
    page.get_by_role("button", name="New user").click()
    page.get_by_label("User name").fill("browser:user")
    page.get_by_label("Password").fill(FIRST)
    problems.expect("status of 40[03]")
    page.get_by_role("button", name="Create user").click()
    expect(page.locator("#name-error")).to_contain_text("no colon")
    accessible(page)
    page.get_by_label("User name").fill("browser user")
    page.get_by_role("button", name="Create user").click()  # the password is not kept, so one is made
    expect(page.get_by_text("This password is shown only now.")).to_be_visible()
    password = page.locator("#password").inner_text()
    page.get_by_role("button", name="Done").click()
    page.get_by_label("Project").fill("mobile")
    page.get_by_role("button", name="Grant", exact=True).click()
    expect(page.get_by_role("status").first).to_have_text("User browser user manages mobile.")
    accessible(page)

    theirs = open_page(None)
    log_in(theirs, "browser user", password)
    theirs.goto("/account")
    expect(theirs.get_by_role("cell", name="mobile")).to_be_visible()
    expect(theirs.get_by_role("link", name="Administration")).to_have_count(0)
    theirs.goto("/admin/users")
    expect(theirs.get_by_text("this page is for administrators")).to_be_visible()

    said = confirm(page, "Delete user", "Delete user")
    assert "User browser user will be deleted, with 1 permission." in said
    expect(page.get_by_role("status").first).to_have_text("User browser user was deleted, with 1 permission.")
    theirs.goto("/account")
    expect(theirs.get_by_role("heading", name="Log in")).to_be_visible()


def test_an_access_key_is_shown_once_copied_and_revoked(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/admin/keys/new")
    page.get_by_label("Application").fill("browser-ci")
    page.get_by_label("event:publish").check()
    page.get_by_role("button", name="Create access key").click()
    secret, key = page.locator("#secret").inner_text(), page.locator("#access-key").inner_text()
    accessible(page)
    page.locator("[data-copy=secret]").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == secret
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_text(secret)).to_have_count(0)
    row = page.get_by_role("row", name=re.compile("browser-ci"))
    row.get_by_role("button", name="Revoke").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Calls of browser-ci with this key are refused")
    dialog.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("status").first).to_have_text(f"The access key {key} was revoked.")
    expect(row).to_have_count(0)


def test_the_system_is_alive_and_renews_what_it_shows(page: Page) -> None:
    page.goto("/admin/system")
    row = page.get_by_role("row", name=re.compile("^all in one alive"))
    expect(row).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("HOOKLINE_ADMIN_PASSWORD"))).to_contain_text("****")
    with page.expect_response(re.compile("/admin/system$")) as renewed:
        page.evaluate("document.getElementById('live').dispatchEvent(new CustomEvent('live'))")  # its time has come
    assert renewed.value.request.headers["hx-request"] == "true"
    expect(row).to_be_visible()


def test_ones_own_password_is_changed_and_other_sessions_end(open_page: OpenPage, service: Service) -> None:
    with service.rows():
        create_user("browser-self", FIRST, admin=False, now=now_ms())
    here, elsewhere = open_page(None), open_page(None)
    for each in here, elsewhere:
        log_in(each, "browser-self", FIRST)
    here.goto("/account")
    here.get_by_label("Present password").fill(FIRST)
    here.get_by_label("New password *").fill(SECOND)
    here.get_by_label("New password once more").fill(SECOND)
    here.get_by_role("button", name="Change password").click()
    expect(here.get_by_role("status").first).to_contain_text("Your password was changed.")
    expect(here.get_by_role("heading", name="Your account")).to_be_visible()
    elsewhere.goto("/account")
    expect(elsewhere.get_by_text("Your session has ended.")).to_be_visible()
    log_in(elsewhere, "browser-self", SECOND)


def test_every_page_is_accessible_in_chinese_on_a_phone(open_page: OpenPage) -> None:
    page = open_page(language="zh", width=PHONE)
    for path in PATHS:
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        accessible(page)
        assert fits(page), path
