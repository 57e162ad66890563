"""Where a call that publishes events comes from."""

from typing import NamedTuple


class Origin(NamedTuple):
    """`source` is the way in: http, cloudevents, page (of the dashboard), redis, rejected (kept ones, accepted later).

    `traceparent` is what the events belong to that name no trace of their own.
    """

    source: str
    user: str | None = None
    traceparent: str | None = None


UNKNOWN = Origin("unknown")
