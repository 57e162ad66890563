"""Pages on which a webhook is made and changed, checked field by field while someone types."""

from typing import Any

from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from app.api.context import caller, services
from app.clock import now_ms
from app.errors import BadRequest, Conflict
from app.event_groups import EventGroup, group_types
from app.event_types import EVENT_TYPES
from app.fields import one_of
from app.models import Webhook
from app.pattern_test import try_pattern
from app.payload_preview import preview as preview_of
from app.permissions import REPO, Association
from app.ready_templates import source_of
from app.shown_text import shown
from app.ui import webhook_words
from app.ui.filter_text import filter_of, stored_of
from app.ui.pages import fragment, page, say
from app.ui.texts import error_text, gettext
from app.ui.webhook_actions import to_secret
from app.ui.webhook_check import faults_of, place_of
from app.ui.webhook_form import (
    Form,
    base_of,
    base_text,
    form_of,
    new_form,
    payload_of,
    raw_of,
    rebased,
    typed_form,
    with_template,
    without_header,
)
from app.webhook_edition import changed_fields
from app.webhook_fields import association_of
from app.webhook_view import show
from app.webhooks import create_webhook, find_webhook, trigger_types, update_webhook


def new() -> Response:
    """Show an empty form."""
    return _page(new_form(request.args.get("type", REPO), request.args.get("association", "")), None)


def create() -> Response:
    """Make a webhook, and go on to its secret."""
    form = typed_form(request.form, groups())
    faults = faults_of(services(), caller(), form, None)
    if not faults:
        try:
            made = create_webhook(services(), caller(), raw_of(form, None), now_ms())
        except BadRequest as error:
            faults = {place_of(error): error_text(error)}
        else:
            say(gettext("The webhook was created. Give its secret to the receiver."))
            return to_secret(made)
    return _page(form, None, faults)


def edit(webhook_id: str) -> Response:
    """Show the form of a webhook."""
    row = find_webhook(caller(), webhook_id)
    return _page(form_of(services(), row), row)


def save(webhook_id: str) -> Response:
    """Change a webhook, unless someone else has done so since the form was made: then both are shown."""
    row = find_webhook(caller(), webhook_id)
    form = typed_form(request.form, groups())
    changed = changed_fields(form.edition, row, services().vault)
    if changed:
        form, touched = rebased(form, base_of(request.form), form_of(services(), row), changed)
        return _page(form, row, faults_of(services(), caller(), form, row), changed=changed, touched=touched)
    faults = faults_of(services(), caller(), form, row)
    if not faults:
        try:
            raw = raw_of(form, row) | {"id": webhook_id}
            update_webhook(services(), caller(), raw, now_ms(), edition=form.edition)
        except Conflict:
            return save(webhook_id)
        except BadRequest as error:
            faults = {place_of(error): error_text(error)}
        else:
            _tell_saved(form, row)
            return redirect(url_for(".detail", webhook_id=webhook_id), 303)
    return _page(form, row, faults)


def check() -> Response:
    """Say what is wrong with a form that someone fills in. htmx picks the field that was changed."""
    form, row = typed_form(request.form, groups()), _edited()
    if "remove" in request.args:
        form = without_header(form, request.args.get("remove", 0, int))
    values = _values(form, row, faults_of(services(), caller(), form, row, is_typing=True))
    return fragment("webhooks/form_fields.html", **values, rows_changed=bool(request.args))


def pattern() -> Response:
    """Try the pattern of a form on a key, and on the events that came lately."""
    form = typed_form(request.form, groups())
    try:
        association: Association | None = association_of(form["associationType"], form["associationId"])
    except BadRequest:
        association = None
    key = request.form.get("tried_key", "")
    try:
        stored = stored_of(form["filter"])
    except BadRequest:
        stored = ""  # what is wrong with it is said below it
    found = try_pattern(
        caller(), form["resourceKeyPattern"], key or None, association, now=now_ms(), stored_filter=stored
    )
    return fragment("webhooks/pattern.html", found=found, key=key, is_filtered=bool(stored))


def start() -> Response:
    """Fill the template of a form with one that comes with the service. htmx picks it out of the answer."""
    form = with_template(typed_form(request.form, groups()), source_of(_ready()))
    return fragment("webhooks/form_fields.html", **_values(form, _edited(), {}), rows_changed=False)


def preview() -> Response:
    """Show what the receiver would get of a sample event, and whether the filter lets that pass."""
    form = typed_form(request.form, groups())
    sample = request.form.get("sample", "")
    try:
        raw = payload_of(form) | {"filter": filter_of(form["filter"]), "eventType": sample or None}
        made, fault = preview_of(services().settings, raw, now_ms()), None
    except BadRequest as error:
        made, fault = None, error_text(error)
    return fragment("webhooks/preview.html", made=made, body=made and shown(made.body), fault=fault)


def groups() -> list[EventGroup]:
    """Return the event types that may be triggers, in groups."""
    return group_types(trigger_types(services().settings), EVENT_TYPES)


def _ready() -> str:
    return one_of("ready", request.form.get("ready", ""), [name for name, _ in webhook_words.ready()])


def _edited() -> Webhook | None:
    """Return the webhook that the form is about, None for a new one. Raises NotFound."""
    webhook_id = request.form.get("id")
    return find_webhook(caller(), webhook_id) if webhook_id else None


def _page(form: Form, row: Webhook | None, faults: dict[str, str] | None = None, **conflict: list[str]) -> Response:
    status = 409 if conflict else 400 if faults else 200
    return page("webhooks/form.html", status=status, rows_changed=False, **_values(form, row, faults or {}) | conflict)


def _values(form: Form, row: Webhook | None, faults: dict[str, str]) -> dict[str, Any]:
    """Return what the template of a form needs. Whoever sends it has seen the webhook as it is now."""
    return {
        "form": form,
        "base": base_text(form_of(services(), row)) if row is not None else "",
        "row": row,
        "errors": faults,
        "changed": [],
        "touched": [],
        "present": show(services(), row) if row is not None else None,
        "groups": groups(),
        "descriptions": {name: kind.description for name, kind in EVENT_TYPES.items()},
        "labels": webhook_words.labels(),
        "kind_options": webhook_words.association_kinds(with_system=caller().admin),
        "signing_options": webhook_words.signings(),
        "ordering_options": webhook_words.orderings(),
        "format_options": webhook_words.formats(),
        "ready_options": webhook_words.ready(),
        "sample": request.form.get("sample", ""),
        "reason": webhook_words.disabled_reason(row.disabled_reason) if row is not None else None,
        "default_schedule": webhook_words.default_schedule(services().settings),
        "settings": services().settings,
    }


def _tell_saved(form: Form, before: Webhook) -> None:
    say(gettext("The webhook was saved."))
    if form["signing"] != before.signing:
        say(gettext("It has a new secret. The one before signs too for 24 hours."), "warning")
