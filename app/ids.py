"""Time-ordered identifiers (UUIDv7, RFC 9562 §5.7), written as 32 hexadecimal digits.

Their order is the order of time, so one index serves listing, date ranges and pruning.
"""

import uuid_utils

_LOW_64 = (1 << 64) - 1


def new_id() -> str:
    """Return a new id stamped with the present time; ids of one process rise strictly."""
    return str(uuid_utils.uuid7().hex)


def first_id_at(at_ms: int) -> str:
    """Return the smallest id that a record made at `at_ms` (milliseconds UTC) can have."""
    return f"{max(at_ms, 0):012x}{'0' * 20}"


def time_of(made_id: str) -> int:
    """Return the time that an id is stamped with, in milliseconds UTC."""
    return int(made_id[:12], 16)


def id_at(at_ms: int) -> str:
    """Return a new random id stamped with `at_ms` (milliseconds UTC), for rows about a past moment."""
    return f"{at_ms:012x}{str(uuid_utils.uuid7().hex)[12:]}"
