"""Scenarios that follow events from publish to the receiver and the log. Each returns the `Sample` of one run."""

import statistics
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from .context import Context, latency_load
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
        self._deliveries = WARM_UP.events

    def run(self, load: Load, deliveries: int, progress: Progress) -> tuple[Outcome, float, dict[str, float]]:
        """Publish `load` and wait until the `deliveries` that come of it are on record.

        Return what the driver saw, the seconds from its first call to the commit of the last log row, and the shares
        of a core meanwhile.
        """
        self._deliveries += deliveries
        self.receiver.expect(self._deliveries)
        with driving(self.server.aim(load)) as driver:
            clock = CpuClock({"driver": driver, "receiver": self.receiver, "server": self.server})
            driver.start()
            self.receiver.wait(self._deliveries, load.timeout_s, progress, driver.check)
            end_ns = self.server.log_table.wait(self._deliveries, load.timeout_s)
            shares = clock.shares()
            outcome = driver.finish()
        return outcome, (end_ns - outcome.started_ns) / 1e9, shares


@contextmanager
def rig(context: Context, webhooks: Iterable[tuple[int, int]], *, marks: bool = False) -> Iterator[Rig]:
    """Give a rig with `webhooks`: the number of each, and that of the repository that it looks at."""
    with serving(context.scratch) as server, running(Receiver(marks=marks)) as receiver:
        server.register((receiver.url(number), repository) for number, repository in webhooks)
        server.warm_up(receiver)
        yield Rig(server, receiver)


def one_each(webhooks: int) -> Iterator[tuple[int, int]]:
    """Yield `webhooks` webhooks, each with a repository of its own."""
    return ((number, number) for number in range(webhooks))


def throughput(context: Context) -> Sample:
    """Batches of 100, one matching webhook an event."""
    return _rate(context, Load(connections=PUBLISHERS, events=context.sizes.throughput_events, batch=BATCH))


def single(context: Context) -> Sample:
    """One event a call, 16 clients at once, one matching webhook an event."""
    return _rate(context, Load(connections=context.sizes.single_clients, events=context.sizes.single_events))


def _rate(context: Context, load: Load) -> Sample:
    sizes = context.sizes
    load = replace(load, repositories=sizes.webhooks, timeout_s=sizes.timeout_s)
    with rig(context, one_each(sizes.webhooks)) as ready:
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
        watched: Watched = {"receiver": ready.receiver, "server": ready.server}
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
