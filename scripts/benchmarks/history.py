"""Scenarios on a history of many rows: reading pages of it, and pruning it while deliveries go on."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import requests

from app.clock import now_ms
from app.ids import first_id_at, id_at
from app.models import Event, WebhookLog

from .context import Context
from .flow import Rig, batches, one_each
from .measure import CpuClock, Sample, percentile
from .parts import Progress, Receiver
from .processes import BenchError, running
from .rows import FAILS_EVERY, event_rows, log_rows, spread, table_of
from .server import Server, serving

DAY_MS = 86_400_000
NOWHERE = "http://127.0.0.1:9/"
WEBHOOKS = 10
EVENTS = 1_000  # that the logs share
DAYS = 60  # that the logs are spread over
PAGE_SIZE = 20
WARM_PAGES = 5
COUNTED_WITHIN_MS = 600_000
COUNTERS = "'logs_counted_until', 'logs_measured_until'"
POLL_S = 0.25

FOREVER_DAYS = "36500"
RETENTION_DAYS = 90
PRUNED_FROM_DAYS, PRUNED_TO_DAYS = 150, 91
LOADING = 0.8  # of the progress


def logs(context: Context) -> Sample:
    """Pages of the list of a webhook that has a tenth of all log rows, their total count included.

    The history is loaded in bulk, and the background count of the logs has caught up before the clock starts.
    """
    sizes = context.sizes
    rows = max(sizes.log_rows, WEBHOOKS * PAGE_SIZE)
    with serving(context) as server:
        ids = server.register((NOWHERE, number) for number in range(WEBHOOKS))
        stop_all(server)
        loading_s = load_logs(server, ids, rows, lambda part: context.progress(LOADING * part))
        server.start()
        counting_s = wait_until_counted(server, sizes.counting_s)
        pages = _Pages(server, ids[0], -(-rows // WEBHOOKS))
        clock = CpuClock(server.parts)
        first = pages.time(sizes.log_pages)
        shares = clock.shares()
        failed = pages.time(sizes.log_pages, status="FAIL")
        deep = pages.time(max(1, sizes.log_pages // 10), page=max(1, rows // WEBHOOKS // PAGE_SIZE // 2))
    figures = {"p50": percentile(first, 0.5), "p99": percentile(first, 0.99), "failed_p99": percentile(failed, 0.99)}
    figures |= {"deep_p50": percentile(deep, 0.5), "loading_s": loading_s}
    details = {
        "rows": rows,
        "webhook_rows": pages.total,
        "counting_s": counting_s,
        "failed_p50": percentile(failed, 0.5),
    }
    return Sample(figures, shares, details)


def stop_all(server: Server) -> None:
    """End every process, the scheduler in order: it then gives up its lease, for which the next one would wait."""
    server.pause("scheduler")
    server.stop()


def load_logs(server: Server, webhook_ids: Sequence[str], rows: int, progress: Progress) -> float:
    """Load the logs and the events that they share; have them counted from the beginning; return the seconds."""
    start, now = time.monotonic(), now_ms()
    past = now - DAYS * DAY_MS
    events = [(id_at(at), at) for at in spread(past, now, EVENTS)]
    found = log_rows(spread(past, now, rows), webhook_ids, [event_id for event_id, _ in events])
    database = server.database
    database.load(table_of(Event), event_rows(events))
    database.load(table_of(WebhookLog), found, lambda done: progress(done / rows))
    database.settle([table_of(Event).name, table_of(WebhookLog).name])
    database.execute("DELETE FROM log_count")
    database.execute("DELETE FROM log_stat")
    database.execute(f"UPDATE counter SET value = 0 WHERE name IN ({COUNTERS})")
    return time.monotonic() - start


def wait_until_counted(server: Server, timeout_s: float) -> float:
    """Wait until the scheduler has counted nearly all logs, and added up their statistics; return the seconds.

    Raises BenchError.
    """
    start = time.monotonic()
    with server.database.connection() as connection:
        while True:
            found = server.database.ask(connection, f"SELECT min(value) FROM counter WHERE name IN ({COUNTERS})")
            if found and found[0][0] >= now_ms() - COUNTED_WITHIN_MS:
                return time.monotonic() - start
            if time.monotonic() - start > timeout_s:
                raise BenchError(f"the logs are not counted after {timeout_s:.0f} s: {found}")
            server.check_alive()
            time.sleep(POLL_S)


class _Pages:
    """Asks for pages of a webhook's logs; `total` is how many it has."""

    def __init__(self, server: Server, webhook_id: str, total: int) -> None:
        self.total = total
        self._url = f"{server.base}/webhook/api/log/list/{webhook_id}"
        self._session = server.session()

    def time(self, calls: int, *, page: int = 1, **filters: str) -> list[float]:
        """Return the time of each of `calls` calls in ms. Raises BenchError where the answer is not what it should be.

        Some calls go before, for what the first ones open and load.
        """
        query = {"pageNumber": str(page), "pageSize": str(PAGE_SIZE), **filters}
        total = -(-self.total // FAILS_EVERY) if filters else self.total
        times = []
        for _ in range(WARM_PAGES + calls):
            start = time.perf_counter()
            answer = self._session.get(self._url, params=query, timeout=60)
            times.append((time.perf_counter() - start) * 1_000)
            _check(answer, total, min(PAGE_SIZE, total))
        return times[WARM_PAGES:]


def _check(answer: requests.Response, total: int, records: int) -> None:
    if answer.status_code != 200:
        raise BenchError(f"the list of logs: HTTP {answer.status_code}: {answer.text[:300]}")
    data: dict[str, Any] = answer.json()["data"]
    payloads = sum(bool(record["requestPayload"]) for record in data["records"])
    if (data["totalRecords"], payloads) != (total, records):
        raise BenchError(
            f"the list of logs: {records} of {total} were expected, {payloads} of {data['totalRecords']} came"
        )


def prune(context: Context) -> Sample:
    """`throughput` without and with a scheduler that has many old logs and events to remove, on the same tables.

    Half of the old rows are logs, half events. The load is repeated until they are gone, or for `timeout_s` seconds.
    """
    sizes = context.sizes
    load = batches(sizes)
    with serving(context, LOG_RETENTION_DAYS=FOREVER_DAYS) as server, running(Receiver()) as receiver:
        ids = server.register((receiver.url(number), repository) for number, repository in one_each(sizes.webhooks))
        server.warm_up(receiver)
        stop_all(server)
        oldest = _load_old(server, ids, sizes.prune_rows // 2, lambda part: context.progress(LOADING * part))
        server.start()
        rig = Rig(server, receiver)
        rig.run(load, load.events, _unseen)
        _, alone_s, _ = rig.run(load, load.events, _unseen)
        server.pause("scheduler")
        server.resume("scheduler", LOG_RETENTION_DAYS=str(RETENTION_DAYS))
        _wait_until_pruning(server, oldest, sizes.timeout_s)
        clock = CpuClock({"receiver": receiver, **server.parts})
        turns = _deliver_meanwhile(rig, context)
        shares = clock.shares()
    rates = {"rate": load.events * len(turns) / sum(turn.load_s for turn in turns), "rate_alone": load.events / alone_s}
    pruned = (2 * (sizes.prune_rows // 2) - turns[-1].left) / turns[-1].since_start_s
    figures = {**rates, "pruned": pruned, "kept": rates["rate"] / rates["rate_alone"]}
    return Sample(figures, shares, {"rows": sizes.prune_rows, "turns": turns})


def _unseen(part: float) -> None:
    """Show no progress."""


def _load_old(server: Server, webhook_ids: Sequence[str], number: int, progress: Progress) -> str:
    """Load `number` logs and as many events, all older than the retention; return the id of the oldest log."""
    now = now_ms()
    start, end = now - PRUNED_FROM_DAYS * DAY_MS, now - PRUNED_TO_DAYS * DAY_MS
    events = [(id_at(at), at) for at in spread(start, end, number)]
    found = log_rows(spread(start, end, number), webhook_ids[:1], [event_id for event_id, _ in events])
    database = server.database
    database.load(table_of(Event), event_rows(events), lambda done: progress(done / number / 2))
    database.load(table_of(WebhookLog), found, lambda done: progress((1 + done / number) / 2))
    database.settle([table_of(Event).name, table_of(WebhookLog).name])
    return str(database.rows("SELECT min(id) FROM webhook_log")[0][0])


class _Turn(NamedTuple):
    """A load beside pruning: its seconds, and after it the seconds since pruning began, and the rows still to go."""

    load_s: float
    since_start_s: float
    left: int


def _deliver_meanwhile(rig: Rig, context: Context) -> list[_Turn]:
    """Repeat the load while pruning goes on. A turn in which it came to its end is left out, if there is another."""
    sizes, load = context.sizes, batches(context.sizes)
    before, start = now_ms() - RETENTION_DAYS * DAY_MS, time.monotonic()
    turns: list[_Turn] = []
    while not turns or (turns[-1].left and turns[-1].since_start_s < sizes.timeout_s):
        _, seconds, _ = rig.run(load, load.events, _unseen)
        now = time.monotonic()
        turns.append(_Turn(seconds, now - start, _old_rows(rig.server, before)))
        context.progress(1 - (1 - LOADING) * turns[-1].left / sizes.prune_rows)
    return [turn for turn in turns if turn.left] or turns[:1]


def _wait_until_pruning(server: Server, oldest: str, timeout_s: float) -> None:
    """Wait until the oldest log is gone: the scheduler may first wait for its lease. Raises BenchError."""
    deadline = time.monotonic() + timeout_s
    with server.database.connection() as connection:
        while server.database.ask(connection, "SELECT 1 FROM webhook_log WHERE id = ?", oldest):
            if time.monotonic() > deadline:
                raise BenchError(f"pruning has not begun after {timeout_s:.0f} s")
            time.sleep(POLL_S / 10)


def _old_rows(server: Server, before: int) -> int:
    """Return how many logs and events there are to prune."""
    ((old_logs,),) = server.database.rows("SELECT count(*) FROM webhook_log WHERE id < ?", first_id_at(before))
    ((events,),) = server.database.rows("SELECT count(*) FROM event WHERE accepted_at < ?", before)
    return int(old_logs + events)
