"""A scenario that asks what filters cost."""

import statistics
import time

from app.event_examples import example_of
from app.event_types import EVENT_TYPES, event_from
from app.filters import check_filter
from app.matching import Webhook, WebhookIndex
from app.payloads import payload_of

from .context import Context
from .measure import Sample

WEBHOOKS = 50
TURNS = 9
FILTER = {
    "userId": {"$nin": ["root", "admin"]},
    "payload.node.size": {"$gt": 1_048_576},
    "payload.node.fullPath": {"$regex": r"^/release/.*\.apk$"},
    "payload.node.nodeMetadata": {"key": "build", "value": {"$gte": "1000"}},
}


def filters(context: Context) -> Sample:
    """What a filter of five conditions adds to the matching of an event, for each webhook that has one.

    All of them hold, so that none is spared. The figure is the median of the turns.
    """
    plain, filtered = _index(None), _index(check_filter("filter", FILTER))
    turns = []
    for turn in range(TURNS):
        without, with_filters = (_seconds(index, context.sizes.filter_events) for index in (plain, filtered))
        turns.append((with_filters - without) * 1e6 / context.sizes.filter_events / WEBHOOKS)
        context.progress((turn + 1) / TURNS)
    return Sample({"cost": statistics.median(turns)}, {}, {"turns_us": turns})


def _index(conditions: str | None) -> WebhookIndex:
    index = WebhookIndex()
    for number in range(WEBHOOKS):
        index.put(
            Webhook(
                id=str(number),
                url="http://127.0.0.1:9/",
                token=None,
                headers=None,
                secret="",
                triggers=frozenset({"NODE_CREATED"}),
                association_type="SYSTEM",
                association_id="",
                resource_key_pattern=None,
                enabled=True,
                filter=conditions,
            )
        )
    return index


def _seconds(index: WebhookIndex, events: int) -> float:
    event = event_from(example_of("NODE_CREATED"), EVENT_TYPES)
    payload = payload_of(event, None)
    began = time.thread_time()  # others may be busy on the machine
    for _ in range(events):
        if len(index.match(event, payload)) != WEBHOOKS:
            raise AssertionError("the filter of the scenario does not hold")
    return time.thread_time() - began
