"""Regular expressions that people write: compiled by RE2, which matches in linear time. Pure."""

from functools import lru_cache
from typing import Protocol

import re2

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 1 << 20  # bounds one compiled pattern


class Pattern(Protocol):
    """A compiled pattern. It works on bytes: that spares the engine's wrapper the mapping of offsets."""

    def fullmatch(self, text: bytes) -> object | None:
        """Return a match of the whole `text`, or None."""

    def search(self, text: bytes) -> object | None:
        """Return a match anywhere in `text`, or None."""


@lru_cache(maxsize=8192)
def compile_pattern(pattern: str) -> Pattern:
    """Return `pattern` compiled. Raises ValueError with the engine's reason."""
    try:
        compiled: Pattern = re2.compile(pattern.encode(), _OPTIONS)
    except re2.error as error:
        reason = error.args[0] if error.args else "not a pattern"
        raise ValueError(reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)) from error
    return compiled
