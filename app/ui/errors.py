"""Error pages: what went wrong and what to do about it. The API's paths keep their JSON."""

import logging

from flask import Blueprint, Flask, Response, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from app.api.errors import refused
from app.database import AWAY
from app.errors import BadRequest, ServiceUnavailable
from app.ui.pages import fragment, page
from app.ui.security import harden
from app.ui.session import API, is_fragment
from app.ui.texts import error_text, gettext

log = logging.getLogger(__name__)


def register_error_pages(app: Flask) -> None:
    """Have browsers that ask `app` for what is not there get a page that says so."""
    app.register_error_handler(404, _unknown)


def handle_errors(section: Blueprint) -> None:
    """Have `section` answer errors with pages."""
    section.register_error_handler(CSRFError, _stale)
    section.register_error_handler(BadRequest, _bad_request)
    section.register_error_handler(ServiceUnavailable, _unavailable)
    for error in AWAY:
        section.register_error_handler(error, _unavailable)
    section.register_error_handler(HTTPException, _http)
    section.register_error_handler(Exception, _unexpected)


def show(status: int, title: str, text: str) -> Response:
    """Return an error page, or for htmx the part of a page that says the same."""
    if is_fragment():
        return fragment("errors/part.html", status=status, title=title, text=text)
    return page("errors/page.html", status=status, title=title, text=text)


def _stale(error: CSRFError) -> Response:
    text = gettext("Nothing was changed. Load the page again and send the form once more.")
    return show(400, gettext("This form is out of date"), text)


def _bad_request(error: BadRequest) -> Response:
    titles = {403: gettext("Not allowed"), 404: gettext("Not found"), 409: gettext("Changed meanwhile")}
    return show(error.status, titles.get(error.status, gettext("That can't be done")), error_text(error))


def _unavailable(error: Exception) -> Response:
    log.error("%s %r refused, unavailable: %s", request.method, request.path, error)
    text = gettext("A server that Hookline needs is away. Nothing is lost; try again in a moment.")
    return show(503, gettext("Not available at the moment"), text)


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    if status >= 500:
        return _unexpected(error)
    if status == 404:
        text = gettext("There is no such page. It may have been deleted, or the link is incomplete.")
        return show(404, gettext("Not found"), text)
    return show(status, gettext("That can't be done"), gettext("The request can't be read."))


def _unexpected(error: Exception) -> Response:
    log.error("%s %r failed", request.method, request.path, exc_info=error)
    text = gettext("Something went wrong on our side. It is in the log of the service.")
    return show(500, gettext("Unexpected error"), text)


def _unknown(error: HTTPException) -> Response:
    if request.path.startswith(API) or not request.accept_mimetypes.accept_html:
        return refused(error)
    wants_page = request.accept_mimetypes["text/html"] >= request.accept_mimetypes["application/json"]
    explicit = "text/html" in request.headers.get("Accept", "")
    return harden(_http(error)) if wants_page and explicit else refused(error)
