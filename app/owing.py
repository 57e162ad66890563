"""What one transaction adds to the outbox: a row for each webhook that an event goes to."""

from typing import NamedTuple

from app.database import insert_rows
from app.ids import new_id
from app.matching import Webhook
from app.models import HELD, PENDING, WAITING, Delivery
from app.ordering import busy_keys, order_key, take_positions


class _Row(NamedTuple):
    """A row of models.Delivery, in the order of its fields."""

    id: str
    webhook_id: str
    event_id: str
    state: str
    attempt: int
    next_attempt_at: int | None
    queued_at: int | None
    created_at: int
    earlier_attempts: int
    order_key: str | None
    position: int | None


class Subject(NamedTuple):
    """What a delivery needs to know of its event."""

    event_id: str
    project_id: str | None
    repo_name: str | None
    resource_key: str | None


class Owing:
    """Deliveries to be inserted. `hints` are those whose messages are to be enqueued after the commit.

    A delivery to a webhook that can't be sent to now is HELD from the first, and one behind another of its key WAITING:
    a webhook that is down leaves nothing in the queue.
    """

    def __init__(self, now: int, *, hinted: bool) -> None:
        self._now = now
        self._queued_at = now if hinted else None
        self._rows: list[_Row] = []
        self._ordered: list[_Row] = []
        self.hints: list[str] = []

    @property
    def is_ordered(self) -> bool:
        """Whether some need a position, which `insert` gives them."""
        return bool(self._ordered)

    @property
    def rows(self) -> list[_Row]:
        """The rows that need none, in the order of the model's fields."""
        return self._rows

    def add(self, webhook: Webhook, subject: Subject, delivery_id: str = "", created_at: int | None = None) -> None:
        """Owe an event to a webhook, since `created_at` (now, where that is not given)."""
        delivery_id = delivery_id or new_id()
        queued_at, state = self._queued_at, PENDING
        due: int | None = self._now
        made = self._now if created_at is None else created_at
        if webhook.backlog or webhook.is_open:
            state, due, queued_at = HELD, None, None
        row = _Row(delivery_id, webhook.id, subject.event_id, state, 0, due, queued_at, made, 0, None, None)
        if webhook.ordering != "none":
            key = order_key(webhook.ordering, webhook.id, *subject[1:])
            self._ordered.append(row._replace(order_key=key))
            return
        self._rows.append(row)
        if queued_at is not None:
            self.hints.append(delivery_id)

    def insert(self) -> None:
        """Insert all, in the order in which they were added; call it in a transaction."""
        insert_rows(Delivery, [*self._rows, *self._in_order()])

    def _in_order(self) -> list[_Row]:
        """Give ordered deliveries their positions, and have those behind another wait."""
        if not self._ordered:
            return []
        following = take_positions({row.webhook_id for row in self._ordered}, len(self._ordered))
        busy = busy_keys({row.order_key or "" for row in self._ordered})
        placed: list[_Row] = []
        for number, row in enumerate(self._ordered):
            row = row._replace(position=following[row.webhook_id] + number)
            if row.order_key in busy:
                row = row._replace(state=WAITING, next_attempt_at=None, queued_at=None)
            elif row.queued_at is not None:
                self.hints.append(row.id)
            busy.add(row.order_key or "")
            placed.append(row)
        return placed
