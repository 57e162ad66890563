"""The form of a webhook: what someone typed, and the raw fields that the API's functions take, each from the other."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from werkzeug.datastructures import MultiDict

from app.errors import BadRequest
from app.event_groups import EventGroup
from app.models import Webhook
from app.payload_formats import DEFAULT, TEMPLATE
from app.permissions import REPO
from app.services import Services
from app.ui.filter_text import filter_of, text_of
from app.webhook_edition import edition_of
from app.webhook_view import show

_WHOLE = re.compile("[0-9]{1,9}")
_FRACTION = re.compile(r"[0-9]{1,9}\.[0-9]{1,9}")
_SEPARATORS = re.compile(r"[\s,;，、；]+")
_TEXTS = ("url", "associationId", "resourceKeyPattern", "timeout", "retrySchedule", "rateLimit", "rateBurst")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What stands in the form: texts as they were typed, by the fields' names in the API.

    `headers` are rows of name and value; empty ones are no headers. `edition` is that of the webhook whose form it is,
    "" for a new one.
    """

    texts: dict[str, str]
    triggers: list[str]
    headers: list[tuple[str, str]]
    enabled: bool = True
    removes_certificate: bool = False
    edition: str = ""

    def __getitem__(self, field: str) -> str:
        """Return what was typed in a text field."""
        return self.texts.get(field, "")


def new_form(association_type: str = REPO, association_id: str = "") -> Form:
    """Return the form of a webhook that is to be made."""
    place = {"associationType": association_type, "associationId": association_id}
    chosen = {"ordering": "none", "signing": "v1", "payloadFormat": DEFAULT}
    return Form(texts=place | chosen, triggers=[], headers=[])


def form_of(services: Services, row: Webhook) -> Form:
    """Return the form of a webhook as it is, its secrets masked: a mask sent back means unchanged."""
    shown: Mapping[str, Any] = show(services, row)
    names = ("url", "token", "associationType", "associationId", "resourceKeyPattern", "ordering", "signing")
    texts = {name: shown[name] or "" for name in names}
    texts |= {name: str(shown[name] or "") for name in ("timeout", "rateLimit", "rateBurst")}
    texts |= {name: shown[name] or "" for name in ("payloadFormat", "payloadTemplate")}
    texts["filter"] = text_of(shown["filter"])
    texts["retrySchedule"] = ", ".join(shown["retrySchedule"] or ())
    return Form(
        texts=texts,
        triggers=shown["triggers"],
        headers=list(shown["headers"].items()),
        enabled=shown["enabled"],
        edition=edition_of(row, services.vault),
    )


def base_text(form: Form) -> str:
    """Return `form` as the page keeps it beside what is typed; it holds no secrets."""
    return msgspec.json.encode(form).decode()


def base_of(given: "MultiDict[str, str]") -> Form:
    """Return the form as it was before someone typed; one of no edition where the page has not kept it."""
    try:
        return msgspec.json.decode(given.get("base", ""), type=Form)
    except (msgspec.DecodeError, UnicodeError):
        return new_form()


def typed_form(given: "MultiDict[str, str]", groups: list[EventGroup]) -> Form:
    """Return the form that a browser sent. A group of triggers that is chosen stands for all of them."""
    chosen = set(given.getlist("triggers"))
    for group in groups:
        chosen.update(group.types if group.title in given.getlist("trigger_group") else ())
    known = [name for group in groups for name in group.types]
    texts = {name: given.get(name, "").strip() for name in _TEXTS}
    texts |= {name: given.get(name, "") for name in ("associationType", "ordering", "signing", "pending")}
    texts |= {name: given.get(name, "") for name in ("token", "clientCertificate", "payloadFormat")}
    # Browsers send lines that end in CR and LF.
    texts |= {name: given.get(name, "").replace("\r\n", "\n") for name in ("filter", "payloadTemplate")}
    rows = zip(given.getlist("header_name"), given.getlist("header_value"), strict=False)
    if not texts["payloadTemplate"].strip():
        texts["payloadTemplate"] = ""
    return Form(
        texts=texts,
        triggers=[name for name in known if name in chosen] + sorted(chosen.difference(known)),
        headers=[(name.strip(), value) for name, value in rows],
        enabled="enabled" in given,
        removes_certificate="removeCertificate" in given,
        edition=base_of(given).edition,
    )


def rebased(typed: Form, base: Form, present: Form, changed: Collection[str]) -> tuple[Form, list[str]]:
    """Return what was `typed` into `base`, with the `present` values of those `changed` fields that were not touched;
    and the fields that were, so that there are two new values."""
    touched = [field for field in changed if _value(typed, field) != _value(base, field)]
    merged = replace(typed, texts=dict(typed.texts), edition=present.edition)
    for field in changed:
        if field in touched:
            continue
        if field in ("triggers", "headers", "enabled"):
            merged = replace(merged, **{field: getattr(present, field)})
        else:
            merged.texts[field] = present[field]
    return merged, touched


def with_template(form: Form, source: str) -> Form:
    """Return `form` with a template in the place of its own."""
    return replace(form, texts={**form.texts, "payloadFormat": TEMPLATE, "payloadTemplate": source})


def without_header(form: Form, place: int) -> Form:
    """Return `form` without one of its rows of headers."""
    return replace(form, headers=form.headers[:place] + form.headers[place + 1 :])


def raw_of(form: Form, row: Webhook | None) -> dict[str, Any]:
    """Return the raw fields of `form`, for a new webhook or to change `row`.

    What the form leaves empty is empty. Only what enables or disables `row` says so, since an enabled webhook that is
    enabled begins its health anew.
    """
    raw: dict[str, Any] = {name: form[name] for name in ("url", "token", "resourceKeyPattern", "ordering", "signing")}
    raw |= {name: form[name] for name in ("associationType", "associationId")}
    raw |= {name: _number(form[name]) for name in ("timeout", "rateLimit", "rateBurst")}
    raw["retrySchedule"] = [delay for delay in _SEPARATORS.split(form["retrySchedule"]) if delay]
    raw |= payload_of(form) | {"filter": _filter(form["filter"])}
    raw |= {"triggers": form.triggers, "headers": {name: value for name, value in form.headers if name or value}}
    if form["clientCertificate"].strip() or form.removes_certificate:
        raw["clientCertificate"] = form["clientCertificate"] if form["clientCertificate"].strip() else ""
    if row is None or form.enabled != bool(row.enabled):
        raw["enabled"] = form.enabled
        if row is not None and form.enabled and form["pending"]:
            raw["pending"] = form["pending"]
    return raw


def payload_of(form: Form) -> dict[str, str]:
    """Return the raw fields that say what receivers get. A template that the chosen format does not use is left out."""
    chosen = {"payloadFormat": form["payloadFormat"] or DEFAULT}
    return chosen | ({"payloadTemplate": form["payloadTemplate"]} if chosen["payloadFormat"] == TEMPLATE else {})


def _filter(text: str) -> Any:
    """Return the filter that is typed; what is no JSON as it is, for the check to refuse."""
    try:
        return filter_of(text)
    except BadRequest:
        return text


def _number(text: str) -> int | float | str:
    """Return a number; 0 for "", and what is none as it is, for the check to refuse."""
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _FRACTION.fullmatch(text) else text or 0


def _value(form: Form, field: str) -> object:
    if field == "headers":
        return [row for row in form.headers if any(row)]
    if field == "clientCertificate":
        return (form[field].strip(), form.removes_certificate)
    return {"triggers": form.triggers, "enabled": form.enabled}.get(field, form[field])
