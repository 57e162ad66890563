"""Webhooks and their logs."""

from collections.abc import Iterator, Sequence
from typing import Unpack

from hookline_client.calls import Calls
from hookline_client.connection import PREFIX, Call
from hookline_client.errors import NotFound
from hookline_client.fields import LogFilters, PreviewFields, WebhookChanges, WebhookFields, on_wire
from hookline_client.pages import LogPage
from hookline_client.records import Log, LogRow, Preview, Secrets, Template, Webhook
from hookline_client.walking import by_number

ASSOCIATION_TYPES = ("SYSTEM", "PROJECT", "REPO")
PAGE_SIZE = 100


class WebhookCalls(Calls):
    """`/webhook/api/webhook` and `/webhook/api/log`."""

    def create(self, **webhook: Unpack[WebhookFields]) -> str:
        """Register a webhook, and return its id.

        Made once: where no answer comes, look with `iter_webhooks` whether it is there before calling again.
        """
        body = on_wire(webhook)
        return self._connection.send(Call("POST", PREFIX + "/webhook/create", body=body)).headers["X-Webhook-Id"]

    def update(self, webhook_id: str, **changes: Unpack[WebhookChanges]) -> None:
        """Change what `changes` names; the rest stays as it is, and so does what is None."""
        body = {"id": webhook_id, **on_wire(changes)}
        self._connection.send(Call("PUT", PREFIX + "/webhook/update", body=body, repeat=True))

    def delete(self, webhook_id: str) -> None:
        """Delete a webhook; what is still owed to it is cancelled. Raises NotFound where it is not there."""
        call = Call("DELETE", PREFIX + "/webhook/delete/{}", (webhook_id,), repeat=True)
        try:
            self._connection.send(call)
        except NotFound as error:
            if error.tried == 1:
                raise
            # An earlier try has deleted it, and its answer was lost.

    def get(self, webhook_id: str) -> Webhook:
        """Return a webhook."""
        return Webhook.of(self._get("/webhook/{}", webhook_id))

    def list(self, association_type: str, association_id: str | None = None) -> Sequence[Webhook]:
        """Return the webhooks of SYSTEM, of projects or of repositories, newest first."""
        query = {"association_type": association_type, "association_id": association_id}
        return [Webhook.of(found) for found in self._get("/webhook/list", query=query)]

    def iter_webhooks(self) -> Iterator[Webhook]:
        """Yield all webhooks that the caller may manage: of SYSTEM, of projects, then of repositories."""
        for association_type in ASSOCIATION_TYPES:
            yield from self.list(association_type)

    def secret(self, webhook_id: str) -> str:
        """Return what verifies deliveries to the webhook: its secret, or its public key where `signing` is v1a."""
        return self.secrets(webhook_id).keys[0]

    def secrets(self, webhook_id: str) -> Secrets:
        """Return what verifies deliveries to the webhook, with what came before it while that signs too."""
        return Secrets.of(self._get("/webhook/secret/{}", webhook_id))

    def rotate_secret(self, webhook_id: str, *, overlap_hours: int | None = None, secret: str | None = None) -> Secrets:
        """Give a webhook a new secret, or the one that is given, and return it.

        The one before signs too for `overlap_hours`, by default 24.
        """
        body = {"overlap_hours": overlap_hours, "secret": secret}
        return Secrets.of(self._post("/webhook/secret/rotate/{}", webhook_id, body=body))

    def test(self, webhook_id: str) -> Log:
        """Send a WEBHOOK_TEST now, and return the log of it."""
        return Log.of(self._post("/webhook/test/{}", webhook_id))

    def retry(self, log_id: str) -> Log:
        """Send the payload of a log again, now, and return the new log."""
        return Log.of(self._post("/webhook/retry/{}", log_id))

    def preview(self, **wanted: Unpack[PreviewFields]) -> Preview:
        """Return what a webhook with these settings would send; nothing is kept or sent."""
        call = Call("POST", PREFIX + "/webhook/preview", body=on_wire(wanted), repeat=True)
        return Preview.of(self._connection.data(call))

    def templates(self) -> Sequence[Template]:
        """Return the ready payload templates."""
        return [Template.of(found) for found in self._get("/webhook/templates")]

    def log(self, log_id: str) -> Log:
        """Return a log."""
        return Log.of(self._get("/log/{}", log_id))

    def logs(self, webhook_id: str) -> Sequence[LogRow]:
        """Return the latest logs of a webhook, newest first, 1,000 at most."""
        return [LogRow.of(found) for found in self._get("/log/list/{}", webhook_id)]

    def log_page(self, webhook_id: str, page: int = 1, **filters: Unpack[LogFilters]) -> LogPage:
        """Return a page of the logs, newest first."""
        return LogPage.of(self._get("/log/list/{}", webhook_id, query={"page_number": page, **filters}))

    def iter_logs(self, webhook_id: str, **filters: Unpack[LogFilters]) -> Iterator[Log]:
        """Yield the logs of a webhook, newest first, as many as there are when it begins."""
        wanted: LogFilters = {"page_size": PAGE_SIZE, **filters}
        return by_number(
            lambda page, end: self.log_page(
                webhook_id, page, **(wanted if end is None else {**wanted, "end_date": end})
            )
        )
