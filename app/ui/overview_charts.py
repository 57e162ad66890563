"""Statistics as the charts and cards of the overview want them. Pure, but for the language of the page."""

from typing import Any, NamedTuple

from app.statistics import Statistics
from app.timeline import Comparison, relative_change
from app.ui.texts import gettext

Chart = dict[str, Any]


class Change(NamedTuple):
    """A change against the time before, in words, and whether that is good, bad or neither."""

    text: str
    kind: str


def changes_of(comparison: Comparison | None) -> dict[str, Change]:
    """Return the changes of attempts, success rate and 95th percentile, those that there are."""
    if comparison is None:
        return {}
    now, before = comparison
    found: dict[str, Change] = {}
    attempts = relative_change(now.total, before.total)
    if attempts is not None:
        found["attempts"] = Change(_signed(attempts * 100, "%"), "")
    if now.success_rate is not None and before.success_rate is not None:
        points = (now.success_rate - before.success_rate) * 100
        found["rate"] = Change(_signed(points, gettext("points"), 2), _kind(points))
    slower = relative_change(now.p95, before.p95)
    if slower is not None:
        found["p95"] = Change(_signed(slower * 100, "%"), _kind(-slower))
    return found


def status_chart(found: Statistics) -> Chart:
    """Return the attempts by step and status."""
    summaries = [point.summary for point in found.points]
    series = [
        {"name": gettext("succeeded"), "colour": "good", "values": [summary.success for summary in summaries]},
        {"name": gettext("failed"), "colour": "bad", "values": [summary.fail for summary in summaries]},
        {"name": gettext("not sent"), "colour": "busy", "values": [summary.error for summary in summaries]},
    ]
    return {**_frame(found), "series": series}


def durations_chart(found: Statistics) -> Chart:
    """Return the percentiles of durations by step, in milliseconds."""
    series = [
        {"name": name, "colour": name, "values": [_rounded(getattr(point.summary, name)) for point in found.points]}
        for name in ("p50", "p95", "p99")
    ]
    return {**_frame(found), "series": series}


def _frame(found: Statistics) -> Chart:
    """Return the time axis, in seconds: its ends, which do not depend on how far the series goes, and its points."""
    step = found.frame.chosen.step_ms // 1000
    starts = found.frame.starts
    at = [point.at // 1000 for point in found.points]
    return {"start": starts[0] // 1000, "end": starts[-1] // 1000 + step, "step": step, "at": at}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _kind(better: float) -> str:
    if abs(better) < 0.005:
        return ""
    return "good-text" if better > 0 else "bad-text"


def _signed(value: float, unit: str, digits: int = 0) -> str:
    shown = f"{abs(value):,.{digits}f}"
    sign = "±" if not float(shown.replace(",", "")) else "+" if value > 0 else "−"
    return f"{sign}{shown} {unit}"
