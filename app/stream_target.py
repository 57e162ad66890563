"""What a stream of events stands for: a webhook that there is, or one that its caller makes up for the moment.

Nothing of it is kept: a made-up webhook has no row, and its secret is derived from the service's key and its user.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from msgspec import structs

from app.authentication import Caller
from app.errors import BadRequest, NotFound
from app.event_types import PUBLISHABLE_TYPES
from app.fields import INVALID, required
from app.matching import Webhook
from app.payload_fields import PayloadFields, payload_columns
from app.permissions import require_manage
from app.registry import Credentials
from app.services import Services
from app.signing import PREFIX, signing_key
from app.vault import Vault
from app.webhook_fields import association_of, clean
from app.webhooks import WEBHOOK_NOT_FOUND, check_triggers, find_webhook, trigger_types

URL = "http://localhost/"  # of a made-up webhook; nothing is sent there by the service
FORM = ("payloadFormat", "payloadTemplate")
PARAMETERS = ("webHookId", "associationType", "associationId", "resourceKeyPattern", "filter", *FORM)

_LIMIT = 64 * 1024  # of a filter's text; what a filter may hold, its own check says


class Target(NamedTuple):
    """The webhook whose requests are made, its secrets, and the name that the ids of the requests are made of."""

    webhook: Webhook
    credentials: Credentials
    name: str


def secret_of(vault: Vault, user_id: str) -> str:
    """Return the secret that signs the made-up webhooks of a user: the same at each start, another for each user."""
    return PREFIX + base64.b64encode(vault.derive(f"listen {user_id}")[0]).decode()


def target_of(services: Services, caller: Caller, given: Mapping[str, str], triggers: Sequence[str]) -> Target:
    """Return what the parameters ask for. Raises BadRequest naming one, NotFound for a webhook that `caller` may not
    manage, Forbidden for an association that he may not, DatabaseUnavailable."""
    webhook_id = given.get("webHookId")
    if webhook_id is None:
        return _made_up(services, caller, given, triggers)
    others = [name for name in PARAMETERS[1:] if name in given]
    if others or triggers:
        raise BadRequest(INVALID, "stream_both", field="webHookId", other=(others or ["triggers"])[0])
    find_webhook(caller, webhook_id)
    webhook = services.registry.refresh().get(webhook_id)
    if webhook is None:
        raise NotFound(WEBHOOK_NOT_FOUND, "webhook_not_found")
    # One that is disabled is listened to before it is let loose.
    enabled = structs.replace(webhook, enabled=True)
    return Target(enabled, services.registry.credentials(webhook), webhook_id)


def _made_up(services: Services, caller: Caller, given: Mapping[str, str], triggers: Sequence[str]) -> Target:
    known = trigger_types(services.settings)
    required("associationType", given.get("associationType"))
    raw: dict[str, Any] = {name: value for name, value in given.items() if name != "filter"}
    raw["triggers"] = list(triggers) or sorted(PUBLISHABLE_TYPES | services.settings.extra_event_types)
    if given.get("filter"):
        raw["filter"] = _json("filter", given["filter"])
    fields = cast(dict[str, Any], clean(raw, known))
    association = association_of(fields["association_type"], fields.get("association_id"), field="associationId")
    require_manage(caller, association)
    check_triggers(association, fields["triggers"])
    # Who may manage anything has a name: a platform that acts for nobody may not.
    user_id = str(caller.user_id)
    form: dict[str, Any] = payload_columns(cast(PayloadFields, fields))
    webhook = Webhook(
        id=f"listen {user_id}",
        url=URL,
        token=None,
        headers=None,
        secret="",
        triggers=frozenset(fields["triggers"]),
        association_type=association.type,
        association_id=association.id,
        resource_key_pattern=fields.get("resource_key_pattern") or None,
        enabled=True,
        filter=fields.get("filter") or None,
        **form,
    )
    key = signing_key(secret_of(services.vault, user_id))
    return Target(webhook, Credentials(key, None, {}), webhook.id)


def _json(field: str, text: str) -> Any:
    if len(text) > _LIMIT:
        raise BadRequest(INVALID, "too_long", field=field, limit=_LIMIT)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest(INVALID, "invalid", field=field) from error
