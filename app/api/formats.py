"""What receivers get: the templates that come with the service, and previews (docs/formats.md)."""

from flask import Blueprint, Response

from app.api.body import read_object
from app.api.context import authenticate, services
from app.api.envelope import ok
from app.clock import now_ms
from app.payload_preview import preview, preview_record
from app.ready_templates import ready_templates

formats = Blueprint("formats", __name__, url_prefix="/webhook/api/webhook")
formats.before_request(authenticate)


@formats.get("/templates")
def templates() -> Response:
    """List the ready templates, with their sources."""
    return ok(ready_templates())


@formats.post("/preview")
def preview_() -> Response:
    """Show what a receiver would get of an event, and whether the event passes a filter."""
    return ok(preview_record(preview(services().settings, read_object(), now_ms())))
