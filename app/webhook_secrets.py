"""The secrets of a webhook at rest and in requests: sealed in the table, masked in answers (contract §3)."""

import json
import re
from typing import Any, cast

from app.delivery_fields import DeliveryFields
from app.errors import BadRequest
from app.fields import INVALID
from app.masking import is_secret_name, mask
from app.models import Webhook
from app.signing import scheme_of
from app.vault import Vault
from app.webhook_fields import Fields

_MASKED = re.compile(r"\*{4}(.{4})?")


def stored_token(row: Webhook, vault: Vault) -> str | None:
    """Return the token of `row`, None where it has none."""
    return vault.decrypt(row.token) if row.token else None


def stored_headers(row: Webhook, vault: Vault) -> dict[str, str]:
    """Return the headers of `row`."""
    return dict(json.loads(vault.decrypt(row.headers))) if row.headers else {}


def unmask(fields: Fields, token: str | None, headers: dict[str, str]) -> Fields:
    """Return `fields` with each masked value replaced by what is stored: `token`, `headers`.

    A client that changes one field sends back the others as it was shown them. Raises BadRequest for a mask that is
    not the stored value's. Pure.
    """
    result: Fields = {**fields}
    if "token" in fields:
        result["token"] = _meant("token", fields["token"], token)
    if "headers" in fields:
        stored = {name.lower(): value for name, value in headers.items()}
        result["headers"] = {
            name: _meant(f"headers.{name}", value, stored.get(name.lower())) if is_secret_name(name) else value
            for name, value in fields["headers"].items()
        }
    return result


def columns(fields: Fields, vault: Vault) -> dict[str, Any]:
    """Return the column values of clean, unmasked `fields`, the secrets sealed; associations are the caller's part."""
    made: dict[str, Any] = {}
    if "url" in fields:
        made["url"] = fields["url"]
    if "token" in fields:
        made["token"] = vault.encrypt(fields["token"]) if fields["token"] else None
    if "headers" in fields:
        made["headers"] = vault.encrypt(json.dumps(fields["headers"])) if fields["headers"] else None
    if "triggers" in fields:
        made["triggers"] = json.dumps(fields["triggers"])
    if "resource_key_pattern" in fields:
        made["resource_key_pattern"] = fields["resource_key_pattern"] or None
    if "filter" in fields:
        made["filter"] = fields["filter"] or None
    if "enabled" in fields:
        made |= {"enabled": fields["enabled"], "disabled_reason": None}
    return made | _delivery_columns(cast(DeliveryFields, fields), vault)


def renewed(row: Webhook, secret: str, vault: Vault, until: int | None) -> dict[str, Any]:
    """Return the column values with which `secret` signs in place of the one of `row`.

    That one goes on signing `until` then (milliseconds UTC), None for not at all. One before it ends.
    """
    return {
        "secret": vault.encrypt(secret),
        "signing": scheme_of(secret),
        "previous_secret": None if until is None else row.secret,
        "previous_until": until,
    }


def _delivery_columns(fields: DeliveryFields, vault: Vault) -> dict[str, Any]:
    """Return the columns of what is set here. A change of `signing` takes a new secret with it: see `renewed`."""
    made: dict[str, Any] = {}
    if "timeout_ms" in fields:
        made["timeout_ms"] = fields["timeout_ms"] or None
    if "retry_schedule" in fields:
        made["retry_schedule"] = json.dumps(fields["retry_schedule"]) if fields["retry_schedule"] else None
    if "rate_limit" in fields:
        made["rate_limit"] = fields["rate_limit"] or None
    if "rate_burst" in fields:
        made["rate_burst"] = fields["rate_burst"] or None
    if "ordering" in fields:
        made["ordering"] = fields["ordering"]
    if "client_certificate" in fields:
        pem = fields["client_certificate"]
        made["client_certificate"] = vault.encrypt(pem) if pem else None
    return made


def _meant(field: str, given: str, stored: str | None) -> str:
    if not _MASKED.fullmatch(given):
        return given
    if stored is None or given != mask(stored):
        raise BadRequest(INVALID, "masked", field=field)
    return stored
