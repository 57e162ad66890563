"""Reading the query parameters of requests."""

from collections.abc import Iterable

from flask import request

from app.errors import BadRequest
from app.fields import INVALID


def query_parameters(names: Iterable[str]) -> dict[str, str]:
    """Return those of the parameters `names` that the query gives. Raises BadRequest for one with two values."""
    found: dict[str, str] = {}
    for name in names:
        values = set(request.args.getlist(name))
        if len(values) > 1:
            raise BadRequest(INVALID, "given_twice", field=name, other=name)
        if values:
            found[name] = values.pop()
    return found
