"""A section of the dashboard: a blueprint that looks after sessions, headers and error pages."""

from flask import Blueprint

from app.ui.compression import compress
from app.ui.errors import handle_errors
from app.ui.security import harden
from app.ui.session import guard


def section(name: str, module: str, prefix: str = "") -> Blueprint:
    """Return a blueprint whose pages only those see who are logged in; its writes need the session's CSRF token."""
    made = open_section(name, module, prefix)
    made.before_request(guard)
    return made


def open_section(name: str, module: str, prefix: str = "") -> Blueprint:
    """Return a blueprint whose pages everybody may see."""
    made = Blueprint(name, module, url_prefix=prefix or None)
    made.after_request(harden)
    made.after_request(compress)
    handle_errors(made)
    return made
