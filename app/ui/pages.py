"""Answers of the dashboard: pages, fragments of pages, and what is said of an action that was done."""

from typing import Any
from urllib.parse import urlencode

from flask import Response, flash, make_response, render_template, request
from werkzeug.datastructures import MultiDict

from app.ui.times import instant, iso


def page(template: str, *, status: int = 200, **values: Any) -> Response:
    """Return a whole page."""
    return make_response(render_template(template, **values), status)


def fragment(template: str, *, status: int = 200, **values: Any) -> Response:
    """Return a part of a page for htmx, and with it what `say` has to say."""
    said = render_template("partials/said.html", out_of_band=True)
    return make_response(render_template(template, **values) + said, status)


def say(text: str, kind: str = "success") -> None:
    """Tell the viewer what happened, on top of the page that comes next. `kind` is success, warning or error."""
    flash(text, kind)


def canonical_times(*names: str) -> str | None:
    """Return the URL of this page with the times `names` in UTC, where a form gave them in the viewer's zone.

    Redirect there: a link must mean the same to a colleague elsewhere. None where there is nothing to change.
    Raises BadRequest for what is no time.
    """
    given = [(name, value) for name, value in request.args.items(multi=True) if value or name not in names]
    meant = [(name, _in_utc(name, value) if name in names else value) for name, value in given]
    return None if meant == given else f"{request.path}?{urlencode(meant)}"


def here(**changes: Any) -> str:
    """Return the URL of this page with some parameters changed; None removes one. For links to other filters."""
    kept: MultiDict[str, Any] = MultiDict(request.args)
    for name, value in changes.items():
        kept.poplist(name)
        if value is not None:
            kept[name] = value
    pairs = [(name, value) for name, value in kept.items(multi=True) if value != ""]
    return f"{request.path}?{urlencode(pairs)}" if pairs else request.path


def _in_utc(name: str, value: str) -> str:
    at = instant(name, value)
    return value if value.endswith("Z") or at is None else iso(at)
