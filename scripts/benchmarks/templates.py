"""A scenario that asks what templates cost."""

import json
import statistics
import time

from app.attempts import Due
from app.event_catalogue import payload_example
from app.payload_formats import CLOUDEVENTS, formatted
from app.ready_templates import TITLES

from .context import Context
from .measure import Sample

TURNS = 9
EVENT_TYPE = "NODE_CREATED"
ALL = "all"  # turn by turn, the slowest of the ready templates


def templates(context: Context) -> Sample:
    """What it costs to render a message for a chat's bot, and a CloudEvent; medians of the turns.

    The figure is of the ready template that takes longest. It is compiled before.
    """
    event = _event()
    turns: dict[str, list[float]] = {name: [] for name in (ALL, CLOUDEVENTS, *TITLES)}
    for turn in range(TURNS):
        for name in (CLOUDEVENTS, *TITLES):
            turns[name].append(_microseconds(event, name, context.sizes.template_renderings))
        turns[ALL].append(max(turns[name][-1] for name in TITLES))
        context.progress((turn + 1) / TURNS)
    figures = {"cost": statistics.median(turns[ALL]), "cost_cloudevents": statistics.median(turns[CLOUDEVENTS])}
    return Sample(figures, {}, {"turns_us": turns})


def _microseconds(event: Due, name: str, number: int) -> float:
    formatted(event, name, None, None)
    began = time.thread_time()  # others may be busy on the machine
    for _ in range(number):
        formatted(event, name, None, None)
    return (time.thread_time() - began) * 1e6 / number


def _event() -> Due:
    payload = json.dumps(payload_example(EVENT_TYPE))
    return Due("d", "w", "e", 0, EVENT_TYPE, payload, None, accepted_at=1_740_988_800_000, project_id="shop")
