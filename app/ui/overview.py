"""The overview: what has become of deliveries in a range of time, what is owed, and which webhooks need somebody."""

from typing import Any

from flask import Response, request

from app.api.context import caller
from app.clock import now_ms
from app.failing import failing_webhooks
from app.outstanding import outstanding
from app.statistics import has_webhooks, scope_of, statistics
from app.timeline import RANGES, range_of
from app.ui.overview_charts import changes_of, durations_chart, status_chart
from app.ui.pages import fragment, page
from app.ui.section import section
from app.ui.session import is_fragment
from app.ui.texts import gettext
from app.ui.webhook_words import disabled_reason

overview = section("overview", __name__)


@overview.get("/")
def show() -> Response:
    """Show it all; what is asked for again every few seconds is the part that changes."""
    now, chosen, scope = now_ms(), range_of(request.args), scope_of(caller())
    found = statistics(scope, chosen, now)
    values: dict[str, Any] = {
        "chosen": chosen,
        "ranges": _ranges(),
        "found": found,
        "changes": changes_of(found.comparison),
        "charts": {"status": status_chart(found), "durations": durations_chart(found)},
        "owed": outstanding(scope),
        "trouble": failing_webhooks(scope),
        "disabled_reason": disabled_reason,
        "is_cut": scope.is_cut,
        "is_new": not has_webhooks(scope),
    }
    return fragment("overview/live.html", **values) if is_fragment() else page("overview/show.html", **values)


@overview.get("/overview/figures")
def figures() -> Response:
    """Show what the charts are drawn from."""
    chosen = range_of(request.args)
    found = statistics(scope_of(caller()), chosen, now_ms())
    return page("overview/figures.html", chosen=chosen, ranges=_ranges(), found=found)


def _ranges() -> dict[str, str]:
    """Return the ranges by name, and how the page speaks of them."""
    texts = (
        gettext("the last hour"),
        gettext("the last 6 hours"),
        gettext("the last 24 hours"),
        gettext("the last 7 days"),
        gettext("the last 30 days"),
    )
    return dict(zip(RANGES, texts, strict=True))
