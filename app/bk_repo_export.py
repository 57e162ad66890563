"""Webhooks of an export of bk-repo's MongoDB collection `webhook`, as mongoexport writes it. Pure.

A document has the fields of bk-repo's TWebHook: url, headers, triggers, associationType, associationId,
resourceKeyPattern, createdBy, createdDate, lastModifiedBy, lastModifiedDate, and `token` until 2022. Ids and dates are
in MongoDB's Extended JSON, canonical or relaxed, such as {"$oid": "…"} and {"$date": "…"}.
"""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from app.errors import BadRequest
from app.messages import text_of
from app.permissions import SYSTEM
from app.webhook_fields import association_of, clean_new

FIELDS = ("url", "token", "headers", "triggers", "associationType", "associationId", "resourceKeyPattern")


class Wanted(NamedTuple):
    """A webhook of the export: `fields` as the interface takes them, and what stands against it, None for nothing.

    `unknown` are triggers that were left out.
    """

    source_id: str
    fields: dict[str, Any]
    problem: str | None
    unknown: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[object, ...]:
        """What makes it the same webhook as another."""
        return key_of(self.fields)


def key_of(fields: Mapping[str, Any]) -> tuple[object, ...]:
    """Return what makes a webhook, given by its fields in the interface, the same as another."""
    place = (fields.get("associationType"), fields.get("associationId") or None)
    triggers = fields.get("triggers")
    return (
        *place,
        fields.get("url"),
        frozenset(map(str, triggers)) if isinstance(triggers, list) else str(triggers),
        fields.get("resourceKeyPattern") or None,
    )


def wanted_from(document: Mapping[str, Any], known_types: Collection[str], *, skip_unknown: bool = False) -> Wanted:
    """Return the webhook that a document describes. With `skip_unknown`, triggers not among `known_types` are left
    out, as long as others remain."""
    plain = {name: _plain(value) for name, value in document.items()}
    fields = {name: plain[name] for name in FIELDS if plain.get(name) is not None}
    if fields.get("associationType") == SYSTEM:
        fields.pop("associationId", None)  # whatever it says: there is only one system
    unknown: tuple[str, ...] = ()
    triggers = fields.get("triggers")
    if skip_unknown and isinstance(triggers, list):
        kept = [trigger for trigger in triggers if trigger in known_types]
        if kept:
            unknown = tuple(str(trigger) for trigger in triggers if trigger not in known_types)
            fields["triggers"] = kept
    return Wanted(str(plain.get("_id") or plain.get("id") or ""), fields, _problem(fields, known_types), unknown)


def _problem(fields: Mapping[str, Any], known_types: Collection[str]) -> str | None:
    """Return why a server would refuse a webhook, by the checks that it makes itself; None where it would not."""
    try:
        clean = clean_new(fields, known_types)
        association_of(clean["association_type"], clean.get("association_id"), "associationId")
    except BadRequest as error:
        return text_of(error.reason, "en", error.params)
    return None


def _plain(value: Any) -> Any:
    """Return what Extended JSON says, without its types."""
    if isinstance(value, dict):
        if len(value) == 1 and next(iter(value)).startswith("$"):
            return _plain(next(iter(value.values())))
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value
