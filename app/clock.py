"""The one clock: integer milliseconds since the epoch, UTC."""

import time


def now_ms() -> int:
    """Return the current time in milliseconds UTC. Read it once an operation and pass it on."""
    return time.time_ns() // 1_000_000
