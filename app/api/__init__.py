"""The HTTP API: one module a resource. A view parses, calls one function and serialises."""

from flask import Flask

from app.api.deliveries import deliveries
from app.api.errors import register_errors
from app.api.event_stream import event_stream
from app.api.events import events
from app.api.formats import formats
from app.api.health import health
from app.api.logs import logs
from app.api.metrics import metrics
from app.api.openapi.views import openapi
from app.api.webhooks import webhooks


def register_api(app: Flask) -> None:
    """Add the API and the form of its error answers to `app`."""
    for resource in (formats, webhooks, logs, event_stream, events, deliveries, health, metrics, openapi):
        app.register_blueprint(resource)
    register_errors(app)
