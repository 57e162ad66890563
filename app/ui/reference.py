"""The reference of the API: the OpenAPI document as a page, for everybody, as the document itself is."""

from flask import Response, current_app, request

from app.api.openapi.failures import FAILURES
from app.api.openapi.views import document_of
from app.ui.pages import page
from app.ui.reference_parts import groups_of, payloads_of, types_of
from app.ui.section import open_section
from app.ui.session import recognise

reference = open_section("reference", __name__, "/openapi")
reference.before_request(recognise)


@reference.get("")
def show() -> Response:
    """Show it."""
    content = document_of(current_app).content
    return page(
        "reference/show.html",
        about=content["info"]["description"],
        groups=groups_of(content, request.host_url.rstrip("/")),
        payloads=payloads_of(content),
        types=types_of(content),
        failures=FAILURES,
    )
