"""Ordered delivery: the deliveries of one key to a webhook leave one at a time, in the order of their acceptance.

A webhook's `ordering` says what a key is: one resource, or all of the webhook. Each ordered delivery has a position,
given under a lock on the webhook's row that is held to the end of the transaction: whatever becomes visible later has
a later position. The first of a key that is neither delivered nor given up is its head, and the only one that is sent;
the others are WAITING. Whoever records the end of a head makes the next one PENDING in the same transaction. All of
this is in the rows, so it holds over retries, workers, crashes and a lost queue.

Whoever has a delivery wait locks the head that it waits for up to the commit. So the end of that head comes before,
and is noticed, or after, and finds who waits.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

from app.attempts import Due
from app.database import marks, repeat_on_conflict, unavailable, write_transaction
from app.models import PENDING, WAITING, Delivery, Webhook, database

RESOURCE = "resource"
WEBHOOK = "webhook"

# Whoever passes a turn on may take it as well, without a message. Where that one has died, the sweeper finds it due so
# much later.
TURN_MS = 15_000

_KEY_BYTES = 16

# Written so that each key is one look into the index delivery_order, however many deliveries it has: given a list of
# keys, databases read all of these.
_HEADS = """
    WITH named AS ({names})
    SELECT d.order_key, d.id, d.state FROM named JOIN delivery d ON d.id = (
        SELECT f.id FROM delivery f WHERE f.order_key = named.order_key ORDER BY f.position LIMIT 1
    )
"""
_NAMES_AT_ONCE = 50  # planning takes longer than looking where there are more


class Head(NamedTuple):
    """The first delivery of a key."""

    id: str
    state: str


def order_key(ordering: str, webhook_id: str, *resource: str | None) -> str | None:
    """Return the key of an event about `resource` for a webhook, None where order does not matter. Pure.

    Keys of different webhooks differ.
    """
    if ordering not in (RESOURCE, WEBHOOK):
        return None
    parts = (webhook_id, *(part or "" for part in resource)) if ordering == RESOURCE else (webhook_id,)
    return blake2b("\0".join(parts).encode(), digest_size=_KEY_BYTES).hexdigest()


def take_positions(webhook_ids: Collection[str], count: int) -> dict[str, int]:
    """Reserve `count` positions for each webhook, and return the first of each; call it in the inserting transaction.

    Not all need be used: only their order matters.
    """
    named = Webhook.id.in_(sorted(webhook_ids))
    Webhook.update(last_position=Webhook.last_position + count).where(named).execute()
    found = Webhook.select(Webhook.id, Webhook.last_position).where(named)
    return {webhook_id: last - count + 1 for webhook_id, last in found.tuples()}


def busy_keys(keys: Collection[str]) -> set[str]:
    """Return those of `keys` that have a head, and lock it up to the commit; call it in a transaction."""
    heads = _heads(keys)
    alive = _lock({head.id for head in heads.values()})
    return {key for key, head in heads.items() if head.id in alive}


def head_of(key: str) -> str | None:
    """Return the one delivery of a key that may be sent, None where there is none."""
    head = _heads([key]).get(key)
    return head and head.id


def in_turn(dues: Sequence[Due]) -> set[str]:
    """Return the ids of those ordered deliveries that are the head of their key, and have the others wait.

    Raises DatabaseUnavailable.
    """
    turns: set[str] = set()
    unsettled = {due.id: due.order_key for due in dues if due.order_key is not None}
    while unsettled:
        with unavailable():
            heads = _heads(set(unsettled.values()))
        turns |= {name for name, key in unsettled.items() if key in heads and heads[key].id == name}
        behind = {name: heads[key].id for name, key in unsettled.items() if key in heads and name not in turns}
        # Where the head has just ended another is the head: look again.
        unsettled = {name: unsettled[name] for name in _wait(behind)} if behind else {}
    return turns


def pass_on(finished: Iterable[Due], now: int) -> list[str]:
    """Make those that waited for `finished` deliveries PENDING, and return their ids.

    They are the caller's to send, or to enqueue (outbox.enqueue_turns), within TURN_MS, or to keep (outbox.keep_turns).
    Call it in the transaction that ends those before, after they have left the order.
    """
    keys = {due.order_key for due in finished if due.order_key is not None}
    following = [head.id for head in _heads(keys).values() if head.state == WAITING]
    if following:
        Delivery.update(state=PENDING, next_attempt_at=now + TURN_MS).where(
            Delivery.id.in_(following), Delivery.state == WAITING
        ).execute()
    return following


@repeat_on_conflict
def _wait(behind: Mapping[str, str]) -> list[str]:
    """Have deliveries wait for their heads, and return those whose head has ended meanwhile."""
    with write_transaction():
        alive = _lock(set(behind.values()))
        waiting = [name for name, head_id in behind.items() if head_id in alive]
        if waiting:
            Delivery.update(state=WAITING, next_attempt_at=None, queued_at=None).where(
                Delivery.id.in_(waiting), Delivery.state == PENDING
            ).execute()
    return [name for name, head_id in behind.items() if head_id not in alive]


def _lock(delivery_ids: Collection[str]) -> set[str]:
    """Lock deliveries up to the commit, and return those that are there and still in an order."""
    if not delivery_ids:
        return set()
    named = Delivery.id.in_(sorted(delivery_ids)) & Delivery.order_key.is_null(is_null=False)
    locked = Delivery.update(position=Delivery.position).where(named).execute()
    if locked == len(delivery_ids):
        return set(delivery_ids)
    return {delivery_id for (delivery_id,) in Delivery.select(Delivery.id).where(named).tuples()}


def _heads(keys: Collection[str]) -> dict[str, Head]:
    """Return the head of each key that has one."""
    wanted = sorted(keys)
    heads: dict[str, Head] = {}
    for start in range(0, len(wanted), _NAMES_AT_ONCE):
        names = wanted[start : start + _NAMES_AT_ONCE]
        found = database.execute_sql(_HEADS.format(names=_as_rows("order_key", len(names))), names)
        heads |= {key: Head(*head) for key, *head in found.fetchall()}
    return heads


def _as_rows(column: str, count: int) -> str:
    """Return a query for `count` parameters as rows; VALUES is not the same for all databases."""
    return " UNION ALL ".join([f"SELECT {marks(1)} AS {column}"] * count)
