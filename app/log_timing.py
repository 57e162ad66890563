"""The phases of a request, from the timing of its log (app.exchange_timing). Pure."""

import json
from typing import NamedTuple

DOWNLOAD = "download"
_ENDS = ("dns", "connect", "tls", "firstByte")


class Phase(NamedTuple):
    """A phase that took time, in microseconds. One that did not end lasted until the request did."""

    name: str  # a key of the timing, or DOWNLOAD
    start: int
    length: int
    has_ended: bool


def phases_of(timing: str | None) -> list[Phase]:
    """Return the phases in their order, those left out that were not needed; none where nothing is known."""
    if timing is None:
        return []
    ends: dict[str, int | None] = json.loads(timing)
    total = ends["total"] or 0
    phases: list[Phase] = []
    at = 0
    for name in _ENDS:
        end = ends[name]
        if end is None:
            return [*phases, Phase(name, at, max(total - at, 0), has_ended=False)]
        if end > 0:
            phases.append(Phase(name, at, max(end - at, 0), has_ended=True))
            at = max(at, end)
    return [*phases, Phase(DOWNLOAD, at, max(total - at, 0), has_ended=True)]
