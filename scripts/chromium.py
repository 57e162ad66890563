"""The system's Chromium, driven by Playwright: for tests of pages and for pictures of them."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

from scripts.backends import BackendError

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Give a browser without a window, and end it after the block. Raises BackendError where there is none."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise BackendError(f"none of {', '.join(PROGRAMS)} is here")
    options = ["--no-sandbox"] if os.geteuid() == 0 else []  # the sandbox refuses to work for root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=options)
        yield browser
        browser.close()


def log_in(page: Page, user: str, password: str) -> None:
    """Fill in the login form, and wait for what comes after it."""
    page.goto("/login")
    page.get_by_label("User name").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(lambda url: "/login" not in url)
