"""The filters and tests of payload templates. Each is bounded: see app.template_budget."""

import html
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

import msgspec
from jinja2.runtime import Context, Undefined
from jinja2.utils import pass_context

from app.template_budget import Budget, TemplateFault, budget_of, described, number

Filter = Callable[..., Any]

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]+")
_SLACK = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
# Bots differ in how their Markdown is escaped, and some know no escapes. The wide forms mean nothing to any of them.
_MARKDOWN = str.maketrans("[]<>*`\\", "［］＜＞＊｀＼")
_UNITS = ("Bytes", "KiB", "MiB", "GiB", "TiB", "PiB")
_MAX_DIGITS = 15


def missing(value: Any) -> bool:
    """Return whether a value is null or not there at all."""
    return value is None or isinstance(value, Undefined)


def _default(_: Budget, value: Any, fallback: Any = "", boolean: bool = False) -> Any:
    return fallback if missing(value) or (boolean and not value) else value


def _upper(budget: Budget, value: Any) -> str:
    return budget.made(budget.text(value).upper())


def _lower(budget: Budget, value: Any) -> str:
    return budget.made(budget.text(value).lower())


def _capitalize(budget: Budget, value: Any) -> str:
    return budget.made(budget.text(value).capitalize())


def _trim(budget: Budget, value: Any) -> str:
    return budget.text(value).strip()


def _replace(budget: Budget, value: Any, old: Any, new: Any) -> str:
    text, old, new = budget.text(value), budget.text(old), budget.text(new)
    budget.fit(len(text) + (text.count(old) + 1) * max(len(new) - len(old), 0))
    return text.replace(old, new)


def _truncate(budget: Budget, value: Any, length: Any = 255, end: Any = "…") -> str:
    """Cut after `length` characters, `end` included."""
    text, end, most = budget.text(value), budget.text(end), int(number(length))
    return text if len(text) <= most else text[: max(most - len(end), 0)] + end


def _clip(budget: Budget, value: Any, length: Any) -> str:
    """Cut after `length` bytes of UTF-8, the sign of it included: bots' limits are in bytes."""
    text, most = budget.text(value), int(number(length))
    encoded = text.encode("utf-8", "replace")
    return text if len(encoded) <= most else encoded[: max(most - 3, 0)].decode("utf-8", "ignore") + "…"


def _length(_: Budget, value: Any) -> int:
    if missing(value):
        return 0
    if not isinstance(value, str | list | dict | tuple):
        raise TemplateFault(f"{described(value)} has no length")
    return len(value)


def _join(budget: Budget, value: Any, separator: Any = "") -> str:
    parts, between = [budget.text(one) for one in _items_of(budget, value)], budget.text(separator)
    budget.fit(sum(map(len, parts)) + len(between) * len(parts))
    return between.join(parts)


def _first(budget: Budget, value: Any) -> Any:
    return next(iter(_items_of(budget, value)), None)


def _last(budget: Budget, value: Any) -> Any:
    return next(reversed(_items_of(budget, value)), None)


def _map(budget: Budget, value: Any, *, attribute: Any) -> list[Any]:
    """Return that member of each object."""
    return [one.get(attribute) if isinstance(one, dict) else None for one in _items_of(budget, value)]


def _pairs(budget: Budget, value: Any) -> list[tuple[Any, Any]]:
    if missing(value):
        return []
    if not isinstance(value, dict):
        raise TemplateFault(f"{described(value)} is not an object")
    budget.spend(len(value))
    return list(value.items())


def _dictsort(budget: Budget, value: Any) -> list[tuple[Any, Any]]:
    return sorted(_pairs(budget, value), key=lambda pair: str(pair[0]))


def _split(budget: Budget, value: Any, separator: Any) -> list[str]:
    text, between = budget.text(value), budget.text(separator)
    budget.spend(len(text) >> 4)
    return text.split(between) if between else [text]


def _tojson(budget: Budget, value: Any, indent: Any = None) -> str:
    made = budget.json(value)
    if indent is None:
        return made
    budget.spend(len(made) >> 4)
    return budget.made(msgspec.json.format(made, indent=min(max(int(number(indent)), 0), 8)))


def _jsontext(budget: Budget, value: Any) -> str:
    """Return a text as it stands inside the quotes of a JSON string."""
    return budget.json(budget.text(value))[1:-1]


