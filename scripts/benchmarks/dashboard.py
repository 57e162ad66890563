"""The dashboard on a history of many logs: how long its overview and its list of logs take."""

import re
import time
from html import unescape

import requests

from .context import Context
from .history import LOADING, NOWHERE, PAGE_SIZE, WEBHOOKS, load_logs, stop_all, wait_until_counted
from .measure import CpuClock, Sample, percentile
from .processes import BenchError
from .server import Server, serving

RANGES = ("1h", "6h", "24h", "7d", "30d")
NOWHERE_TEXT = "no payload and no answer has this"
LISTS = {
    "logs": {},
    "failures": {"status": "failures"},
    "trigger": {"trigger": "NODE_DELETED"},  # which none has either
    "text": {"q": NOWHERE_TEXT},
}
WARM_UP = 2

_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


def dashboard(context: Context) -> Sample:
    """Pages of the dashboard as an administrator gets them, over all webhooks and all logs.

    The overview by each of its ranges; the list of logs without a filter, of failures, and by what is nowhere: then a
    page looks at as many logs as it may.
    """
    sizes = context.sizes
    rows = max(sizes.log_rows, WEBHOOKS * PAGE_SIZE)
    with serving(context) as server:
        ids = server.register((NOWHERE, number) for number in range(WEBHOOKS))
        stop_all(server)
        loading_s = load_logs(server, ids, rows, lambda part: context.progress(LOADING * part))
        server.start()
        counting_s = wait_until_counted(server, sizes.counting_s)
        viewer = _Viewer(server)
        clock = CpuClock(server.parts)
        views = {name: viewer.time("/", sizes.log_pages, range=name) for name in RANGES}
        lists = {name: viewer.time("/logs", sizes.log_pages, **given) for name, given in LISTS.items()}
        shares = clock.shares()
    slowest = max(views.values(), key=lambda times: percentile(times, 0.95))
    figures = {"overview_p50": percentile(slowest, 0.5), "overview_p95": percentile(slowest, 0.95)}
    figures |= {f"{name}_p95": percentile(times, 0.95) for name, times in lists.items()}
    details = {
        "rows": rows,
        "loading_s": loading_s,
        "counting_s": counting_s,
        "ms": {
            name: {"p50": percentile(times, 0.5), "p95": percentile(times, 0.95)}
            for name, times in (views | lists).items()
        },
    }
    return Sample(figures, shares, details)


class _Viewer:
    """A browser without a screen that is logged in as the administrator."""

    def __init__(self, server: Server) -> None:
        self._base = server.base
        self._session = server.session()
        name, password = self._session.auth  # type: ignore[misc]  # a pair, as the server made it
        self._session.auth = None
        form = self._session.get(f"{self._base}/login", timeout=60)
        token = _TOKEN.search(form.text)
        if token is None:
            raise BenchError(f"the login page: HTTP {form.status_code}: {form.text[:300]}")
        given = {"csrf_token": unescape(token[1]), "name": name, "password": password}
        _check(self._session.post(f"{self._base}/login", data=given, timeout=60), "/login")

    def time(self, path: str, calls: int, **query: str) -> list[float]:
        """Return the time of each of `calls` calls in ms, after some for what the first ones open and load."""
        times = []
        for _ in range(WARM_UP + calls):
            start = time.perf_counter()
            answer = self._session.get(f"{self._base}{path}", params=query, timeout=60)
            times.append((time.perf_counter() - start) * 1_000)
            _check(answer, path)
        return times[WARM_UP:]


def _check(answer: requests.Response, path: str) -> None:
    """Raise BenchError for what is not the page that was asked for."""
    if answer.status_code != 200 or (answer.url.endswith("/login") and path != "/login"):
        raise BenchError(f"{path}: HTTP {answer.status_code} at {answer.url}: {answer.text[:300]}")
