"""A real browser on a real server: Debian's Chromium by way of Playwright, and `hookline serve` with a week of data.

Whatever a page says to the console but should not, a violation of the content security policy, and a request to our
server that fails: each of these fails the test, unless it says that it expects one.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hookline_client import Client

from app.accounts import FIRST_ADMIN, ensure_first_admin
from app.clock import now_ms
from app.models import database
from app.schema import migrate
from app.services import Services, open_services
from config.settings import load_settings
from scripts import demo_data
from scripts.backends import BackendError
from tests.conftest import missing
from tests.server import PASSWORD, Server, serving

try:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect

    from scripts import chromium
except ImportError:
    if os.environ.get("REQUIRE_SERVICES") == "1":
        raise
    pytest.skip("playwright is not here", allow_module_level=True)

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
DESKTOP, PHONE = 1280, 390
PATIENCE_MS = 10_000
# A colour on its way to another is neither.
STILL = """
    Promise.all(document.getAnimations().filter(animation => animation.effect.getComputedTiming().endTime < Infinity)
        .map(animation => animation.finished.catch(() => {})))
"""
VIOLATIONS = """
    document.addEventListener("securitypolicyviolation", (event) =>
        console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser is a whole process: such tests are slow ones."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)


@dataclass
class Service:
    """The server, and what is in it. Tests share it: they may add to it, and leave alone what is there."""

    server: Server
    known: demo_data.Known

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server.port}"

    def client(self) -> Client:
        """Return a client of its API, as the administrator."""
        return self.server.client()

    @contextmanager
    def rows(self) -> Iterator[Services]:
        """Open its database, for rows that no page can make."""
        with _opened(self.server.data) as services:
            yield services


@dataclass
class Problems:
    """What went wrong in the pages of a test."""

    seen: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def expect(self, pattern: str) -> None:
        """Say that problems that match a regular expression are what the test is about."""
        self.expected.append(pattern)

    def watch(self, context: BrowserContext, url: str) -> None:
        """Note the problems of all pages of `context`; `url` is our server's."""

        def note_request(request: Request) -> None:
            # A page that is left takes its requests with it.
            if request.url.startswith(url) and "ERR_ABORTED" not in (request.failure or ""):
                self.seen.append(f"{request.method} {request.url} {request.failure}")

        def note_message(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                self.seen.append(f"{message.type}: {message.text} ({message.location.get('url')})")

        context.on("console", note_message)
        context.on("weberror", lambda error: self.seen.append(f"uncaught: {error.error}"))
        context.on("requestfailed", note_request)

    def left(self) -> list[str]:
        """Return those that nobody expects."""
        return [text for text in self.seen if not any(re.search(pattern, text) for pattern in self.expected)]


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running server with the data of scripts/demo_data; `admin` is the administrator, with the PASSWORD."""
    data = tmp_path_factory.mktemp("browser") / "data"
    with _opened(data) as services:
        migrate()
        ensure_first_admin(PASSWORD, now_ms())
        known = demo_data.fill(services, now_ms())
    with serving(data) as server:
        yield Service(server, known)


@contextmanager
def _opened(data: Path) -> Iterator[Services]:
    services = open_services(load_settings({"HOOKLINE_DATA": str(data)}))
    try:
        yield services
    finally:
        services.close()
        database.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium. Where there is none the tests are skipped, and fail where all services are required."""
    with ExitStack() as stack:
        try:
            running = stack.enter_context(chromium.chromium())
        except BackendError as error:
            missing(error)
        expect.set_options(timeout=PATIENCE_MS)
        yield running


@pytest.fixture(scope="session")
def sessions() -> dict[str, Any]:
    """Who has logged in already, by name: the form is filled in once a user."""
    return {}


@pytest.fixture
def problems() -> Iterator[Problems]:
    """What goes wrong in pages; the test fails in the end if that is anything."""
    found = Problems()
    yield found
    assert not found.left()


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, service: Service, sessions: dict[str, Any], problems: Problems) -> Iterator[OpenPage]:
    """Open a page of a browser that nobody has used before: `open_page(user="admin", language="en", theme="light",
    width=DESKTOP)`. Without a user nobody is logged in. Paths are relative to the server."""
    contexts: list[BrowserContext] = []

    def fresh(theme: str, width: int, state: Any) -> BrowserContext:
        context = browser.new_context(
            base_url=service.url,
            color_scheme="dark" if theme == "dark" else "light",
            locale="en-US",
            reduced_motion="reduce",
            timezone_id="Asia/Shanghai",
            viewport={"width": width, "height": 900},
            storage_state=state,
        )
        context.set_default_timeout(PATIENCE_MS)
        context.add_init_script(VIOLATIONS)
        problems.watch(context, service.url)
        contexts.append(context)
        return context

    def make(user: str | None = FIRST_ADMIN, language: str = "en", theme: str = "light", width: int = DESKTOP) -> Page:
        if user is not None and user not in sessions:
            page = fresh(theme, width, None).new_page()
            log_in(page, user)
            sessions[user] = page.context.storage_state()
        context = fresh(theme, width, sessions[user] if user else None)
        context.add_cookies([{"name": "language", "value": language, "url": service.url}])
        return context.new_page()

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """A page of the administrator's, in English, in light colours, as wide as a desktop."""
    return open_page()


def log_in(page: Page, user: str, password: str | None = None) -> None:
    """Fill in the login form, and wait for what comes after it."""
    known = {FIRST_ADMIN: PASSWORD, demo_data.MANAGER: demo_data.MANAGER_PASSWORD}
    chromium.log_in(page, user, password or known[user])


def accessible(page: Page, *rules: str) -> None:
    """Assert that axe finds nothing to object to on the page, in light and in dark colours; `rules` are all if none
    are given."""
    before = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert violations(page, *rules) == []
    page.emulate_media(color_scheme="light" if before else "dark")
    assert violations(page, "color-contrast") == []  # colours alone differ
    page.emulate_media(color_scheme="dark" if before else "light")


def violations(page: Page, *rules: str) -> list[str]:
    """Return what axe objects to, a line each: the rule, and the first elements."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    page.evaluate(STILL)
    options = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
    found = page.evaluate("options => axe.run(document, options)", options)["violations"]
    return [f"{each['id']}: {[node['target'] for node in each['nodes'][:3]]} {each['help']}" for each in found]
