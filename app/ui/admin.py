"""What the sections of the administration share."""

from collections.abc import Mapping

from flask import Blueprint

from app.authentication import MAX_NAME
from app.errors import BadRequest
from app.fields import text
from app.ui.section import section
from app.ui.session import require_admin
from app.ui.texts import error_text


def admin_section(name: str, module: str, prefix: str) -> Blueprint:
    """Return a section for administrators; others are told so."""
    made = section(name, module, prefix)
    made.before_request(require_admin)
    return made


def given(source: Mapping[str, str], name: str) -> str:
    """Return a name from a form or a URL as the database can look for it, "" for none. Raises BadRequest."""
    return text(name, source.get(name, "").strip(), MAX_NAME)


def at_field(error: BadRequest) -> dict[str, str]:
    """Return the text of an error by the field that it belongs to."""
    return {error.params.get("field", ""): error_text(error)}
