"""A webhook's health: its failures in a row, its circuit, and when it is disabled.

Failures are counted in the transaction that records the attempts, so every worker counts on the same row. A success
writes nothing, unless there are failures to end.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from peewee import fn

from app.attempts import Attempt
from app.database import execute_many
from app.models import FAIL, SUCCESS, Webhook
from app.operational import Detail, Disabled, Failing, Health, Recovered
from app.registry import raise_version

FAILING_AFTER = 5
OPEN_AFTER = 10
# Probes follow the retry schedule, but never so far apart: a receiver that is back should not have to wait for hours.
LONGEST_PROBE_MS = 300_000

GONE_REASON = "the receiver answered 410 Gone"
SILENT_REASON = "no delivery has succeeded for {days} days"
DAY_MS = 86_400_000

_FAILED = """
    UPDATE webhook SET failures = failures + ?, failing_since = COALESCE(failing_since, ?), failed_at = ? WHERE id = ?
"""


class Limits(NamedTuple):
    """How long to put up with a failing webhook. Times are milliseconds."""

    schedule_ms: Sequence[int]
    disable_after_ms: int


class Tally(NamedTuple):
    """What a batch of attempts says of one webhook: whether one succeeded, and the failures after the last that did."""

    webhook_id: str
    has_succeeded: bool
    failed: list[Attempt]


class State(NamedTuple):
    """The columns of a webhook that its health is made of."""

    id: str
    enabled: bool
    failures: int
    failing_since: int | None
    circuit_until: int | None
    failed_probes: int
    probe: str | None
    disabled_reason: str | None

    @property
    def health(self) -> Health:
        """What operational events show of it."""
        return Health(bool(self.enabled), self.disabled_reason, self.failures, self.failing_since)


class Transition(NamedTuple):
    """A change in a webhook's state that others may want to hear of."""

    webhook_id: str
    health: Health
    detail: Detail


def tally(attempts: Iterable[Attempt]) -> list[Tally]:
    """Return what `attempts`, in their order, say of each webhook, by its id. Pure.

    An attempt whose payload could not be built says nothing of the receiver.
    """
    found: dict[str, Tally] = {}
    for attempt in attempts:
        webhook_id = attempt.due.webhook_id
        if attempt.status == SUCCESS:
            found[webhook_id] = Tally(webhook_id, True, [])
        elif attempt.status == FAIL:
            found.setdefault(webhook_id, Tally(webhook_id, False, [])).failed.append(attempt)
    return [found[webhook_id] for webhook_id in sorted(found)]


def judge(state: State, seen: Tally, limits: Limits, now: int) -> tuple[dict[str, Any], list[Transition]]:
    """Return what changes in a webhook whose row, as in `state`, counts the failures of `seen`. Pure."""
    changes: dict[str, Any] = {}
    transitions: list[Transition] = []
    if state.failures - len(seen.failed) < FAILING_AFTER <= state.failures:
        last = seen.failed[-1]
        told = Failing(failures=state.failures, last_error_msg=last.error, last_response_status=last.response_status)
        transitions.append(Transition(state.id, state.health, told))
    probe_failed = state.probe is not None and any(attempt.due.id == state.probe for attempt in seen.failed)
    if probe_failed or (state.circuit_until is None and state.failures >= OPEN_AFTER):
        probes = state.failed_probes + probe_failed
        until = now + probe_delay_ms(limits.schedule_ms, probes)
        changes |= {"circuit_until": until, "failed_probes": probes, "probe": None, "backlog": True}
    is_silent = state.failing_since is not None and state.failing_since <= now - limits.disable_after_ms
    is_gone = any(attempt.webhook_gone for attempt in seen.failed)
    if state.enabled and (is_gone or is_silent):
        reason = GONE_REASON if is_gone else SILENT_REASON.format(days=f"{limits.disable_after_ms / DAY_MS:g}")
        changes |= {"enabled": False, "disabled_reason": reason, "backlog": True}
        health = state.health._replace(enabled=False, disabled_reason=reason)
        transitions.append(Transition(state.id, health, Disabled(reason=reason)))
    return changes, transitions


def probe_delay_ms(schedule_ms: Sequence[int], failed_probes: int) -> int:
    """Return how long an open circuit waits for its next probe. Pure."""
    return min(schedule_ms[min(failed_probes, len(schedule_ms) - 1)], LONGEST_PROBE_MS)


def free_probes(delivery_ids: Collection[str], webhook_ids: Collection[str], now: int) -> None:
    """Let another delivery be the probe where one of these is, and could not be sent; call it in a transaction."""
    spoilt = Webhook.select(Webhook.id).where(
        Webhook.id.in_(list(webhook_ids)), Webhook.probe.in_(list(delivery_ids)), Webhook.circuit_until.is_null(False)
    )
    ids = [webhook_id for (webhook_id,) in spoilt.tuples()]
    if ids:
        changes = {"probe": None, "circuit_until": now, "version": raise_version()}
        Webhook.update(**changes).where(Webhook.id.in_(ids)).execute()


def count_failures(tallies: Sequence[Tally], limits: Limits, now: int) -> list[Transition]:
    """Count the failures of `tallies`, open circuits, disable; call it in the transaction that records them."""
    failing = {seen.webhook_id: seen for seen in tallies if seen.failed}
    execute_many(_FAILED, [_failures_of(seen) for seen in failing.values()])
    transitions: list[Transition] = []
    for state in states(failing):
        changes, found = judge(state, failing[state.id], limits, now)
        if changes:
            Webhook.update(**changes, version=raise_version()).where(Webhook.id == state.id).execute()
        transitions += found
    return transitions


def end_failures(webhook_ids: Collection[str], now: int) -> list[Transition]:
    """End the failures of webhooks that have had a success, and close their circuits; call it in a transaction."""
    transitions: list[Transition] = []
    for state in states(webhook_ids):
        if not state.failures:
            continue
        changes: dict[str, Any] = {"failures": 0, "failing_since": None, "failed_at": None}
        if state.circuit_until is not None:
            changes |= {"circuit_until": None, "failed_probes": 0, "probe": None, "version": raise_version()}
        # COALESCE keeps a database from locking all that have failed as often, where the id leads to the one.
        is_as_read = (Webhook.id == state.id) & (fn.COALESCE(Webhook.failures, 0) == state.failures)
        if Webhook.update(**changes).where(is_as_read).execute() and state.failures >= FAILING_AFTER:
            told = Recovered(failed_for=now - (state.failing_since or now))
            transitions.append(Transition(state.id, state.health._replace(failures=0, failing_since=None), told))
    return transitions


def failing_webhooks() -> dict[str, int]:
    """Return the webhooks with failures on record, and when each failed last."""
    found = Webhook.select(Webhook.id, Webhook.failed_at).where(Webhook.failures > 0)
    return {webhook_id: failed_at or 0 for webhook_id, failed_at in found.tuples()}


def _failures_of(seen: Tally) -> tuple[int, int, int, str]:
    ended = [attempt.ended_at for attempt in seen.failed]
    return len(ended), min(ended), max(ended), seen.webhook_id


def states(webhook_ids: Collection[str]) -> list[State]:
    """Return the health of webhooks, in the order of their ids."""
    if not webhook_ids:
        return []
    columns = [getattr(Webhook, name) for name in State._fields]
    found = Webhook.select(*columns).where(Webhook.id.in_(list(webhook_ids))).order_by(Webhook.id)
    return [State(*row) for row in found.tuples()]
