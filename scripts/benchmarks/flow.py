"""Scenarios that follow events from publish to the receiver and the log. Each returns the `Sample` of one run."""

import statistics
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from app.clock import now_ms
from app.ids import first_id_at

from .context import Context, Sizes, latency_load
from .driver import Load, Outcome
from .measure import WARM_UP, CpuClock, Sample, Watched, paced, percentile
from .parts import Progress, Receiver, driving
from .processes import running
from .server import Server, serving

BATCH = 100
PUBLISHERS = 4  # connections that publish batches


class Rig:
    """A server, warmed up, whose webhooks send to a receiver."""

    def __init__(self, server: Server, receiver: Receiver) -> None:
        self.server = server
        self.receiver = receiver
        self._received = WARM_UP.events

    def run(self, load: Load, deliveries: int, progress: Progress) -> tuple[Outcome, float, dict[str, float]]:
        """Publish `load` and wait until the `deliveries` that come of it are on record.

        Return what the driver saw, the seconds from its first call to the commit of the last log row, and the shares
        of a core meanwhile.
        """
        self._received += deliveries
        self.receiver.expect(self._received)
        # In another millisecond than the last attempt of before: ids are stamped with the start of the request.
        time.sleep(0.002)
        self.server.log_table.since = first_id_at(now_ms())
        with driving(self.server.aim(load)) as driver:
            clock = CpuClock({"driver": driver, "receiver": self.receiver, **self.server.parts})
            driver.start()
            self.receiver.wait(self._received, load.timeout_s, progress, driver.check)
            end_ns = self.server.log_table.wait(deliveries, load.timeout_s)
            shares = clock.shares()
            outcome = driver.finish()
        return outcome, (end_ns - outcome.started_ns) / 1e9, shares


@contextmanager
def rig(
    context: Context,
    webhooks: Iterable[tuple[int, int]],
    *,
    marks: bool = False,
    delay_s: float = 0.0,
    **fields: object,
) -> Iterator[Rig]:
    """Give a rig with `webhooks`: the number of each, and that of the repository that it looks at; and its `fields`."""
    with serving(context) as server, running(Receiver(marks=marks, delay_s=delay_s)) as receiver:
        server.register(((receiver.url(number), repository) for number, repository in webhooks), **fields)
        server.warm_up(receiver)
        yield Rig(server, receiver)


def one_each(webhooks: int) -> Iterator[tuple[int, int]]:
    """Yield `webhooks` webhooks, each with a repository of its own."""
    return ((number, number) for number in range(webhooks))


def throughput(context: Context) -> Sample:
    """Batches of 100, one matching webhook an event."""
    return _rate(context, batches(context.sizes))


def batches(sizes: Sizes) -> Load:
    """Return the load of `throughput`."""
    load = Load(connections=PUBLISHERS, events=sizes.throughput_events, batch=BATCH, repositories=sizes.webhooks)
    return replace(load, timeout_s=sizes.timeout_s)


def second(context: Context) -> Sample:
    """`throughput` with one worker process, then with two, each on a fresh server."""
    one, two = (
        throughput(replace(context, deployment=replace(context.deployment, workers=workers))) for workers in (1, 2)
    )
    rates = {"one": one.figures["rate"], "two": two.figures["rate"]}
    details = {"one": one.details, "two": two.details, "cpu_of_one": one.cpu}
    return Sample({**rates, "growth": rates["two"] / rates["one"]}, two.cpu, details)


def single(context: Context) -> Sample:
    """One event a call, 16 clients at once, one matching webhook an event."""
    sizes = context.sizes
    load = Load(connections=sizes.single_clients, events=sizes.single_events, repositories=sizes.webhooks)
    return _rate(context, replace(load, timeout_s=sizes.timeout_s))


def _rate(context: Context, load: Load) -> Sample:
    with rig(context, one_each(context.sizes.webhooks)) as ready:
        outcome, seconds, shares = ready.run(load, load.events, context.progress)
    details = {
        "events": load.events,
        "publishing_s": (outcome.ended_ns - outcome.started_ns) / 1e9,
        "call_p50_ms": percentile(outcome.latencies_ms, 0.5),
        "call_p99_ms": percentile(outcome.latencies_ms, 0.99),
    }
    return Sample({"rate": load.events / seconds, "seconds": seconds}, shares, details)


def latency(context: Context) -> Sample:
    """One event a call, 20 calls a second: from sending each call to the arrival of its request at the receiver."""
    sizes = context.sizes
    load = latency_load(sizes)
    with rig(context, one_each(sizes.webhooks), marks=True) as ready:
        watched: Watched = {"receiver": ready.receiver, **ready.server.parts}
        return paced(ready.server.aim(load), ready.receiver, watched, context.progress)


def fanout(context: Context) -> Sample:
    """One event to 1,000 webhooks, a few times, each after the last is all on record; the median time of one."""
    sizes = context.sizes
    turns: list[float] = []
    shares: list[dict[str, float]] = []
    with rig(context, ((number, 0) for number in range(sizes.fanout_webhooks))) as ready:
        for turn in range(sizes.fanout_turns):
            load = Load(connections=1, events=1, first=turn, timeout_s=sizes.timeout_s)
            _, seconds, shares_now = ready.run(load, sizes.fanout_webhooks, lambda part: None)
            turns.append(seconds)
            shares.append(shares_now)
            context.progress((turn + 1) / sizes.fanout_turns)
    details = {"webhooks": sizes.fanout_webhooks, "turns_s": turns}
    cpu = {name: statistics.mean(share[name] for share in shares) for name in shares[0]}
    return Sample({"seconds": statistics.median(turns)}, cpu, details)


def publish(server: Server, load: Load) -> Outcome:
    """Publish `load` to `server`, and return what came of the calls."""
    with driving(server.aim(load)) as driver:
        driver.start()
        return driver.finish()
