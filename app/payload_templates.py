"""Payload templates: bodies that people write themselves, in a part of Jinja's language (docs/formats.md)."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec
from jinja2 import Template

from app.errors import BadRequest
from app.fields import text
from app.payloads import PayloadError
from app.template_budget import MAX_TEXT, VARIABLE, Budget, TemplateFault
from app.template_sandbox import compile_template

MAX_SOURCE: Final = 16 * 1024  # characters
EVENT_FIELDS: Final = frozenset(
    {"type", "title", "id", "projectId", "repoName", "resourceKey", "userId", "source", "time"}
)
VARIABLES: Final = frozenset({"event", "payload", "facts"})

_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"


def check_template(field: str, source: Any) -> str:
    """Return the source of a template that can be rendered. Raises BadRequest naming the line."""
    checked = text(field, source, MAX_SOURCE)
    _compiled(checked)
    return checked


def render(source: str, variables: Mapping[str, Any]) -> tuple[bytes, str]:
    """Return what a template makes of `variables` (VARIABLES), and the type of that.

    It is JSON where it is an object or a list; what begins like an object has to be JSON. Anything else is text. Raises
    PayloadError, which says why and in which line.
    """
    try:
        template = _compiled(source)
    except BadRequest as error:  # it was saved by another version
        raise PayloadError(f"the template can't be used: {error.reason} in line {error.params.get('line')}") from error
    try:
        made = _generate(template, variables).encode()
    except Exception as error:  # whatever a stranger's template brings about must not harm who delivers
        raise PayloadError(f"the template failed in line {_line_of(template, error)}: {_reason(error)}") from error
    return made, _type_of(made)


def _generate(template: Template, variables: Mapping[str, Any]) -> str:
    context = template.new_context({**variables, VARIABLE: Budget()})
    parts, length = [], 0
    for part in template.root_render_func(context):
        parts.append(part)
        length += len(part)
        if length > MAX_TEXT:
            raise TemplateFault(f"the output is longer than {MAX_TEXT // 1024} KiB")
    return "".join(parts)


@lru_cache(maxsize=1024)
def _compiled(source: str) -> Template:
    return compile_template(source, VARIABLES, {"event": EVENT_FIELDS})


def _type_of(made: bytes) -> str:
    stripped = made.strip()
    if not stripped:
        raise PayloadError("the template gives nothing")
    if stripped[:1] not in (b"{", b"["):
        return _TEXT
    try:
        msgspec.json.decode(stripped)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        if stripped[:1] == b"[":  # [shop] also begins a line of text
            return _TEXT
        raise PayloadError(f"the template gives no valid JSON: {error}; put texts in it with |tojson") from error
    return _JSON


def _line_of(template: Template, error: BaseException) -> int:
    """Return the line of the template where `error` was raised."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = template.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return line


def _reason(error: Exception) -> str:
    if isinstance(error, ZeroDivisionError):
        return "division by zero"
    if isinstance(error, UnicodeError):
        return "it holds a lone surrogate, which is no Unicode text"
    return str(error)
