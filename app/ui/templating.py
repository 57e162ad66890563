"""What templates may use: texts, times, numbers, links to static files, the sections that the viewer may see."""

from importlib.metadata import version
from typing import Any

from flask import Flask, current_app, g, request
from flask_wtf.csrf import generate_csrf
from jinja2 import StrictUndefined
from markupsafe import Markup

from app.clock import now_ms
from app.shown_text import visible
from app.ui import times
from app.ui.assets import Assets
from app.ui.menu import MENU
from app.ui.pages import here
from app.ui.session import is_fragment
from app.ui.texts import gettext, language, ngettext

THEMES = ("light", "dark")


def register_templating(app: Flask, assets: Assets) -> None:
    """Set up the templates of `app`."""
    env = app.jinja_env
    app.jinja_options = {"undefined": StrictUndefined}
    env.undefined = StrictUndefined
    env.trim_blocks = env.lstrip_blocks = True
    env.add_extension("jinja2.ext.i18n")
    env.add_extension("jinja2.ext.do")
    env.install_gettext_callables(gettext, ngettext, newstyle=True)  # type: ignore[attr-defined]
    env.filters |= {
        "when": when,
        "ago": ago,
        "number": number,
        "duration": duration,
        "percent": percent,
        "size": size,
        "visible": visible,
    }
    env.globals |= {
        "asset": assets.url,
        "csrf_token": generate_csrf,
        "here": here,
        "input_time": times.input_value,
        "version": version("hookline"),
    }
    app.context_processor(_of_request)


def _of_request() -> dict[str, Any]:
    theme = request.cookies.get("theme")
    return {
        "language": language(),
        "viewer": g.get("caller"),
        "theme": theme if theme in THEMES else None,
        "menu": [entry for entry in MENU if entry.endpoint in current_app.view_functions],
        "is_fragment": is_fragment(),
    }


def when(at_ms: int | None) -> Markup | str:
    """Return a time in the viewer's zone, UTC on hover; a dash for none."""
    if at_ms is None:
        return "–"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        times.iso(at_ms), times.utc(at_ms), times.local(at_ms)
    )


def ago(at_ms: int | None) -> Markup | str:
    """Return how long ago a time was, or how far ahead it is; the time itself on hover."""
    if at_ms is None:
        return "–"
    now = now_ms()
    text = gettext("in %s") if at_ms > now else gettext("%s ago")
    shown = text % duration(abs(now - at_ms) // 1000 * 1000)
    title = f"{times.local(at_ms)} · {times.utc(at_ms)}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(times.iso(at_ms), title, shown)


def number(value: int | None) -> str:
    """Return a whole number with its thousands apart; a dash for none."""
    return "–" if value is None else f"{value:,}"


def percent(share: float | None) -> str:
    """Return a share from 0 to 1; never 100 % where something is missing from it."""
    if share is None:
        return "–"
    shown = f"{share * 100:.2f}"
    return f"{'99.99' if shown == '100.00' and share < 1 else shown.rstrip('0').rstrip('.')} %"


def duration(ms: float | None) -> str:
    """Return a duration in its two largest units; a dash for none."""
    if ms is None:
        return "–"
    if ms < 1000:
        return f"{ms:.0f} {gettext('ms')}"
    seconds = int(ms // 1000)
    if seconds < 60:
        return f"{ms / 1000:.1f}".rstrip("0").rstrip(".") + f" {gettext('s')}"
    units = ((gettext("d"), 86_400), (gettext("h"), 3_600), (gettext("min"), 60), (gettext("s"), 1))
    place = next(place for place, (_, length) in enumerate(units) if seconds >= length)
    (unit, length), (smaller, part) = units[place], units[place + 1]
    whole, rest = divmod(seconds, length)
    return f"{whole} {unit}" + (f" {rest // part} {smaller}" if rest // part else "")


def size(octets: int) -> str:
    """Return a size in bytes in the unit that suits it."""
    if octets < 1024:
        return f"{octets} B"
    return f"{octets / 1024:.1f} KiB" if octets < 1024 * 1024 else f"{octets / 1024 / 1024:.1f} MiB"
