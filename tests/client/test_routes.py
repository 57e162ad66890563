"""The client and the service know the same endpoints."""

import inspect
import json
import re
from typing import Any

import pytest
from flask import Flask
from hookline_client import Client
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter

from app.api import register_api
from tests.client.scripted import OK, Seen, Server

pytestmark = pytest.mark.sqlite_only

# Of the endpoints that are not in the API's prefix, those that answer to people and to Prometheus.
NOT_FOR_PROGRAMS = re.compile(r"/metrics|/openapi(/.*)?|/static/.*")
ARGUMENTS = {
    "association_type": "SYSTEM",
    "events": [{"type": "NODE_CREATED"}],
    "encoded": [b"{}"],
    "start_date": "2021-12-27T00:00:00",
}
NOT_CALLS = {"close"}  # they make none


def arguments_of(method: Any) -> dict[str, Any]:
    """Return a value for each parameter that has no default."""
    given = inspect.signature(method).parameters.values()
    return {
        parameter.name: ARGUMENTS.get(parameter.name, "x")
        for parameter in given
        if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    }


def call_everything(server: Server, client: Client) -> None:
    """Call every method of the client, with whatever it needs."""
    shown = {"secret": "whsec_x", "status": "ok", "openapi": "3.1.0", "records": [], "nextCursor": None}
    whole = json.dumps({**OK, "data": shown, **shown}).encode()
    lists = json.dumps({**OK, "data": []}).encode()
    headers = {"X-Webhook-Id": "w"}
    for name, method in inspect.getmembers(client, inspect.ismethod):
        if name.startswith("_") or name in NOT_CALLS:
            continue
        returns = str(inspect.signature(method).return_annotation)
        body = lists if "Sequence" in returns or name == "iter_webhooks" else whole
        kind = "text/event-stream" if name == "open_stream" else "application/json"
        server.answer = (200, {**headers, "Content-Type": kind}, body)
        found = method(**arguments_of(method))
        if "Iterator" in returns:
            list(found)


def rule_of(adapter: MapAdapter, seen: Seen) -> str:
    """Return the rule that serves a request, or the request line where there is none."""
    path = seen.path.partition("?")[0]
    try:
        return adapter.match(path, seen.method, return_rule=True)[0].rule
    except HTTPException as error:
        return f"{error.code}: {seen.method} {path}"


def test_every_endpoint_has_a_method_and_every_method_an_endpoint(server: Server, client: Client) -> None:
    app = Flask(__name__, static_folder=None)
    register_api(app)
    call_everything(server, client)
    called = {rule_of(app.url_map.bind("localhost"), seen) for seen in server.seen}
    assert called == {rule.rule for rule in app.url_map.iter_rules() if not NOT_FOR_PROGRAMS.fullmatch(rule.rule)}
