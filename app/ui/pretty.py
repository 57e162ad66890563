"""JSON as people read it."""

from typing import NamedTuple

from app.shown_text import shown


class Shown(NamedTuple):
    """A text as a page shows it; `is_whole` says whether that is all of it."""

    text: str
    is_whole: bool


def pretty(text: str, limit: int) -> Shown:
    """Return `text` indented where it is JSON, its values just as they are written, cut after `limit` characters; what
    hides in it is made visible (app.shown_text)."""
    found = shown(text, limit)
    return Shown(found.text, found.is_whole)
