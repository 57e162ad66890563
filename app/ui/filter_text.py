"""A filter as people type it: JSON text, and where in it something is wrong."""

import json
from typing import Any

from app.errors import BadRequest
from app.fields import INVALID
from app.filters import check_filter
from app.json_reader import read_value


def filter_of(text: str) -> Any:
    """Return the value that `text` is, {} for no text, not checked yet. Raises BadRequest, with line and column."""
    if not text.strip():
        return {}
    try:
        return read_value(text.encode(), "filter")
    except BadRequest as error:
        try:
            json.loads(text)
        except json.JSONDecodeError as fault:
            place = {"line": fault.lineno, "column": fault.colno, "detail": fault.msg}
            raise BadRequest(INVALID, "filter_json", field="filter", **place) from fault
        except RecursionError:
            pass
        raise error from None


def stored_of(text: str) -> str:
    """Return the filter as it is stored, "" for none. Raises BadRequest, with the place."""
    return check_filter("filter", filter_of(text))


def text_of(meant: dict[str, Any] | None) -> str:
    """Return a filter as the form shows it."""
    return json.dumps(meant, indent=2, ensure_ascii=False) if meant else ""
