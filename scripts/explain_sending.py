"""What the worker and the scheduler call."""

from collections.abc import Sequence
from typing import Any

from app import ordering, outbox
from app.attempts import Attempt, Due, Policy, judge
from app.exchange import Outcome, Request
from app.feeder import FEED_MS, Feeder
from app.jobs import work
from app.log_counts import count_logs
from app.log_stats import measure_logs
from app.models import HELD, PENDING, Delivery, Webhook
from app.retention import prune
from app.services import Services
from app.strays import recover_strays
from scripts.explain_call import Call
from scripts.explain_owed import DAYS, FAILING, KINDS, OPEN, ORDERED, webhook_id
from workers.lease import Lease


def worker(services: Services, now: int) -> list[Call]:
    """Return what the worker does with a message, and with an attempt that has ended."""
    first = _queued(Delivery.attempt == 0, Delivery.order_key.is_null())
    dues = outbox.load(first).dues
    heads = outbox.load(_queued(Delivery.order_key.is_null(False))).dues
    head = next(due for due in heads if due.webhook_id == webhook_id(ORDERED))
    behind = [due for each in heads for due in outbox.load_behind(each, 2)]
    probed = Webhook.get_by_id(webhook_id(OPEN + KINDS))
    held = Delivery.select(Delivery.id).where(Delivery.webhook_id == probed.id, Delivery.state == HELD).limit(20)
    stopped = [probed.probe, *(delivery_id for (delivery_id,) in held.tuples())]
    return [
        Call("Load deliveries", lambda: outbox.load(first)),
        Call("Have ordered deliveries wait for their turn", lambda: ordering.in_turn([*heads, *behind])),
        Call("Load what comes after an ordered delivery", lambda: outbox.load_behind(head, 16)),
        Call(
            "Hold deliveries of webhooks that can't be sent to, one of them a probe",
            lambda: outbox.hold([*stopped, *first[100:120]], {probed.id, *(due.webhook_id for due in dues)}, now),
        ),
        Call("Put deliveries back", lambda: outbox.put_back(first[120:140], now)),
        Call("Cancel deliveries of deleted webhooks", lambda: outbox.cancel(first[140:160])),
        *_recording(services, dues, head, now),
    ]


def _recording(services: Services, dues: Sequence[Due], head: Due, now: int) -> list[Call]:
    recorder = services.recorder
    failing, failed = webhook_id(FAILING), webhook_id(FAILING + KINDS)
    succeeded = [_attempt(due, 200, now) for due in dues[:50]]
    # The webhook has failures on record of which the recorder doesn't know: it is found when that looks round.
    unaware = _attempt(dues[50]._replace(webhook_id=failed), 200, now)
    opening = [_attempt(due, 500, now) for due in (*dues[51:60], dues[60]._replace(webhook_id=failing))]
    closing = _attempt(dues[61]._replace(webhook_id=failing, attempt=1), 200, now)
    given_up = [_attempt(dues[62], 410, now)]
    ended, turns = [_attempt(head, 200, now)], list[str]()
    return [
        Call("Record first attempts that succeed", lambda: recorder.record([*succeeded, unaware], now)),
        Call("Look round: a success of ours has ended a webhook's failures", lambda: recorder.look_round(now)),
        Call("Record failures, and open a circuit", lambda: recorder.record(opening, now)),
        Call("Record a success, and close a circuit", lambda: recorder.record([closing], now)),
        Call("Give a delivery up, and disable its webhook", lambda: recorder.record(given_up, now)),
        Call("Record an ordered success, and pass on", lambda: turns.extend(recorder.record(ended, now))),
        Call("Take a turn without a message", lambda: outbox.load(turns, by_turn=True)),
        Call("Keep a turn", lambda: outbox.keep_turns(turns, now)),
        Call("Leave a turn to whoever gets its message", lambda: outbox.enqueue_turns(services.broker, turns, now)),
        Call("Record what may be on record", lambda: recorder.record(succeeded, now, in_doubt=True)),
    ]


def _queued(*conditions: Any) -> list[str]:
    """Return deliveries that are in the queue, but for those whose message is lost."""
    queued = Delivery.select(Delivery.id).where(Delivery.state == PENDING, Delivery.queued_at > 0, *conditions)
    return [delivery_id for (delivery_id,) in queued.order_by(Delivery.id).limit(300).tuples()]


def _attempt(due: Due, status: int, now: int) -> Attempt:
    outcome = Outcome(status, {}, b"", None, now, 20)
    return judge(due, Request("https://a.example/", {}, b"", 1_000), outcome, Policy((5_000,), 1_000), now=now)


def scheduler(services: Services, now: int) -> list[Call]:
    """Return what the scheduler does; pruning comes last."""
    lease = Lease("scheduler")
    return [
        Call("Take or renew the lease", lease.take),
        Call("Give the lease up", lease.release),
        Call("Claim deliveries that are due", lambda: outbox.claim_due(now, 1_000)),
        Call("Claim deliveries whose message is lost", lambda: outbox.claim_lost(now - 100_000, now, 1_000)),
        Call("Feed held deliveries", lambda: _feed_twice(services, now)),
        Call("Recover deliveries that nobody sees to", lambda: recover_strays(now)),
        Call("Work off jobs", lambda: work(services, now)),
        Call("Count logs", lambda: count_logs(now + 600_000)),
        Call("Add up logs by status and duration", lambda: measure_logs(now + 600_000)),
        Call("Prune logs, counts, jobs, events and deleted webhooks", lambda: prune(DAYS - 1, now, lambda _: None)),
    ]


def _feed_twice(services: Services, now: int) -> None:
    """Feed, and look what became of that."""
    feeder = Feeder()
    feeder.feed(services.broker, now)
    feeder.feed(services.broker, now + FEED_MS)
