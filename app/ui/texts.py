"""The texts of pages in English and Chinese. The English text is the key; `locale/` has what it is in Chinese."""

import json
from functools import cache
from pathlib import Path

from flask import has_request_context, request

from app.api.envelope import language as accepted_language
from app.errors import BadRequest
from app.messages import LANGUAGES, text_of

LOCALE = Path(__file__).parent / "locale"


@cache
def catalogue(language: str) -> dict[str, str]:
    """Return the texts of a language by the English ones; empty for English."""
    found: dict[str, str] = {}
    for path in sorted((LOCALE / language).glob("*.json")):
        found |= json.loads(path.read_text())
    return found


def language() -> str:
    """Return the language of the page: the viewer's choice, else what the browser likes best."""
    if not has_request_context():
        return LANGUAGES[0]
    chosen = request.cookies.get("language")
    return chosen if chosen in LANGUAGES else accepted_language()


def gettext(text: str) -> str:
    """Return `text` in the language of the page."""
    return catalogue(language()).get(text, text)


def ngettext(singular: str, plural: str, number: int) -> str:
    """Return the form for `number`; Chinese has one form, given for the plural."""
    if language() == "en":
        return singular if number == 1 else plural
    return gettext(plural)


def error_text(error: BadRequest) -> str:
    """Return what is wrong with a request, as the API says it, in the language of the page."""
    return text_of(error.reason, language(), error.params)
