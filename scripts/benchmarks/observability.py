"""What metrics and logs cost: throughput with them and without, in turns, on two servers that are there all the time.

A machine's pace changes from minute to minute, so each turn with them is held to the turn without them beside it.
"""

import contextlib
import statistics
from collections.abc import Iterator
from dataclasses import replace

from .context import Context
from .flow import Rig, batches, one_each
from .measure import Sample
from .parts import Receiver, ignore
from .processes import running
from .server import serving

ON = {"METRICS": "on", "LOG_FORMAT": "json", "LOG_LEVEL": "INFO"}
OFF = {"METRICS": "off", "LOG_FORMAT": "text", "LOG_LEVEL": "ERROR"}
PART = 2  # a turn publishes this part of what `throughput` does


def observability(context: Context) -> Sample:
    """Throughput with metrics and JSON logs on, and with both off: the medians, and the median of the turns' ratios."""
    sizes = context.sizes
    events = sizes.throughput_events // PART
    rates: dict[str, list[float]] = {"on": [], "off": []}
    costs: dict[str, list[float]] = {"on": [], "off": []}  # CPU seconds of the server's own processes
    shares: dict[str, float] = {}
    with _rig(context, ON) as on, _rig(context, OFF) as off:
        pair = [("on", on), ("off", off)]
        for turn in range(sizes.observability_turns):
            # Now the one is first, now the other: what the first leaves to the second does not count for one alone.
            for name, ready in pair if turn % 2 else pair[::-1]:
                load = replace(batches(sizes), events=events, first=turn * events)
                _, seconds, cpu = ready.run(load, events, ignore)
                rates[name].append(events / seconds)
                costs[name].append(seconds * sum(cpu[part] for part in ready.server.own_parts))
                shares = cpu if name == "on" else shares
            context.progress((turn + 1) / sizes.observability_turns)
    kept, growth = ([a / b for a, b in zip(each["on"], each["off"], strict=True)] for each in (rates, costs))
    figures = {
        "rate": statistics.median(rates["on"]),
        "rate_off": statistics.median(rates["off"]),
        "kept": statistics.median(kept),
        "growth": statistics.median(growth),
    }
    return Sample(figures, shares, {"rates": rates, "kept": kept, "growth": growth})


@contextlib.contextmanager
def _rig(context: Context, environ: dict[str, str]) -> Iterator[Rig]:
    with serving(context, **environ) as server, running(Receiver()) as receiver:
        server.register((receiver.url(number), repository) for number, repository in one_each(context.sizes.webhooks))
        server.warm_up(receiver)
        yield Rig(server, receiver)
