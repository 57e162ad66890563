"""W3C Trace Context, level 1: `00-<trace id>-<span id>-<flags>`, as it comes in, is kept with events and is sent on."""

import os
import re

HEADER = "traceparent"

# Level 1 §3.2.2. Version 00 has these four fields only; a later version may add more behind a dash.
_VALID = re.compile(r"(?!ff)([0-9a-f]{2})-((?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


def parsed(given: object) -> str | None:
    """Return a `traceparent` in the form of version 00, None where it is missing or invalid. Pure.

    What is invalid is ignored, as the standard wants it: a trace must never be the reason to refuse an event.
    """
    found = _VALID.fullmatch(given) if isinstance(given, str) else None
    if found is None or (found[1] == "00" and found[4] is not None):
        return None
    return f"00-{found[2]}-{found[3] if found[1] == '00' else format(int(found[3], 16) & 1, '02x')}"


def made() -> str:
    """Return the `traceparent` of a trace that begins here and that nobody records."""
    digits = os.urandom(24).hex()
    return f"00-{digits[:32]}-{digits[32:]}-00"


def trace_id_of(traceparent: str | None) -> str | None:
    """Return the trace id that a `traceparent` names, None where it is missing or invalid. Pure."""
    known = parsed(traceparent)
    return known[3:35] if known else None
