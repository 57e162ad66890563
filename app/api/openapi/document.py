"""The OpenAPI 3.1 document, put together from the table of endpoints and the types that it names."""

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final, NamedTuple

import msgspec

from app.api.openapi.answers import ErrorAnswer
from app.api.openapi.endpoint import CALLERS, Answer, Endpoint, Parameter
from app.api.openapi.failures import (
    FAILURES,
    MISSING_FIELD,
    OF_ANYBODY,
    OF_BODIES,
    OF_CALLERS,
    OF_PARAMETERS,
    TRACE_ID,
    WRONG_METHOD,
    Failure,
)
from app.api.openapi.parameters import PATHS
from app.api.openapi.table import ENDPOINTS, TAGS
from app.api.openapi.webhook_calls import webhook_calls

Json = dict[str, Any]

REF: Final = "#/components/schemas/{name}"
_ERROR = {"$ref": REF.format(name="ErrorAnswer")}
_PAGES = re.compile(r"\b(?:Cursor|Numbered)Page(?:_(\w+?)_\b|\[(\w+)\])")

_ABOUT = """Webhooks for artifact repositories: events come in, signed requests go out, each attempt is logged.

Every answer under `/webhook/api` is an envelope, `{"code", "message", "data", "traceId"}`; `code` is 0 for success.
Dates are local date-times in the zone of TIMEZONE. Messages are in English, or in Chinese by Accept-Language. Fields
that are not listed here are ignored in requests. An address that exists, asked by another method, answers 405."""

_SECURITY: Json = {
    "basic": {"type": "http", "scheme": "basic", "description": "A user and the password"},
    "platform": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`Platform ` and the base64 of accessKey:secretKey",
    },
    "onBehalfOf": {
        "type": "apiKey",
        "in": "header",
        "name": "X-BKREPO-UID",
        "description": "The user for whom a platform acts",
    },
    "metricsToken": {"type": "http", "scheme": "bearer", "description": "METRICS_TOKEN, where that is set"},
}
_HEADERS: Json = {
    "X-Trace-Id": {"description": "The trace id of the envelope", "schema": {"type": "string"}, "example": TRACE_ID},
    "WWW-Authenticate": {"description": "How to authenticate", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait", "schema": {"type": "string"}, "example": "30"},
    "Allow": {"description": "The methods that the address knows", "schema": {"type": "string"}},
}
_OF_STATUS = {401: "WWW-Authenticate", 405: "Allow", 429: "Retry-After"}


class Route(NamedTuple):
    """A way to an endpoint: its name, its method, its path as OpenAPI writes it, and its view's docstring."""

    name: str
    method: str
    path: str
    docstring: str


def document(routes: Iterable[Route]) -> Json:
    """Return the document of the endpoints that `routes` lead to. Raises KeyError for one that is not described."""
    schemas = _Schemas(ENDPOINTS.values())
    paths: Json = {}
    for route in sorted(routes, key=_order):
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, ENDPOINTS[route.name], schemas)
    _name_both_methods(paths)
    calls, payloads = webhook_calls(REF)
    made = {
        "openapi": "3.1.0",
        "info": {"title": "Hookline", "version": version("hookline"), "description": _ABOUT},
        "servers": [{"url": "/", "description": "This server"}],
        "security": list(CALLERS),
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "webhooks": calls,
        "components": {
            "schemas": dict(sorted({**payloads, **schemas.definitions}.items())),
            "examples": {failure.name: {"summary": failure.when, "value": failure.example} for failure in FAILURES},
            "headers": _HEADERS,
            "responses": {WRONG_METHOD.name: _refusal([WRONG_METHOD])},
            "securitySchemes": _SECURITY,
        },
    }
    # msgspec names a page after its class and what is on it.
    text = _PAGES.sub(lambda found: f"{found[1] or found[2]}Page", msgspec.json.encode(made).decode())
    named: Json = msgspec.json.decode(text)
    return named


