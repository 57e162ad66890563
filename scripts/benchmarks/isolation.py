"""Scenarios of webhooks that hang, have much due, are delivered to in order, or have a rate limit."""

import statistics
import time
from dataclasses import replace

from .context import Context, latency_load
from .driver import Load
from .events import mark_of
from .flow import BATCH, PUBLISHERS, Rig, batches, one_each, publish, rig
from .measure import CpuClock, Sample, Watched, latencies_ms, paced, percentile
from .parts import Progress, Receiver, driving, ignore
from .processes import running

NEVER_S = 86_400.0
HANGING_PART = 5  # one webhook in so many hangs
KEYS = 1_000
ONE_KEY_EVENTS = 200
ONE_KEY_ANSWER_S = 0.02
ENDURANCE_PACE = 200.0
RATE_LIMIT = 50
RATE_S = 20.0


def neighbours(context: Context) -> Sample:
    """Healthy webhooks alone, beside as many that hang as one in five, and beside one with a great backlog.

    All on one server. Receivers of the others take requests and never answer, so each of their attempts lasts until the
    server gives it up. The healthy ones' throughput is that of the same events: alone, the others are not registered.
    """
    sizes = context.sizes
    hanging = max(1, sizes.webhooks // HANGING_PART)
    healthy = sizes.webhooks - hanging
    load, rest = latency_load(sizes), _events_of(batches(sizes), healthy)
    slow = replace(load, repositories=healthy)
    with (
        rig(context, one_each(healthy), marks=True) as ready,
        running(Receiver(delay_s=NEVER_S)) as silent,
    ):
        watched: Watched = {"receiver": ready.receiver, **ready.server.parts}
        alone = paced(ready.server.aim(slow), ready.receiver, watched, _part(context, 0))
        _, seconds, _ = ready.run(batches(sizes), rest, _part(context, 1))
        rates = {"rate_alone": rest / seconds}
        ready.server.register((silent.url(number), number) for number in range(healthy, sizes.webhooks))
        _, seconds, shares = ready.run(replace(batches(sizes), first=sizes.throughput_events), rest, _part(context, 2))
        rates |= {"rate": rest / seconds, "kept": rest / seconds / rates["rate_alone"]}
        beside = _latency_beside(ready, replace(load, first=2 * sizes.throughput_events), healthy, _part(context, 3))
        ready.server.register([(silent.url(sizes.webhooks), sizes.webhooks)])
        rss_before = ready.server.rss_mb("worker")
        backlog = Load(
            connections=PUBLISHERS, events=sizes.neighbour_backlog, batch=BATCH, first_repository=sizes.webhooks
        )
        publish(ready.server, replace(backlog, timeout_s=sizes.timeout_s))
        behind = paced(
            ready.server.aim(replace(slow, first=4 * sizes.throughput_events)),
            ready.receiver,
            watched,
            _part(context, 4),
        )
        ((left,),) = ready.server.database.rows("SELECT count(*) FROM delivery")
        rss = ready.server.rss_mb("worker")
        tried = int(silent.stats()["count"])
    p50, p99 = alone.figures["p50"], alone.figures["p99"]
    figures = {
        "p50_alone": p50,
        "p99_alone": p99,
        **rates,
        "hanging_p50": beside["p50"],
        "hanging_p99": beside["p99"],
        "hanging_growth": beside["p99"] / p99,
        "backlog_p50": behind.figures["p50"],
        "backlog_p99": behind.figures["p99"],
        "backlog_growth": behind.figures["p99"] / p99,
        "rss_growth_mb": rss - rss_before,
    }
    details = {"backlog": backlog.events, "left": left, "tried": tried, "alone": alone.details, "cpu_rate": shares}
    return Sample(figures, behind.cpu, {**details, "behind": behind.details})


def endurance(context: Context) -> Sample:
    """The memory of the worker over minutes beside webhooks that hang and one with a great backlog, from the first
    minute to the last."""
    sizes = context.sizes
    hanging = max(1, sizes.webhooks // HANGING_PART)
    healthy = sizes.webhooks - hanging
    with rig(context, one_each(healthy)) as ready, running(Receiver(delay_s=NEVER_S)) as silent:
        ready.server.register((silent.url(number), number) for number in range(healthy, sizes.webhooks + 1))
        backlog = Load(connections=PUBLISHERS, events=sizes.neighbour_backlog, batch=BATCH)
        publish(ready.server, replace(backlog, first_repository=sizes.webhooks, timeout_s=sizes.timeout_s))
        events = int(sizes.endurance_s * ENDURANCE_PACE)
        load = Load(connections=4, events=events, repositories=sizes.webhooks, pace=ENDURANCE_PACE)
        with driving(ready.server.aim(replace(load, timeout_s=2 * sizes.endurance_s))) as driver:
            clock = CpuClock({"receiver": ready.receiver, **ready.server.parts})
            driver.start()
            begin, samples = time.monotonic(), []
            while (elapsed := time.monotonic() - begin) < sizes.endurance_s:
                context.progress(elapsed / sizes.endurance_s)
                samples.append(ready.server.rss_mb("worker"))
                time.sleep(min(1.0, sizes.endurance_s / 10))
            shares = clock.shares()
            driver.finish()
        delivered = int(ready.receiver.stats()["count"])
    tenth = max(1, len(samples) // 10)
    first, last = statistics.median(samples[tenth : 2 * tenth]), statistics.median(samples[-tenth:])
    figures = {"rss_mb": last, "growth_mb": last - first}
    return Sample(figures, shares, {"rss_mb": samples, "published": events, "delivered": delivered})


def ordered(context: Context) -> Sample:
    """`throughput` over 1,000 keys, unordered and in order, each on a fresh server; then one key, at its receiver's
    pace."""
    load = replace(batches(context.sizes), keys=KEYS)
    rates: dict[str, float] = {}
    for part, ordering in enumerate(("none", "resource")):
        with rig(context, one_each(context.sizes.webhooks), ordering=ordering) as ready:
            _, seconds, shares = ready.run(load, load.events, _part(context, part, 3))
        rates[ordering] = load.events / seconds
    events = min(ONE_KEY_EVENTS, load.events // 10)
    one = Load(connections=1, events=events, batch=BATCH, keys=1, timeout_s=context.sizes.timeout_s)
    with rig(context, one_each(1), delay_s=ONE_KEY_ANSWER_S, ordering="resource") as ready:
        _, seconds, _ = ready.run(one, events, _part(context, 2, 3))
    pace = events * ONE_KEY_ANSWER_S / seconds
    figures = {"unordered": rates["none"], "ordered": rates["resource"], "kept": rates["resource"] / rates["none"]}
    return Sample({**figures, "one_key": pace}, shares, {"keys": KEYS, "one_key_s": seconds})


def limited(context: Context) -> Sample:
    """How many requests a webhook with a limit of 50 a second gets in 20 s, from all workers, with enough due."""
    wanted = RATE_LIMIT * RATE_S
    seconds = min(RATE_S, context.sizes.idle_s)
    load = Load(connections=1, events=int(2 * wanted), batch=BATCH, timeout_s=context.sizes.timeout_s)
    with rig(context, one_each(1), rateLimit=RATE_LIMIT) as ready:
        before = int(ready.receiver.stats()["count"])
        ready.receiver.expect(before + 1)
        watched: Watched = {"receiver": ready.receiver, **ready.server.parts}
        with driving(ready.server.aim(load)) as driver:
            clock = CpuClock(watched)
            driver.start()
            ready.receiver.wait(before + 1, load.timeout_s, ignore, driver.check)
            until = time.monotonic() + seconds
            while (left := until - time.monotonic()) > 0:
                context.progress(1 - left / seconds)
                time.sleep(min(left, 0.2))
            count = int(ready.receiver.stats()["count"]) - before
            shares = clock.shares()
            driver.finish()
    expected = RATE_LIMIT * seconds
    return Sample({"requests": count, "off_percent": abs(count - expected) / expected * 100}, shares, {"s": seconds})


def _latency_beside(ready: Rig, load: Load, healthy: int, progress: Progress) -> dict[str, float]:
    """Run a paced load over all repositories, those of webhooks that hang included, and return the others' latency."""
    ours = [number for number in range(load.events) if number % load.repositories < healthy]
    before = int(ready.receiver.stats()["count"])
    ready.receiver.expect(before + len(ours))
    with driving(ready.server.aim(load)) as driver:
        driver.start()
        ready.receiver.wait(before + len(ours), load.timeout_s, progress, driver.check)
        outcome = driver.finish()
    marks = {mark_of(load.first + number) for number in ours}
    sent = {mark: at for mark, at in outcome.sent_ns.items() if mark in marks}
    found = latencies_ms(sent, ready.receiver.stats()["arrived"])
    return {"p50": percentile(found, 0.5), "p99": percentile(found, 0.99)}


def _events_of(load: Load, repositories: int) -> int:
    """Return how many events of `load` are of its first `repositories`."""
    return sum(number % load.repositories < repositories for number in range(load.events))


def _part(context: Context, number: int, parts: int = 5) -> Progress:
    """Return the progress of one of so many parts of a scenario."""
    return lambda part: context.progress((number + part) / parts)
