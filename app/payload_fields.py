"""What the fields of a webhook may hold that say what its receiver gets. Pure: raw fields in, clean ones out."""

from collections.abc import Mapping
from typing import Any, TypedDict

from app.errors import BadRequest
from app.fields import INVALID, one_of, required
from app.payload_formats import DEFAULT, FORMATS, TEMPLATE
from app.payload_templates import check_template


class PayloadFields(TypedDict, total=False):
    """The clean fields that a request gave. "" stands for none."""

    payload_format: str
    payload_template: str


def clean_payload(raw: Mapping[str, Any]) -> PayloadFields:
    """Return those fields of `raw` that are given, checked one by one. Raises BadRequest naming the field."""
    fields: PayloadFields = {}
    if (form := raw.get("payloadFormat")) is not None:
        fields["payload_format"] = one_of("payloadFormat", form, FORMATS)
    if (template := raw.get("payloadTemplate")) is not None:
        fields["payload_template"] = check_template("payloadTemplate", template)
    return fields


def payload_columns(fields: PayloadFields, present: PayloadFields | None = None) -> dict[str, str | None]:
    """Return the column values of clean `fields`, for a webhook that has the `present` ones, None for a new one.

    A template goes where the format is another. Raises BadRequest for a template that the format does not use, and for
    the format "template" without one.
    """
    before = present or {}
    form = fields.get("payload_format") or before.get("payload_format") or DEFAULT
    template = fields.get("payload_template")
    if form != TEMPLATE:
        if template:
            raise BadRequest(INVALID, "template_alone", field="payloadTemplate")
        return {"payload_format": form, "payload_template": None}
    kept = before.get("payload_template") if template is None else template
    return {"payload_format": form, "payload_template": required("payloadTemplate", kept or None)}
