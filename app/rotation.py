"""A webhook's signing secrets: shown to those who manage it, and replaced by new ones with an overlap."""

import logging
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, TypedDict

from app.authentication import Caller
from app.database import repeat_on_conflict, write_transaction
from app.dates import to_iso
from app.delivery_fields import whole
from app.errors import BadRequest
from app.fields import INVALID
from app.models import Webhook
from app.registry import lock_webhooks, raise_version
from app.schema_hints import Date, choice, said
from app.services import Services
from app.signing import (
    MAX_SECRET_BYTES,
    MIN_SECRET_BYTES,
    PREFIX,
    SCHEMES,
    V1,
    new_secret,
    public_key,
    scheme_of,
    signing_key,
)
from app.webhook_secrets import renewed
from app.webhooks import HOUR_MS, OVERLAP_HOURS, find_webhook, stamp, unchanged

MAX_OVERLAP_HOURS = 168

log = logging.getLogger(__name__)


class ShownSecret(TypedDict):
    """What verifies signatures: a secret to share, or the public key of a pair."""

    signing: Annotated[str, choice(*SCHEMES)]
    secret: Annotated[str | None, said("whsec_ and base64, null with v1a")]
    publicKey: Annotated[str | None, said("whpk_ and base64, null with v1")]


class PreviousSecret(ShownSecret):
    """The one before, while it signs too."""

    validUntil: Date


class ShownSecrets(ShownSecret):
    """What verifies the signatures of a webhook's deliveries."""

    previous: PreviousSecret | None


def show_secrets(services: Services, row: Webhook, now: int) -> ShownSecrets:
    """Return what a receiver verifies by, at `now`: the secret or the public key, and the one before while it signs.

    The private key of a pair is never shown.
    """
    previous: PreviousSecret | None = None
    if row.previous_secret and row.previous_until > now:
        until = to_iso(row.previous_until, services.settings.timezone)
        previous = {**_shown(services.vault.decrypt(row.previous_secret)), "validUntil": until}
    return {**_shown(services.vault.decrypt(row.secret)), "previous": previous}


def rotate_secret(
    services: Services, caller: Caller, webhook_id: str, raw: Mapping[str, Any], now: int
) -> ShownSecrets:
    """Give a webhook a new secret of its scheme, and return what `show_secrets` does.

    `raw["overlapHours"]` says how long the one before signs too. `raw["secret"]` brings a `v1` secret along; the
    present one changes nothing, so that a call can be repeated. Raises BadRequest naming a field, or NotFound.
    """
    hours = raw.get("overlapHours")
    hours = OVERLAP_HOURS if hours is None else whole("overlapHours", hours, 0, MAX_OVERLAP_HOURS)
    wanted = _Wanted(_own_secret(raw.get("secret")), now + hours * HOUR_MS if hours else None)
    while not _is_rotated(services, caller, find_webhook(caller, webhook_id), wanted, now=now):
        continue  # it was changed between reading and writing
    log.info("webhook=%s has a new secret by user=%s", webhook_id, caller.user_id)
    return show_secrets(services, find_webhook(caller, webhook_id), now)


class _Wanted(NamedTuple):
    """The caller's own secret, None for a fresh one, and up to when the present one signs too, None for no longer."""

    secret: str | None
    until: int | None


@repeat_on_conflict
def _is_rotated(services: Services, caller: Caller, row: Webhook, wanted: _Wanted, *, now: int) -> bool:
    """Replace the secret of `row`, unless someone has changed it since it was read; return whether it is done."""
    if wanted.secret is not None and row.signing != V1:
        raise BadRequest(INVALID, "secret_scheme", field="secret")
    if wanted.secret == services.vault.decrypt(row.secret):
        return True
    secret = wanted.secret or new_secret(row.signing)
    changes = renewed(row, secret, services.vault, wanted.until) | stamp(caller, now)
    with write_transaction():
        lock_webhooks([row.id])
        written = Webhook.update(**changes, version=raise_version()).where(*unchanged(row)).execute()
    return bool(written)


def _own_secret(value: object) -> str | None:
    """Return the `v1` secret that a caller brings along, None where there is none."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadRequest(INVALID, "not_string", field="secret")
    try:
        size = len(signing_key(value)) if value.startswith(PREFIX) else 0
    except ValueError:
        size = 0
    if not MIN_SECRET_BYTES <= size <= MAX_SECRET_BYTES:
        raise BadRequest(INVALID, "secret_form", field="secret", low=MIN_SECRET_BYTES, high=MAX_SECRET_BYTES)
    return value


def _shown(secret: str) -> ShownSecret:
    scheme = scheme_of(secret)
    if scheme == V1:
        return {"signing": scheme, "secret": secret, "publicKey": None}
    return {"signing": scheme, "secret": None, "publicKey": public_key(secret)}