def _filesize(_: Budget, value: Any) -> str:
    return "" if missing(value) else file_size(number(value))


def file_size(size: float) -> str:
    """Return a number of bytes for people. Pure."""
    place = 0
    while abs(size) >= 1024 and place < len(_UNITS) - 1:
        size, place = size / 1024, place + 1
    return f"{size:.1f} {_UNITS[place]}" if place else f"{size:.0f} {_UNITS[0]}"


def _int(_: Budget, value: Any, default: Any = 0) -> Any:
    try:
        return int(number(float(value) if isinstance(value, str) else value))
    except (TemplateFault, ValueError, OverflowError):
        return default


def _float(_: Budget, value: Any, default: Any = 0.0) -> Any:
    try:
        return float(number(float(value) if isinstance(value, str) else value))
    except (TemplateFault, ValueError, OverflowError):
        return default


def _round(_: Budget, value: Any, digits: Any = 0) -> Any:
    places = min(max(int(number(digits)), 0), _MAX_DIGITS)
    return round(number(value), places or None)


def _string(budget: Budget, value: Any) -> str:
    return budget.text(value)


def _basename(budget: Budget, value: Any) -> str:
    return budget.text(value).rstrip("/").rpartition("/")[2]


def _urlencode(budget: Budget, value: Any) -> str:
    text = budget.text(value)
    budget.fit(len(text.encode("utf-8", "replace")) * 3)
    return quote(text, safe="", errors="replace")


def _escape(budget: Budget, value: Any) -> str:
    return budget.made(html.escape(budget.text(value)))


def _oneline(budget: Budget, value: Any) -> str:
    """Put a space for line breaks, control characters and marks of direction."""
    return _CONTROLS.sub(" ", budget.text(value))


def _slack(budget: Budget, value: Any) -> str:
    """Make a text safe in Slack's mrkdwn: neither links nor mentions."""
    return budget.made(_oneline(budget, value).translate(_SLACK))


def _markdown(budget: Budget, value: Any) -> str:
    """Make a text safe in any bot's Markdown: neither links, images, mentions nor HTML."""
    return _oneline(budget, value).translate(_MARKDOWN)


def _items_of(budget: Budget, value: Any) -> list[Any] | tuple[Any, ...]:
    if missing(value):
        return []
    if isinstance(value, dict):
        value = list(value)
    if not isinstance(value, list | tuple):
        raise TemplateFault(f"{described(value)} is not a list")
    budget.spend(len(value) >> 4)
    return value


def counted(function: Filter) -> Filter:
    """Return `function` as a filter of Jinja, which gets the budget first. It is never worked out ahead of time."""

    @pass_context
    def filtered(context: Context, value: Any, *args: Any, **options: Any) -> Any:
        budget = budget_of(context)
        budget.spend(1)
        return function(budget, value, *args, **options)

    return filtered


FILTERS: Final[Mapping[str, Filter]] = MappingProxyType(
    {
        **{"default": _default, "d": _default, "upper": _upper, "lower": _lower, "capitalize": _capitalize},
        **{"trim": _trim, "replace": _replace, "truncate": _truncate, "clip": _clip, "length": _length},
        **{"count": _length, "join": _join, "first": _first, "last": _last, "map": _map, "items": _pairs},
        **{"dictsort": _dictsort, "split": _split, "tojson": _tojson, "jsontext": _jsontext},
        **{
            "filesize": _filesize,
            "filesizeformat": _filesize,
            "int": _int,
            "float": _float,
            "round": _round,
            "string": _string,
        },
        **{"basename": _basename, "urlencode": _urlencode, "escape": _escape, "e": _escape},
        **{"oneline": _oneline, "slack": _slack, "markdown": _markdown},
    }
)

TESTS: Final[Mapping[str, Callable[[Any], bool]]] = MappingProxyType(
    {
        "defined": lambda value: not isinstance(value, Undefined),
        "undefined": lambda value: isinstance(value, Undefined),
        "none": missing,
        "string": lambda value: isinstance(value, str),
        "number": lambda value: type(value) in (int, float),
        "boolean": lambda value: isinstance(value, bool),
        "mapping": lambda value: isinstance(value, dict),
        "sequence": lambda value: isinstance(value, list | tuple),
        "true": lambda value: value is True,
        "false": lambda value: value is False,
    }
)
