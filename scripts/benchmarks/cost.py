"""Scenarios that ask what something costs the server: publishing beside many webhooks, idling, requests in flight."""

import statistics
import time
from contextlib import ExitStack

from .context import Context
from .driver import Load, Outcome
from .flow import BATCH, PUBLISHERS, one_each
from .measure import CpuClock, Sample
from .parts import Receiver, driving
from .processes import BenchError, running
from .server import Server, serving

SETTLE_S = 3.0
SAMPLE_S = 0.05
NOWHERE = "http://127.0.0.1:9/"


def matching(context: Context) -> Sample:
    """The time of a publish call, an event, beside more and more webhooks that do not cover the event.

    The events match nothing, so that nothing but parsing, matching and storing them is timed: a delivery's cost would
    hide a part of the growth. There is one server for each number of webhooks, and they take turns, so that a busy
    moment of the machine hits all alike. The figure is the mean of a turn, collections of garbage included, and the
    median of the turns.
    """
    sizes = context.sizes
    load = Load(connections=1, events=BATCH * sizes.matching_calls, batch=BATCH, timeout_s=sizes.timeout_s)
    turns: dict[int, list[float]] = {number: [] for number in sizes.matching_webhooks}
    with ExitStack() as stack:
        servers = {number: stack.enter_context(serving(context.scratch)) for number in sizes.matching_webhooks}
        for number, server in servers.items():
            server.register([(NOWHERE, 1)])
            server.multiply(number)
            _publish(server, load)  # the first call loads the webhooks
        order = list(servers)
        for turn in range(sizes.matching_turns):
            for number in order:
                turns[number].append(_cost_us(_publish(servers[number], load), load.events))
            order = order[1:] + order[:1]  # what one leaves to be written to disk delays the next
            context.progress((turn + 1) / sizes.matching_turns)
    costs = {number: statistics.median(found) for number, found in turns.items()}
    few, *_, many = sizes.matching_webhooks
    figures = {f"cost_{number}": cost for number, cost in zip(("few", "some", "many"), costs.values(), strict=True)}
    return Sample({**figures, "growth": costs[many] / costs[few]}, {}, {"turns_us_by_webhooks": turns})


def _publish(server: Server, load: Load) -> Outcome:
    with driving(server.aim(load)) as driver:
        driver.start()
        return driver.finish()


def _cost_us(outcome: Outcome, events: int) -> float:
    return (outcome.ended_ns - outcome.started_ns) / 1_000 / events


def idle(context: Context) -> Sample:
    """The share of a core of a server with its webhooks, some seconds after its last event."""
    sizes = context.sizes
    with serving(context.scratch) as server, running(Receiver()) as receiver:
        server.register((receiver.url(number), repository) for number, repository in one_each(sizes.webhooks))
        server.warm_up(receiver)
        time.sleep(min(SETTLE_S, sizes.idle_s))
        clock = CpuClock({"server": server})
        time.sleep(sizes.idle_s)
        shares = clock.shares()
        server.check_alive()
    return Sample({"percent": 100 * shares["server"]}, shares, {"seconds": sizes.idle_s})


def memory(context: Context) -> Sample:
    """The resident memory while 500 requests wait for a slow receiver, at its highest; MB of 1,000,000 bytes."""
    sizes = context.sizes
    events = 2 * sizes.in_flight
    load = Load(connections=PUBLISHERS, events=events, batch=BATCH, repositories=sizes.webhooks)
    with serving(context.scratch) as server, running(Receiver(delay_s=sizes.slow_answer_s)) as receiver:
        server.register((receiver.url(number), repository) for number, repository in one_each(sizes.webhooks))
        before = server.rss_mb()
        clock = CpuClock({"server": server, "receiver": receiver})
        _publish(server, load)
        highest, most = _watch(server, receiver, context)
        shares = clock.shares()
    return Sample({"rss_mb": highest}, shares, {"before_mb": before, "most_in_flight": most})


def _watch(server: Server, receiver: Receiver, context: Context) -> tuple[float, int]:
    """Return the highest memory while enough requests are in flight, and the most that were, once all is delivered."""
    sizes = context.sizes
    highest, deadline = 0.0, time.monotonic() + sizes.timeout_s
    while True:
        stats = receiver.stats()
        if stats["open"] >= sizes.in_flight:
            highest = max(highest, server.rss_mb())
        context.progress(stats["count"] / (2 * sizes.in_flight))
        if stats["count"] >= 2 * sizes.in_flight and not stats["open"]:
            break
        if time.monotonic() > deadline:
            raise BenchError(f"{stats['count']} of {2 * sizes.in_flight} requests arrived in {sizes.timeout_s:.0f} s")
        time.sleep(SAMPLE_S)
    if not highest:
        raise BenchError(f"{sizes.in_flight} requests in flight were wanted, {stats['most_open']} were there at most")
    return highest, int(stats["most_open"])


def ceiling(context: Context) -> Sample:
    """The driver straight to the receiver, one event a call: more than this, nothing here can measure."""
    events = 5 * context.sizes.single_events
    with running(Receiver()) as receiver:
        receiver.expect(events)
        load = Load(url=receiver.url(0), connections=context.sizes.single_clients, events=events)
        with driving(load) as driver:
            clock = CpuClock({"driver": driver, "receiver": receiver})
            driver.start()
            receiver.wait(events, context.sizes.timeout_s, context.progress, driver.check)
            shares = clock.shares()
            outcome = driver.finish()
    seconds = (outcome.ended_ns - outcome.started_ns) / 1e9
    return Sample({"rate": events / seconds}, shares, {"calls": events})
