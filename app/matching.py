"""Which webhooks an event goes to (contract §4). Pure: the index is told what changed, and asks nobody."""

import threading
from collections.abc import Iterator
from fnmatch import fnmatchcase

import msgspec

from app.event_types import Event
from app.filters import Payload, compile_filter, document_of
from app.patterns import compile_pattern


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """What matching and delivery need of a webhook. `token`, `headers`, the secrets and the certificate are still
    encrypted. `backlog` says that deliveries are held for it, `is_open` that its circuit is open for all but `probe`.
    """

    id: str
    url: str
    token: str | None
    headers: str | None
    secret: str
    triggers: frozenset[str]
    association_type: str
    association_id: str
    resource_key_pattern: str | None
    enabled: bool
    filter: str | None = None  # of app.filters
    timeout_ms: int | None = None
    retry_schedule_ms: tuple[int, ...] | None = None
    rate_limit: int | None = None  # requests a second
    rate_burst: int | None = None
    signing: str = "v1"
    previous_secret: str | None = None
    previous_until: int | None = None
    ordering: str = "none"
    client_certificate: str | None = None
    payload_format: str = "default"
    payload_template: str | None = None
    backlog: bool = False
    is_open: bool = False
    probe: str | None = None

    @property
    def scope(self) -> str:
        """What the webhook covers, in the form that `scopes_of` gives for an event."""
        return f"{self.association_type}/{self.association_id}"


def scopes_of(event: Event) -> Iterator[str]:
    """Yield the scopes that cover `event`: the system, its project, its repository."""
    yield "SYSTEM/"
    if event.project_id is not None:
        yield f"PROJECT/{event.project_id}"
        if event.repo_name is not None:
            yield f"REPO/{event.project_id}:{event.repo_name}"


def is_skipped(event: Event, globs: tuple[str, ...]) -> bool:
    """Return whether SKIP_PROJECT_REPO drops the event (bk-repo's filterProjectRepoKey)."""
    key = f"{event.project_id or ''}:{event.repo_name or ''}"
    return any(fnmatchcase(key, glob) for glob in globs)


class WebhookIndex:
    """Webhooks by what they cover and by trigger: an event costs nothing for webhooks that don't cover it."""

    def __init__(self) -> None:
        self._by_id: dict[str, Webhook] = {}
        self._by_scope: dict[tuple[str, str], dict[str, Webhook]] = {}
        self._lock = threading.Lock()  # an event must meet the old form of a changing webhook or the new one

    def put(self, webhook: Webhook) -> None:
        """Add `webhook`, or replace the one with its id."""
        with self._lock:
            self._remove(webhook.id)
            self._by_id[webhook.id] = webhook
            for trigger in webhook.triggers if webhook.enabled else ():
                self._by_scope.setdefault((webhook.scope, trigger), {})[webhook.id] = webhook

    def remove(self, webhook_id: str) -> None:
        """Forget a webhook; unknown ids are fine."""
        with self._lock:
            self._remove(webhook_id)

    def _remove(self, webhook_id: str) -> None:
        old = self._by_id.pop(webhook_id, None)
        if old is None or not old.enabled:
            return
        for trigger in old.triggers:
            covered = self._by_scope[old.scope, trigger]
            del covered[webhook_id]
            if not covered:
                del self._by_scope[old.scope, trigger]

    def get(self, webhook_id: str) -> Webhook | None:
        """Return the webhook, enabled or not, or None where it is unknown or deleted."""
        return self._by_id.get(webhook_id)

    def match(self, event: Event, payload: Payload) -> list[Webhook]:
        """Return the enabled webhooks that `event` goes to. `payload` is what receivers of the default format get, None
        where it could not be built."""
        found = self.candidates(event)
        for webhook in found:
            if webhook.filter:
                return _passed(found, event, payload)
        return found

    def candidates(self, event: Event) -> list[Webhook]:
        """Return the enabled webhooks that `event` goes to if their filters let it pass."""
        key = (event.resource_key or "").encode()
        verdicts: dict[str, bool] = {}  # webhooks that share a pattern share its cost
        with self._lock:
            return [
                webhook
                for scope in scopes_of(event)
                for webhook in self._by_scope.get((scope, event.type), {}).values()
                if not webhook.resource_key_pattern or _fits(webhook.resource_key_pattern, key, verdicts)
            ]


def _passed(found: list[Webhook], event: Event, payload: Payload) -> list[Webhook]:
    document = document_of(event, payload)
    return [each for each in found if not each.filter or compile_filter(each.filter).matches(document)]


def _fits(pattern: str, key: bytes, verdicts: dict[str, bool]) -> bool:
    verdict = verdicts.get(pattern)
    if verdict is None:
        verdict = verdicts[pattern] = compile_pattern(pattern).fullmatch(key) is not None
    return verdict