class _Schemas:
    """The schemas of all types that endpoints name, made at once so that they share definitions."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        types: list[Any] = [ErrorAnswer, *(parameter.type for parameter in PATHS.values())]
        for endpoint in endpoints:
            types += [answer.type for answer in endpoint.answers]
            types += [parameter.type for parameter in endpoint.parameters]
            types += [content.type for content in endpoint.body.contents.values()] if endpoint.body else []
        made, self.definitions = msgspec.json.schema_components(types, ref_template=REF)
        self._made = dict(zip(map(repr, types), made, strict=True))

    def of(self, type_: Any) -> Json:
        """Return the schema of a type."""
        return self._made[repr(type_)]


def _order(route: Route) -> tuple[int, str, bool]:
    return list(ENDPOINTS).index(route.name), route.path, route.method == "GET"


def _operation(route: Route, endpoint: Endpoint, schemas: _Schemas) -> Json:
    summary, rest = _sentences(route.docstring)
    operation: Json = {
        "operationId": endpoint.operation,
        "tags": [endpoint.tag],
        "summary": summary,
        "description": " ".join(filter(None, (rest, endpoint.note))),
    }
    if endpoint.security != CALLERS:
        operation["security"] = list(endpoint.security)
    in_path = [PATHS[name] for name in re.findall(r"{(\w+)}", route.path)]
    operation["parameters"] = [_parameter(each, schemas) for each in (*in_path, *endpoint.parameters)]
    if endpoint.body is not None:
        content = {
            media_type: {"schema": schemas.of(content.type), "examples": _named(content.examples)}
            for media_type, content in endpoint.body.contents.items()
        }
        operation["requestBody"] = {"required": endpoint.body.required, "content": content}
    operation["responses"] = _responses(endpoint, schemas)
    return {key: value for key, value in operation.items() if value or key == "security"}


def _sentences(docstring: str) -> tuple[str, str]:
    """Return what comes before the first full stop or semicolon, and the rest as a sentence."""
    summary, _, rest = " ".join(docstring.split()).replace("; ", ". ", 1).partition(". ")
    return summary.rstrip("."), rest[:1].upper() + rest[1:]


def _responses(endpoint: Endpoint, schemas: _Schemas) -> Json:
    responses = {str(answer.status): _success(answer, schemas) for answer in endpoint.answers}
    by_status: dict[int, list[Failure]] = {}
    for failure in failures_of(endpoint):
        by_status.setdefault(failure.status, []).append(failure)
    return responses | {str(status): _refusal(by_status[status]) for status in sorted(by_status)}


def failures_of(endpoint: Endpoint) -> list[Failure]:
    """Return the errors that an endpoint may answer, those that many share included."""
    found: list[Failure] = []
    if endpoint.body is not None:
        found += OF_BODIES
    if endpoint.parameters and endpoint.security == CALLERS:
        found += OF_PARAMETERS
    if any(parameter.required for parameter in endpoint.parameters):
        found.append(MISSING_FIELD)
    if endpoint.security == CALLERS:
        found += (*OF_CALLERS, *OF_ANYBODY)
    return list({failure.name: failure for failure in (*found, *endpoint.failures)}.values())


def _success(answer: Answer, schemas: _Schemas) -> Json:
    schema = {"type": "null"} if answer.type is None else schemas.of(answer.type)
    examples = answer.examples
    headers = {name: {"description": text, "schema": {"type": "string"}} for name, text in answer.headers.items()}
    if answer.is_enveloped:
        schema = _envelope(schema)
        examples = {name: _enveloped(example) for name, example in examples.items()}
        headers["X-Trace-Id"] = _header("X-Trace-Id")
    content = {answer.media_type: {"schema": schema, "examples": _named(examples)}}
    return {"description": answer.description, "content": content, **({"headers": headers} if headers else {})}


def _refusal(failures: Sequence[Failure]) -> Json:
    named = {failure.name: {"$ref": f"#/components/examples/{failure.name}"} for failure in failures}
    names = ("X-Trace-Id", *filter(None, [_OF_STATUS.get(failures[0].status)]))
    return {
        "description": "; ".join(f"{failure.code}: {failure.when}" for failure in failures),
        "headers": {name: _header(name) for name in names},
        "content": {"application/json": {"schema": _ERROR, "examples": named}},
    }


def _envelope(schema: Json) -> Json:
    return {
        "type": "object",
        "properties": {
            "code": {"const": 0, "type": "integer"},
            "message": {"type": "null"},
            "data": schema,
            "traceId": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        },
        "required": ["code", "message", "data", "traceId"],
    }


def _enveloped(example: Any) -> Json:
    return {"code": 0, "message": None, "data": example, "traceId": TRACE_ID}


def _named(examples: Mapping[str, Any]) -> Json:
    return {name: {"value": example} for name, example in examples.items()}


def _header(name: str) -> Json:
    return {"$ref": f"#/components/headers/{name}"}


def _parameter(parameter: Parameter, schemas: _Schemas) -> Json:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.required,
        "description": parameter.description,
        "schema": schemas.of(parameter.type),
        "example": parameter.example,
    }


def _name_both_methods(paths: Json) -> None:
    """Give the second way to the same operation a name of its own."""
    for methods in paths.values():
        if {"get", "post"} <= methods.keys():
            methods["get"]["operationId"] += "ByGet"
