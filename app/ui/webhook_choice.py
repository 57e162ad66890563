"""The webhooks that a form lets its viewer choose from."""

from typing import NamedTuple

from app.api.context import caller
from app.models import Webhook
from app.ui.webhook_words import Options
from app.webhook_list import WebhookFilter, page_of_webhooks

MOST = 200


class Choice(NamedTuple):
    """The newest webhooks, and the chosen one; `is_cut` says that there are more."""

    options: Options
    is_cut: bool


def webhook_choice(chosen: Webhook | None) -> Choice:
    """Return the webhooks to choose from, 200 at most. Raises DatabaseUnavailable."""
    found = page_of_webhooks(caller(), WebhookFilter(), MOST)
    rows = {row.id: row for row in ((chosen,) if chosen is not None else ()) + tuple(found.rows)}
    return Choice([(row.id, label(row)) for row in rows.values()], found.following is not None)


def label(row: Webhook) -> str:
    """Return what tells a webhook from others with the same URL too."""
    return f"{row.url} · {row.association_type} {row.association_id}".rstrip()
