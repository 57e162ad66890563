"""One event and the webhooks: which it went to and how that stands, and why it did not go to the others."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from app import models
from app.authentication import Caller
from app.delivery_status import CANCELLED, Tracked, deliveries_of, held_reason, manageable
from app.event_types import WEBHOOK_TEST
from app.match_reasons import Bystanders, bystanders
from app.models import DEAD, HELD, PENDING, SUCCESS, WAITING, Webhook

SHOWN = 200  # deliveries
UNSETTLED = (PENDING, HELD, WAITING)

_TROUBLE_FIRST = (DEAD, HELD, WAITING, PENDING, CANCELLED, SUCCESS)


class Reached(NamedTuple):
    """A delivery of the event, and its webhook, which may be deleted."""

    delivery: Tracked
    webhook: Webhook

    @property
    def held_reason(self) -> str | None:
        """Why it is held, None where it is not."""
        return held_reason(self.webhook) if self.delivery.state == HELD else None

    @property
    def is_in_hand(self) -> bool:
        """Whether it is in the queue or on its way at this moment."""
        row = self.delivery.row
        return row is not None and row.queued_at is not None

    @property
    def may_be_sent(self) -> bool:
        """Whether asking for it to be sent again changes anything."""
        is_waiting = self.delivery.state == WAITING or self.is_in_hand
        return self.webhook.deleted_at is None and bool(self.webhook.enabled) and not is_waiting


class Fanout(NamedTuple):
    """Where an event went, those in trouble first, 200 at most of as many as `states` counts; and who it passed by."""

    reached: list[Reached]
    states: Mapping[str, int]
    passed_by: Bystanders

    @property
    def is_settled(self) -> bool:
        """Whether nothing is under way any more."""
        return not any(state in self.states for state in UNSETTLED)


def fan_out(caller: Caller, event: models.Event) -> Fanout:
    """Return where an event went and where not, of the webhooks that `caller` may manage.

    A test goes to the webhook under test, and passes nobody by. Raises DatabaseUnavailable.
    """
    deliveries = deliveries_of(event)
    ids = {delivery.webhook_id for delivery in deliveries}
    webhooks = manageable(caller, ids)
    reached = [Reached(each, webhooks[each.webhook_id]) for each in deliveries if each.webhook_id in webhooks]
    reached.sort(key=lambda each: _TROUBLE_FIRST.index(each.delivery.state))
    states = Counter(each.delivery.state for each in reached)
    is_test = event.type == WEBHOOK_TEST
    return Fanout(reached[:SHOWN], states, Bystanders([], False) if is_test else bystanders(caller, event, ids))
