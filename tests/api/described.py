"""A client that holds every call it makes against the OpenAPI document: the answer, its code, and what was accepted."""

import json
from typing import Any, NamedTuple

from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.test import TestResponse
from werkzeug.wrappers import Request

from app.api.openapi.document import failures_of
from app.api.openapi.failures import NOWHERE, WRONG_METHOD, Failure
from app.api.openapi.table import ENDPOINTS
from app.api.openapi.views import document_of, path_of


class DescribedClient(FlaskClient):
    """Flask's client, which fails where the document is wrong about a call."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        answer = super().open(*args, **kwargs)
        check(self.application, answer)
        return answer


class Place(NamedTuple):
    """The operation that a request asks for."""

    endpoint: str
    path: str
    method: str

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"


def check(app: Flask, answer: TestResponse) -> None:
    """Fail where the document is wrong about `answer`."""
    place = _place(app, answer.request)
    is_error = answer.is_json and answer.status_code >= 400 and answer.get_data() != b""
    if isinstance(place, Failure):
        assert not is_error or (answer.status_code, answer.json["code"]) == (place.status, place.code)
        return
    is_less = answer.request.method == "HEAD" and answer.status_code == 405  # what sends something sends it for no HEAD
    if place.endpoint not in ENDPOINTS or answer.status_code == 304 or is_less:
        return
    document = _content(app)
    operation = document["paths"][place.path][place.method]
    described = operation["responses"].get(str(answer.status_code))
    assert described, f"{place} answers {answer.status_code}: {answer.get_data()[:200]!r}"
    for header in described.get("headers", {}):
        assert header in answer.headers, f"{place} answers without {header}"
    if answer.is_streamed and not answer.is_json:
        return
    if answer.is_json and answer.get_data():
        _hold(_of_answer(app, place, str(answer.status_code)), answer.json, f"{place} answers")
        if is_error and answer.json.get("code"):
            known = {(failure.status, failure.code) for failure in failures_of(ENDPOINTS[place.endpoint])}
            assert (answer.status_code, answer.json["code"]) in known, f"{place} answers {answer.json}"
    if answer.status_code < 300 and "requestBody" in operation:
        sent = _body(answer.request)
        if sent is not None:
            _hold(_of_request(app, place), sent, f"{place} takes")


def _hold(validator: Draft202012Validator, value: Any, what: str) -> None:
    error = best_match(validator.iter_errors(value))
    assert error is None, f"{what} {error.json_path}: {error.message[:500]}"


def _place(app: Flask, request: Request) -> Place | Failure:
    try:
        rule, _ = app.url_map.bind("localhost").match(request.path, request.method, return_rule=True)
    except NotFound:
        return NOWHERE
    except MethodNotAllowed:
        return WRONG_METHOD
    return Place(rule.endpoint, path_of(rule.rule), "get" if request.method == "HEAD" else request.method.lower())


def _body(request: Request) -> Any:
    """Return the JSON that was sent, None where that is none, or the data of a CloudEvent in binary mode."""
    if request.mimetype != "application/json" or "Ce-Specversion" in request.headers:
        return None
    request.environ["wsgi.input"].seek(0)
    sent = request.environ["wsgi.input"].read()
    return json.loads(sent) if sent else None


# The document is the same for all applications; it is read once.
_first: list[dict[str, Any]] = []
_validators: dict[Any, Draft202012Validator] = {}


def _content(app: Flask) -> dict[str, Any]:
    if not _first:
        _first.append(document_of(app).content)
    return _first[0]


def _of_answer(app: Flask, place: Place, status: str) -> Draft202012Validator:
    if (place, status) not in _validators:
        document = _content(app)
        described = document["paths"][place.path][place.method]["responses"][status]
        schema = described["content"]["application/json"]["schema"]
        components = {"schemas": document["components"]["schemas"]}
        _validators[place, status] = Draft202012Validator(_closed({**schema, "components": components}))
    return _validators[place, status]


def _of_request(app: Flask, place: Place) -> Draft202012Validator:
    if place not in _validators:
        document = _content(app)
        described = document["paths"][place.path][place.method]["requestBody"]
        schema = described["content"]["application/json"]["schema"]
        components = {"schemas": document["components"]["schemas"]}
        _validators[place] = Draft202012Validator({**schema, "components": components})
    return _validators[place]


def _closed(schema: Any) -> Any:
    """Return a schema that takes no keys but those that it names: an answer has what is described and nothing else."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(part) for key, part in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed
