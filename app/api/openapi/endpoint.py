"""How an endpoint is described: the types of what it takes and answers, examples, errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.api.openapi.failures import Failure

JSON = "application/json"
Security = tuple[Mapping[str, list[str]], ...]

CALLERS: Security = ({"basic": []}, {"platform": []}, {"platform": [], "onBehalfOf": []})
NOBODY: Security = ()


class Parameter(NamedTuple):
    """A parameter of the query, or a header; `type` is one that msgspec makes a schema of."""

    name: str
    type: Any
    description: str
    example: Any
    required: bool = False
    place: str = "query"


class Content(NamedTuple):
    """What a body holds: its type, and examples by names of theirs."""

    type: Any
    examples: Mapping[str, Any]


class Body(NamedTuple):
    """A body by its media types."""

    contents: Mapping[str, Content]
    required: bool = True


class Answer(NamedTuple):
    """What a call that succeeds answers: the type of the data and an example; None for an answer without data.

    Where it is not `enveloped` it is the whole body, and with another `media_type` than JSON it is a text.
    """

    type: Any
    examples: Mapping[str, Any]
    description: str
    status: int = 200
    headers: Mapping[str, str] = {}
    is_enveloped: bool = True
    media_type: str = JSON


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An endpoint. What its view's docstring says is its summary, `note` is what else there is to know."""

    operation: str
    tag: str
    answers: tuple[Answer, ...]
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    failures: tuple[Failure, ...] = ()
    note: str = ""
    security: Security = CALLERS


def data(type_: Any, example: Any, description: str, status: int = 200, **headers: str) -> tuple[Answer, ...]:
    """Return the answer of an endpoint that always succeeds in one way; `headers` tell of headers, _ for -."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return (Answer(type_, {"success": example}, description, status, named),)


def json_body(type_: Any, required: bool = True, **examples: Any) -> Body:
    """Return a body of JSON."""
    return Body({JSON: Content(type_, examples)}, required)
