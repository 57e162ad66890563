"""Takes the pictures of scripts/screenshots: a server on the data of scripts/demo_data, seen by a browser."""

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, Page

from app.accounts import FIRST_ADMIN, ensure_first_admin
from app.clock import now_ms
from app.commands.demo_server import running_server
from app.commands.options import open_database
from app.services import open_services
from config.settings import Settings, load_settings
from scripts import demo_data
from scripts.backends import BackendError, free_port
from scripts.chromium import chromium, log_in

PLACE = Path(__file__).parents[1] / "docs" / "img"
PASSWORD = "only for pictures"  # of a server that lives for a minute
EVENTS = 20_000
DESKTOP, SHORT, PHONE = (1280, 860), (1280, 425), (390, 844)
MOST_BYTES = 200_000


def _nothing(page: Page) -> None:
    """Leave the page as it is."""


class Picture(NamedTuple):
    """What a picture shows; {…} in the path are ids in the demo's data. `prepare` does something to the page first."""

    name: str
    path: str
    prepare: Callable[[Page], None] = _nothing
    size: tuple[int, int] = DESKTOP
    theme: str = "light"
    language: str = "en"


def _open_first_row(page: Page) -> None:
    page.get_by_role("button", name="Request and answer").first.click()
    page.get_by_role("heading", name="Where the time went").wait_for()


PICTURES = (
    Picture("overview", "/?range=7d"),
    Picture("overview-dark", "/?range=7d", theme="dark"),
    Picture("overview-phone", "/?range=7d", size=PHONE),
    Picture("overview-chinese", "/?range=7d", language="zh"),
    Picture("webhooks", "/webhooks"),
    Picture("webhook", "/webhooks/{failing}"),
    Picture("webhook-form", "/webhooks/{builds}/edit"),
    Picture("logs", "/logs?status=failures", _open_first_row),
    Picture("event", "/events/view?id={event}"),
    Picture("recovery", "/recovery?webhook={down}"),
    Picture("job", "/recovery/jobs/{job}"),
    Picture("tail", "/tail", theme="dark"),
    Picture("publish", "/publish?type=NODE_CREATED"),
    Picture("administration", "/admin/system", size=SHORT),  # the settings below name places on this machine
)


def take(browser: Browser, server: str, known: demo_data.Known, pictures: Sequence[Picture]) -> None:
    """Take `pictures`, one file each."""
    state = None
    for picture in pictures:
        context = browser.new_context(
            base_url=server,
            color_scheme="dark" if picture.theme == "dark" else "light",
            locale="en-US",
            reduced_motion="reduce",
            storage_state=state,
            timezone_id="UTC",
            viewport={"width": picture.size[0], "height": picture.size[1]},
        )
        page = context.new_page()
        if state is None:
            log_in(page, FIRST_ADMIN, PASSWORD)
            state = context.storage_state()
        context.add_cookies([{"name": "language", "value": picture.language, "url": server}])
        page.goto(picture.path.format(**known.webhooks, **known._asdict()))
        page.wait_for_function("document.fonts.status === 'loaded'")
        picture.prepare(page)
        page.screenshot(path=PLACE / f"{picture.name}.png", animations="disabled", caret="hide")
        context.close()


def _filled(settings: Settings) -> demo_data.Known:
    """Fill the database of `settings`, and say what is where."""
    with open_database(settings):
        ensure_first_admin(PASSWORD, now_ms())
        services = open_services(settings)
        try:
            return demo_data.fill(services, now_ms(), EVENTS)
        finally:
            services.close()


def main() -> None:
    """Take the pictures that are named, or all. Names none that is not known."""
    wanted = sys.argv[1:] or [picture.name for picture in PICTURES]
    pictures = [picture for picture in PICTURES if picture.name in wanted]
    if len(pictures) < len(set(wanted)):
        sys.exit(f"screenshots: there are {', '.join(picture.name for picture in PICTURES)}")
    PLACE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="hookline-") as data:
        settings = load_settings({"HOOKLINE_DATA": data})
        known = _filled(settings)
        try:
            with chromium() as browser, running_server(settings, free_port()) as server:
                take(browser, server, known, pictures)
        except BackendError as error:
            sys.exit(f"screenshots: {error}")
    for picture in pictures:
        size = (PLACE / f"{picture.name}.png").stat().st_size
        print(f"docs/img/{picture.name}.png: {size // 1_000} kB{', which is much' if size > MOST_BYTES else ''}")


if __name__ == "__main__":
    main()
