"""How many deliveries are owed and given up, and since when, without reading all of the outbox."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from peewee import SQL, Value, fn

from app.database import unavailable
from app.ids import time_of
from app.models import DEAD, HELD, PENDING, WAITING, Delivery
from app.statistics import Scope

STATES = (PENDING, HELD, WAITING, DEAD)
# Rows that are counted: those that are to be sent lie in an index, the others have to be looked up.
MOST_DUE = 100_000
MOST_RESTING = 20_000


class Pile(NamedTuple):
    """Deliveries in a state: how many, at least that where `is_cut`, and since when there is the oldest."""

    number: int = 0
    oldest_at: int | None = None
    is_cut: bool = False


class Outstanding(NamedTuple):
    """What the outbox holds by state."""

    pending: Pile
    held: Pile
    waiting: Pile
    dead: Pile

    @property
    def owed(self) -> Pile:
        """All that is still to be sent."""
        return joined(self.pending, self.held, self.waiting)


def joined(*piles: Pile) -> Pile:
    """Return several piles as one. Pure."""
    times = [pile.oldest_at for pile in piles if pile.oldest_at is not None]
    number = sum(pile.number for pile in piles)
    return Pile(number, min(times, default=None), any(pile.is_cut for pile in piles))


def outstanding(scope: Scope) -> Outstanding:
    """Return what is owed to the webhooks of `scope` and what was given up. Raises DatabaseUnavailable."""
    if scope.ids is not None:
        parts = [_piles(STATES, MOST_DUE, Delivery.select().where(*scope.holds(Delivery.webhook_id)))]
    else:
        idle = Delivery.select().where(Delivery.queued_at.is_null())
        parts = [
            _piles((PENDING,), MOST_DUE, Delivery.select().where(Delivery.queued_at > 0)),
            _piles((PENDING,), MOST_DUE, idle.where(Delivery.next_attempt_at > 0)),
            _piles((HELD, WAITING, DEAD), MOST_RESTING, idle.where(Delivery.next_attempt_at.is_null())),
        ]
    return Outstanding(*(joined(*(part[state] for part in parts if state in part)) for state in STATES))


def _piles(states: Sequence[str], most: int, rows: Any) -> dict[str, Pile]:
    """Return the deliveries among `rows`, which are in `states`, by state. Where there are more than `most`, any of the
    states may have more."""
    # What an index tells need not be looked up in the row.
    state = Delivery.state if len(states) > 1 else Value(states[0]).alias("state")
    some = rows.select(Delivery.id, state).limit(most + 1).alias("some")
    query = Delivery.select(SQL("state"), fn.COUNT(SQL("id")), fn.MIN(SQL("id"))).from_(some).group_by(SQL("state"))
    with unavailable():
        found = list(query.tuples())
    is_cut = sum(number for _, number, _ in found) > most
    piles = {state: Pile(number, time_of(oldest), is_cut) for state, number, oldest in found}
    return dict.fromkeys(states, Pile(is_cut=is_cut)) | piles
