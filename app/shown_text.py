"""How text from outside is shown to people: as it came, but what can't be seen, or turns the order of what can, is made
visible. Pure."""

import re
import unicodedata
from typing import NamedTuple

import msgspec

MOST_SHOWN = 256 * 1024  # characters

_UNUSUAL = re.compile(r"[^\t\n -~]")


class Shown(NamedTuple):
    """A text as it is shown, and whether that is all of it. `size` is that of the text as it came, in bytes; `has_lost`
    says that bytes which are no text were replaced when it was stored."""

    text: str
    is_whole: bool
    size: int
    is_json: bool
    has_lost: bool


def shown(text: str, limit: int = MOST_SHOWN) -> Shown:
    """Return `text` as it is shown: JSON indented, nothing hidden in it, cut after `limit` characters."""
    formatted = indented(text)
    full = text if formatted is None else formatted
    return Shown(
        text=visible(full[:limit]),
        is_whole=len(full) <= limit,
        size=len(text.encode("utf-8", "surrogatepass")),
        is_json=formatted is not None,
        has_lost="\ufffd" in text,
    )


def indented(text: str) -> str | None:
    """Return JSON with line breaks, its keys in their order and numbers and strings as they are written; None for what
    is no JSON."""
    try:
        return msgspec.json.format(text, indent=2)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None


def visible(text: str) -> str:
    """Return `text` with each control character, and each that is invisible or turns the direction of the text, as its
    number: `‹U+202E›`. Line breaks, tabs and spaces stay; a carriage return before a line break goes."""
    return _UNUSUAL.sub(_shown_character, text.replace("\r\n", "\n"))


def is_visible(character: str) -> bool:
    """Return whether a character can be seen, or is a space."""
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _shown_character(found: re.Match[str]) -> str:
    character = found[0]
    return character if is_visible(character) else f"‹U+{ord(character):04X}›"
