"""A server's stream of deliveries, read on over its restarts, each delivery once."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from hookline_client import Client, ClientError
from hookline_client.retrying import is_passing
from hookline_client.sse import ServerEvent

from app.commands.read_ahead import ReadAhead

BREAK_S = 1.0  # between one stream and the next
LONGEST_PAUSE_S = 15.0
REMEMBERED = 100_000  # ids of deliveries: a server gives again what came within seconds before a break
TOLD = ("delivery", "unbuildable")
STALE_S = 60  # receivers refuse signatures older than five minutes

Delivery = dict[str, Any]


def deliveries(
    client: Client,
    wanted: Mapping[str, Any],
    say: Callable[[str], None],
    wait: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time,
) -> Iterator[Delivery]:
    """Yield what the stream of `wanted` gives, in its order, until the caller has enough.

    Where the connection is lost it says so in one line, tries again with growing pauses, and goes on where it was.
    Raises ClientError where the first connection fails, and later where the server refuses.
    """
    known: dict[str, None] = {}
    last_id: str | None = None
    failed = 0
    while True:
        try:
            ahead = ReadAhead(client.open_stream(last_event_id=last_id, **wanted))
            if failed:
                say("The connection is back.")
            failed = 0
            is_stale = False
            try:
                for event, is_stale in _aged(ahead, clock):
                    if is_stale:
                        break
                    delivery: Delivery | None = json.loads(event.data) if event.event in TOLD else None
                    if delivery is not None and delivery["id"] not in known:
                        yield delivery
                        _remember(known, delivery["id"])
                    last_id = event.id  # only now: what was not handed on comes again
            finally:
                ahead.leave()
            pause_s = 0.0 if ahead.is_full or is_stale else BREAK_S
        except ClientError as error:
            if last_id is None or not is_passing(error):
                raise
            if not failed:
                say(f"The connection is lost: {error}. Trying again …")
            failed += 1
            pause_s = max(min(BREAK_S * 2 ** (failed - 1), LONGEST_PAUSE_S), error.retry_after_s or 0)
        wait(pause_s)


def _aged(events: Iterable[ServerEvent], clock: Callable[[], float]) -> Iterator[tuple[ServerEvent, bool]]:
    """Yield events, each with whether it is a delivery that has waited so long behind slow ones that its signature is
    old: asked for anew, it is signed anew.

    Of a stream the first delivery is new, so that clocks may differ.
    """
    least: float | None = None
    for event in events:
        age = 0.0
        if event.event == "delivery":
            age = clock() - int(json.loads(event.data)["headers"]["webhook-timestamp"])
            least = age if least is None else min(age, least)
        yield event, least is not None and age - least > STALE_S


def _remember(known: dict[str, None], delivery_id: str) -> None:
    known[delivery_id] = None
    if len(known) > REMEMBERED:
        del known[next(iter(known))]
