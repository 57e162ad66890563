"""Webhooks: the list, and the page of one with its health and what can be done about it."""

import json
from typing import Any

from flask import Response, request

from app.api.context import caller, services
from app.clock import now_ms
from app.event_groups import group_types
from app.event_types import EVENT_TYPES
from app.models import Webhook
from app.pacing import default_burst
from app.ui import filter_text, webhook_actions, webhook_edit, webhook_words
from app.ui.pages import page
from app.ui.section import section
from app.ui.sparkline import sparkline
from app.webhook_list import MOST_OWED, filter_of, last_hours, owed, page_of_webhooks, position_of, states_of
from app.webhook_view import show
from app.webhooks import find_webhook, trigger_types

SIZE = 25

webhooks_ui = section("webhooks_ui", __name__, "/webhooks")


@webhooks_ui.get("")
def list_() -> Response:
    """List webhooks by filter."""
    known, now = trigger_types(services().settings), now_ms()
    wanted, before = filter_of(request.args, known), position_of(request.args)
    found = page_of_webhooks(caller(), wanted, SIZE, before)
    hours = last_hours([row.id for row in found.rows], now)
    return page(
        "webhooks/list.html",
        found=found,
        wanted=wanted,
        is_filtered=any(request.args.get(name) for name in ("q", "type", "association", "state", "trigger")),
        is_cut=found.following is not None and len(found.rows) < SIZE,
        sparklines={webhook_id: sparkline(each) for webhook_id, each in hours.items()},
        triggers={row.id: json.loads(row.triggers) for row in found.rows},
        groups=group_types(known, EVENT_TYPES),
        kinds=webhook_words.association_kinds(with_system=caller().admin),
        states=webhook_words.states(),
        states_of=states_of,
    )


@webhooks_ui.get("/<webhook_id>")
def detail(webhook_id: str) -> Response:
    """Show a webhook; of a deleted one, that it was deleted and where its logs are."""
    row = find_webhook(caller(), webhook_id, with_deleted=True)
    if row.deleted_at is not None:
        return page("webhooks/deleted.html", status=410, row=row, days=services().settings.log_retention_days)
    return page("webhooks/detail.html", **_values(row))


def _values(row: Webhook) -> dict[str, Any]:
    settings, shown = services().settings, show(services(), row)
    return {
        "row": row,
        "shown": shown,
        "labels": webhook_words.labels(),
        "states": webhook_words.states(),
        "states_of": states_of,
        "reason": webhook_words.disabled_reason(row.disabled_reason),
        "owed": owed(row.id),
        "most_owed": MOST_OWED,
        "sparkline": sparkline(last_hours([row.id], now_ms())[row.id]),
        "kind": dict(webhook_words.association_kinds(with_system=True))[row.association_type],
        "ordering": dict(webhook_words.orderings())[row.ordering],
        "signing": dict(webhook_words.signings())[row.signing],
        "filter_text": filter_text.text_of(shown["filter"]),
        "format": dict(webhook_words.formats())[row.payload_format],
        "burst": row.rate_burst or default_burst(row.rate_limit or 0),
        "schedule": webhook_words.default_schedule(settings),
        "settings": settings,
        "descriptions": {name: kind.description for name, kind in EVENT_TYPES.items()},
    }


for path, methods, view in (
    ("/new", ["GET"], webhook_edit.new),
    ("/new", ["POST"], webhook_edit.create),
    ("/check", ["POST"], webhook_edit.check),
    ("/pattern", ["POST"], webhook_edit.pattern),
    ("/start", ["POST"], webhook_edit.start),
    ("/preview", ["POST"], webhook_edit.preview),
    ("/<webhook_id>/edit", ["GET"], webhook_edit.edit),
    ("/<webhook_id>/edit", ["POST"], webhook_edit.save),
    ("/<webhook_id>/test", ["POST"], webhook_actions.test),
    ("/<webhook_id>/enable", ["POST"], webhook_actions.enable),
    ("/<webhook_id>/disable", ["POST"], webhook_actions.disable),
    ("/<webhook_id>/delete", ["POST"], webhook_actions.delete),
    ("/<webhook_id>/secret", ["GET"], webhook_actions.secret),
    ("/<webhook_id>/secret", ["POST"], webhook_actions.reveal),
    ("/<webhook_id>/rotate", ["POST"], webhook_actions.rotate),
):
    webhooks_ui.add_url_rule(path, view.__name__, view, methods=methods)
