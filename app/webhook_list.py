"""Webhooks over all associations, as lists for people show them: pages by filter, and how each has fared lately."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

from peewee import fn

from app.authentication import Caller
from app.database import unavailable
from app.fields import filled, one_of
from app.log_steps import HOUR_MS
from app.models import DEAD, HELD, PENDING, SUCCESS, WAITING, Delivery, LogCount, Webhook
from app.permissions import PROJECT, REPO, visible
from app.query_fields import cursor_of, cursor_text, event_type_of
from app.text_search import contains
from app.webhook_fields import ASSOCIATION_TYPES, MAX_ID_PART

ENABLED = "enabled"
DISABLED = "disabled"
FAILING = "failing"
OPEN = "circuit"
BACKLOG = "backlog"
STATES = (ENABLED, DISABLED, FAILING, OPEN, BACKLOG)

SCAN = 20_000  # webhooks that one page looks at where filters pass most of them over
MOST_OWED = 10_000
HOURS = 24
MAX_TEXT = 256

_ID = "[0-9a-f]{32}"
_SHOWN = (
    *(Webhook.id, Webhook.url, Webhook.association_type, Webhook.association_id, Webhook.triggers, Webhook.enabled),
    *(Webhook.disabled_reason, Webhook.failures, Webhook.failing_since, Webhook.circuit_until, Webhook.backlog),
    *(Webhook.created_at, Webhook.last_modified_at, Webhook.last_modified_by),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookFilter:
    """Which webhooks; None is for any. `text` is looked for in URL, association and id."""

    text: str | None = None
    association_type: str | None = None
    association_id: str | None = None
    state: str | None = None
    trigger: str | None = None


class WebhookPage(NamedTuple):
    """Webhooks, newest first, and the cursor of the next page; None where there is none."""

    rows: list[Webhook]
    following: str | None


class Hour(NamedTuple):
    """How many attempts at a webhook succeeded and failed in an hour; `at` is when it begins."""

    at: int
    succeeded: int
    failed: int


def filter_of(given: Mapping[str, str], known_types: Collection[str]) -> WebhookFilter:
    """Return the webhooks asked for by `q`, `type`, `association`, `state` and `trigger`; "" is as good as absent.

    Raises BadRequest naming the parameter.
    """
    asked = {name: value for name, value in given.items() if value}

    def text(field: str, limit: int) -> str | None:
        return filled(field, asked[field], limit) if field in asked else None

    return WebhookFilter(
        text=text("q", MAX_TEXT),
        association_type=one_of("type", asked["type"], ASSOCIATION_TYPES) if "type" in asked else None,
        association_id=text("association", 2 * MAX_ID_PART + 1),
        state=one_of("state", asked["state"], STATES) if "state" in asked else None,
        trigger=event_type_of(asked, "trigger", known_types),
    )


def position_of(given: Mapping[str, str]) -> str | None:
    """Return the id before which the page begins, None for the newest webhook. Raises BadRequest."""
    parts = cursor_of(given, _ID)
    return None if parts is None else parts[0]


def page_of_webhooks(caller: Caller, wanted: WebhookFilter, size: int, before: str | None = None) -> WebhookPage:
    """Return up to `size` webhooks that `caller` may manage, newest first. Raises DatabaseUnavailable.

    It looks at 20,000 webhooks at most: then it returns what it has found, and where to go on.
    """
    within = _within(wanted, before)
    last = _last_looked_at(within)
    if last is not None:
        within.append(Webhook.id >= last)
    conditions = [*within, Webhook.deleted_at.is_null(), *_allowed(caller), *_filters(wanted)]
    query = Webhook.select(*_SHOWN).where(*conditions).order_by(Webhook.id.desc())
    with unavailable():
        rows = list(query.limit(size + 1))
    if len(rows) > size:
        return WebhookPage(rows[:size], cursor_text(rows[size - 1].id))
    return WebhookPage(rows, None if last is None else cursor_text(last))


def states_of(row: Webhook) -> list[str]:
    """Return the states that `row` is in, what matters most first; `enabled` only where there is no other. Pure."""
    holds = (
        (DISABLED, not row.enabled),
        (OPEN, row.circuit_until is not None),
        (FAILING, row.failures > 0),
        (BACKLOG, bool(row.backlog)),
    )
    return [state for state, is_so in holds if is_so] or [ENABLED]


def last_hours(webhook_ids: Sequence[str], now: int) -> dict[str, list[Hour]]:
    """Return the attempts at webhooks in the last 24 hours, the one under way last. What is not counted yet (see
    app.log_counts), that is the last two minutes, is missing. Raises DatabaseUnavailable."""
    first = now // HOUR_MS * HOUR_MS - (HOURS - 1) * HOUR_MS
    groups = LogCount.webhook_id, LogCount.hour, LogCount.status
    query = (
        LogCount.select(*groups, fn.SUM(LogCount.number))
        .where(LogCount.webhook_id.in_(list(webhook_ids)), LogCount.hour >= first)
        .group_by(*groups)
    )
    counted: dict[tuple[str, int, bool], int] = {}
    with unavailable():
        for webhook_id, hour, status, number in query.tuples() if webhook_ids else ():
            key = (webhook_id, hour, status == SUCCESS)
            counted[key] = counted.get(key, 0) + int(number)
    hours = range(first, first + HOURS * HOUR_MS, HOUR_MS)
    return {
        each: [Hour(at, counted.get((each, at, True), 0), counted.get((each, at, False), 0)) for at in hours]
        for each in webhook_ids
    }


def owed(webhook_id: str) -> dict[str, int]:
    """Return how many deliveries a webhook has in each state of the outbox; 10,001 stands for more than 10,000.

    Raises DatabaseUnavailable.
    """
    mine = Delivery.select(Delivery.id).where(Delivery.webhook_id == webhook_id)
    with unavailable():
        return {
            state: int(mine.where(Delivery.state == state).limit(MOST_OWED + 1).count())
            for state in (PENDING, HELD, WAITING, DEAD)
        }


def _within(wanted: WebhookFilter, before: str | None) -> list[Any]:
    """Return the conditions that an index serves: that of ids, or where all is known of an association, that of it."""
    conditions = [Webhook.id < (before or "g")]
    if wanted.association_type is not None and wanted.association_id is not None:
        conditions += _associated(wanted)
    return conditions


def _associated(wanted: WebhookFilter) -> list[Any]:
    meant = (
        (Webhook.association_type, wanted.association_type),
        (Webhook.association_id, wanted.association_id),
    )
    return [column == value for column, value in meant if value is not None]


def _allowed(caller: Caller) -> list[Any]:
    return [] if caller.admin else [visible(caller, PROJECT) | visible(caller, REPO)]


def _filters(wanted: WebhookFilter) -> list[Any]:
    conditions = _associated(wanted)
    if wanted.state is not None:
        conditions.append(_is_in(wanted.state))
    if wanted.trigger is not None:
        conditions.append(contains(Webhook.triggers, json.dumps(wanted.trigger)))
    if wanted.text is not None:
        places = (Webhook.url, Webhook.association_id, Webhook.id)
        conditions.append(reduce(or_, (contains(place, wanted.text) for place in places)))
    return conditions


def _is_in(state: str) -> Any:
    """Return the condition of a state; see `states_of`."""
    conditions = {
        ENABLED: Webhook.enabled,
        DISABLED: ~Webhook.enabled,
        FAILING: Webhook.failures > 0,
        OPEN: Webhook.circuit_until.is_null(False),
        BACKLOG: Webhook.backlog,
    }
    return conditions[state]


def _last_looked_at(within: list[Any]) -> str | None:
    with unavailable():
        query = Webhook.select(Webhook.id).where(*within)
        found = query.order_by(Webhook.id.desc()).limit(1).offset(SCAN - 1).scalar()
    return None if found is None else str(found)
