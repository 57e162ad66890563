"""GET /openapi.json, made once for each application."""

import hashlib
import re
from collections.abc import Iterator
from typing import NamedTuple, cast

import msgspec
from flask import Blueprint, Flask, Response, current_app, request

from app.api.openapi.document import Json, Route, document
from app.api.openapi.table import ENDPOINTS

MAX_AGE_S = 300

openapi = Blueprint("openapi", __name__)

_KEPT = "hookline.openapi"


class Document(NamedTuple):
    """The document, as it is sent, and the ETag of that."""

    content: Json
    body: bytes
    etag: str


@openapi.get("/openapi.json")
def show() -> Response:
    """Show what this server takes and answers, as an OpenAPI document."""
    made = document_of(current_app)
    answer = Response(made.body, mimetype="application/json")
    # No secrets in it: pages and tools of anywhere may read it.
    answer.headers.extend({"Cache-Control": f"public, max-age={MAX_AGE_S}", "Access-Control-Allow-Origin": "*"})
    answer.set_etag(made.etag)
    return cast(Response, answer.make_conditional(request))


def document_of(app: Flask) -> Document:
    """Return the document of the endpoints of `app` that are described."""
    if _KEPT not in app.extensions:
        content = document(_routes(app))
        body = msgspec.json.encode(content)
        app.extensions[_KEPT] = Document(content, body, hashlib.sha256(body).hexdigest()[:16])
    return cast(Document, app.extensions[_KEPT])


def path_of(rule: str) -> str:
    """Return the path of a rule of Flask's as OpenAPI writes it."""
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: f"{{{_camel(found[1])}}}", rule)


def _routes(app: Flask) -> Iterator[Route]:
    for rule in app.url_map.iter_rules():
        if rule.endpoint in ENDPOINTS:
            docstring = app.view_functions[rule.endpoint].__doc__ or ""
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                yield Route(rule.endpoint, method, path_of(rule.rule), docstring)


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))
