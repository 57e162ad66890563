"""The deliveries of scripts/demo_data: attempts are made as the service makes them, but in times that have passed, and
without a network."""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from app.attempts import Attempt, Due, Policy, judge, request_for
from app.exchange import Outcome
from app.ids import id_at
from app.matching import Webhook
from app.models import DEAD, HELD, PENDING, Delivery
from app.registry import Credentials
from config.settings import parse_duration_ms
from scripts.demo_webhooks import SCHEDULE, TIME_OUT_MS, Answer, Demo, unavailable
from scripts.explain_owed import Row, row_of

PROBES = 40


class Told(NamedTuple):
    """An event that goes to a webhook."""

    event_id: str
    type: str
    payload: str
    at: int


class Sent(NamedTuple):
    """What has become of the deliveries of a webhook: the rows of those that are owed, and all attempts."""

    owed: list[Row]
    attempts: list[Attempt]


class Story:
    """Makes attempts, up to the time `now`."""

    def __init__(self, credentials: Callable[[Webhook], Credentials], chance: random.Random, now: int) -> None:
        self._credentials = credentials
        self._chance = chance
        self._now = now
        self._policy = Policy([parse_duration_ms(delay) for delay in SCHEDULE], TIME_OUT_MS)

    def send(self, demo: Demo, webhook: Webhook, told: Sequence[Told]) -> Sent:
        """Return what becomes of what a webhook was told, oldest first."""
        sent = Sent([], [])
        heard = [one for one in told if one.at < self._now - demo.stopped_ms]
        well = heard[: len(heard) - demo.down_for]
        for number, one in enumerate(well):
            self._deliver(demo, webhook, one, len(well) - number, sent=sent)
        self._hold(webhook, heard[len(well) :], sent)
        return sent

    def _deliver(self, demo: Demo, webhook: Webhook, one: Told, left: int, *, sent: Sent) -> None:
        due = _due(webhook, one)
        at: int | None = one.at + self._chance.randrange(3, 9)
        while at is not None and at < self._now:
            attempt = self._attempt(webhook, due, at, demo.behave(self._chance, left))
            sent.attempts.append(attempt)
            due, at = due._replace(attempt=due.attempt + 1), attempt.next_attempt_at
            if attempt.webhook_gone:
                at = None
        if at is not None:
            sent.owed.append(_owed(due, one.at, PENDING, next_attempt_at=at))
        elif sent.attempts[-1].has_failed:
            sent.owed.append(_owed(due, one.at, DEAD))

    def _hold(self, webhook: Webhook, told: Sequence[Told], sent: Sent) -> None:
        """Have the circuit be open: all are held but for a probe now and then, and those that it has tried in vain are
        given up."""
        dues = [_due(webhook, one) for one in told]
        given_up = 0
        since = told[0].at + 10 if told else self._now
        for at in range(since, self._now, (self._now - since) // PROBES + 1):
            if told[given_up].at > at:
                continue
            probe = dues[given_up]
            sent.attempts.append(self._attempt(webhook, probe, at, unavailable(self._chance, 0)))
            dues[given_up] = probe._replace(attempt=probe.attempt + 1)
            given_up += probe.attempt == len(SCHEDULE)
        states = [DEAD] * given_up + [HELD] * (len(dues) - given_up)
        sent.owed.extend(_owed(due, one.at, state) for due, one, state in zip(dues, told, states, strict=True))

    def _attempt(self, webhook: Webhook, due: Due, at: int, answer: Answer) -> Attempt:
        request = request_for(due, webhook, self._credentials(webhook), at, TIME_OUT_MS)
        headers = {"server": "nginx", "content-type": "application/json", "content-length": str(len(answer.body))}
        outcome = Outcome(
            status=answer.status,
            headers=headers if answer.status else {},
            body=answer.body.encode(),
            error=answer.error,
            started_at=at,
            duration_ms=answer.duration_ms,
            timing=self._timing(answer),
        )
        return judge(due, request, outcome, self._policy, now=at + answer.duration_ms)

    def _timing(self, answer: Answer) -> str:
        total = answer.duration_ms * 1_000 - self._chance.randrange(500)
        if self._chance.random() < 0.7:  # on a connection that was there
            phases = {"dns": 20, "connect": 0, "tls": 0}
        else:
            phases = {"dns": total // 12, "connect": total // 6, "tls": total // 3}
        first = None if answer.status is None else total - self._chance.randrange(300)
        return json.dumps({**phases, "firstByte": first, "total": total})


def _due(webhook: Webhook, one: Told) -> Due:
    return Due(id_at(one.at + 1), webhook.id, one.event_id, 0, one.type, one.payload, None)


def _owed(due: Due, at: int, state: str, **columns: Any) -> Row:
    place = {"id": due.id, "webhook_id": due.webhook_id, "event_id": due.event_id}
    return row_of(Delivery, **place, state=state, attempt=due.attempt, created_at=at, **columns)
