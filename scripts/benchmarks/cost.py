"""Scenarios that ask what something costs: publishing beside many webhooks, idling, a bare call."""

import statistics
import time
from contextlib import ExitStack

from .context import Context
from .driver import Load, Outcome
from .events import PAYLOAD_SIZE
from .flow import BATCH, one_each, publish
from .measure import CpuClock, Sample
from .parts import Receiver, driving
from .processes import running
from .server import serving

SETTLE_S = 3.0
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
        servers = {number: stack.enter_context(serving(context)) for number in sizes.matching_webhooks}
        for number, server in servers.items():
            server.register([(NOWHERE, 1)])
            server.multiply(number)
            publish(server, load)  # the first call loads the webhooks
        order = list(servers)
        for turn in range(sizes.matching_turns):
            for number in order:
                turns[number].append(_cost_us(publish(servers[number], load), load.events))
            order = order[1:] + order[:1]  # what one leaves to be written to disk delays the next
            context.progress((turn + 1) / sizes.matching_turns)
    costs = {number: statistics.median(found) for number, found in turns.items()}
    few, *_, many = sizes.matching_webhooks
    figures = {f"cost_{number}": cost for number, cost in zip(("few", "some", "many"), costs.values(), strict=True)}
    return Sample({**figures, "growth": costs[many] / costs[few]}, {}, {"turns_us_by_webhooks": turns})


def _cost_us(outcome: Outcome, events: int) -> float:
    return (outcome.ended_ns - outcome.started_ns) / 1_000 / events


def idle(context: Context) -> Sample:
    """The share of a core of a server with its webhooks, some seconds after its last event."""
    sizes = context.sizes
    with serving(context) as server, running(Receiver()) as receiver:
        server.register((receiver.url(number), repository) for number, repository in one_each(sizes.webhooks))
        server.warm_up(receiver)
        time.sleep(min(SETTLE_S, sizes.idle_s))
        clock = CpuClock(server.parts)
        time.sleep(sizes.idle_s)
        shares = clock.shares()
        server.check_alive()
        own = sum(shares[name] for name in server.own_parts)
    return Sample({"percent": 100 * own}, shares, {"seconds": sizes.idle_s})


def libcurl(context: Context) -> Sample:
    """A bare loop of libcurl's multi interface straight to the receiver, with the requests of deliveries prepared.

    Nobody who sends from one process of Python sends more: no server here can.
    """
    sizes = context.sizes
    with running(Receiver()) as receiver:
        receiver.expect(sizes.bare_calls)
        load = Load(url=receiver.url(0), connections=sizes.in_flight, events=sizes.bare_calls, size=PAYLOAD_SIZE)
        with driving(load) as driver:
            clock = CpuClock({"driver": driver, "receiver": receiver})
            driver.start()
            receiver.wait(sizes.bare_calls, sizes.timeout_s, context.progress, driver.check)
            shares = clock.shares()
            outcome = driver.finish()
    seconds = (outcome.ended_ns - outcome.started_ns) / 1e9
    return Sample({"rate": sizes.bare_calls / seconds}, shares, {"calls": sizes.bare_calls})
