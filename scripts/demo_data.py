"""A believable week of a service, for screenshots and for tests in a browser: webhooks in all conditions, what was
delivered to them, what is owed, and what people did about it. The events are those of scripts/trace_world."""

import hashlib
import itertools
import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from peewee import Model

from app.accounts import create_access_key, create_user, grant
from app.attempts import Attempt
from app.authentication import Caller
from app.database import insert_rows, write_transaction
from app.event_types import EVENT_TYPES, event_from
from app.event_types import Event as Published
from app.health import GONE_REASON, OPEN_AFTER
from app.ids import id_at
from app.job_request import REPLAY, RESEND, RESENDABLE, JobFilters
from app.jobs import CANCELLED, SUCCEEDED
from app.log_counts import count_logs
from app.log_stats import measure_logs
from app.matching import Webhook
from app.models import Delivery, Event, Job, WebhookLog
from app.models import Webhook as Stored
from app.operational import Detail, Disabled, Failing, Health, operational_event
from app.payloads import build_payload
from app.registry import raise_version
from app.services import Services
from app.webhooks import create_webhook
from scripts.demo_story import Sent, Story, Told
from scripts.demo_webhooks import DAY_MS, DEMOS, HOUR_MS, MINUTE_MS
from scripts.explain_owed import Row, row_of
from scripts.trace_world import World

DAYS = 7
ADMIN = Caller("admin", admin=True, scopes=frozenset(), platform=False)
MANAGER = "mobile-team"  # may manage the project `mobile`
MANAGER_PASSWORD = "a password for the demo"


class Known(NamedTuple):
    """The ids of what is worth looking at: webhooks by their names, an event that went to several of them, logs of a
    success and of a failure, and a job."""

    webhooks: dict[str, str]
    event: str
    success: str
    failure: str
    job: str


def fill(services: Services, now: int, events: int = 4_000) -> Known:
    """Fill the open, migrated database up to the time `now`, and say what is where."""
    chance = random.Random(1)
    ids = {demo.name: create_webhook(services, ADMIN, demo.fields, now - DAYS * DAY_MS) for demo in DEMOS}
    webhooks = {name: _as_matched(services, webhook_id) for name, webhook_id in ids.items()}
    _make_people(now)
    told, rows = _publish(services, chance, now, events)
    story = Story(services.registry.credentials, chance, now)
    sent = {demo.name: story.send(demo, webhooks[demo.name], told[ids[demo.name]]) for demo in DEMOS}
    troubles = [_trouble(services, webhooks[name], sent[name].attempts) for name in ("gone", "down", "failing")]
    about = [Told(row[0], row[1], row[7], row[-1]) for row in troubles]
    sent["alerts"] = story.send(next(demo for demo in DEMOS if demo.name == "alerts"), webhooks["alerts"], about)
    _store(Event, rows)
    _store(Event, troubles)
    _store(Delivery, [row for each in sent.values() for row in each.owed])
    _store(WebhookLog, sorted((a.log_row for each in sent.values() for a in each.attempts), key=lambda row: row[0]))
    _bring_into_condition(ids, sent, now)
    job = _make_jobs(ids, now)
    count_logs(now)
    measure_logs(now)
    return _known(ids, sent, job)


def _as_matched(services: Services, webhook_id: str) -> Webhook:
    webhook = services.registry.refresh().get(webhook_id)
    if webhook is None:
        raise LookupError(webhook_id)
    return webhook


def _make_people(now: int) -> None:
    create_user(MANAGER, MANAGER_PASSWORD, admin=False, now=now - DAYS * DAY_MS)
    create_user("release-bot", MANAGER_PASSWORD, admin=False, now=now - 3 * DAY_MS)
    grant(MANAGER, "mobile", "", now - DAYS * DAY_MS)
    grant("release-bot", "webfront", "npm-local", now - 3 * DAY_MS)
    create_access_key("artifact-server", ["event:publish"], now - DAYS * DAY_MS)


def _publish(
    services: Services, chance: random.Random, now: int, count: int
) -> tuple[Mapping[str, list[Told]], list[Row]]:
    """Return what each webhook is told, by its id, and the rows of the events."""
    index = services.registry.refresh()
    told: dict[str, list[Told]] = defaultdict(list)
    rows = []
    for event, at in zip(_events(count), _times(chance, now, count), strict=True):
        one = Told(str(event.event_id), event.type, build_payload(event, None).decode(), at)
        rows.append(_event_row(event, one))
        for webhook in index.match(event, one.payload):
            told[webhook.id].append(one)
    return told, rows


def _events(count: int) -> Iterator[Published]:
    for number, event in enumerate(itertools.islice(World(1).events(), count)):
        event_id = hashlib.sha256(str(number).encode()).hexdigest()[:32]
        yield event_from({**event, "eventId": event_id}, EVENT_TYPES)


def _times(chance: random.Random, now: int, count: int) -> list[int]:
    """Return times of a week up to a moment ago, more of them by day than by night."""
    found: list[int] = []
    while len(found) < count:
        at = now - chance.randrange(20_000, DAYS * DAY_MS)
        if chance.random() < 0.6 + 0.4 * math.sin((at % DAY_MS / DAY_MS - 0.3) * 2 * math.pi):
            found.append(at)
    return sorted(found)


def _event_row(event: Published, one: Told) -> Row:
    return row_of(
        Event,
        id=one.event_id,
        type=one.type,
        project_id=event.project_id,
        repo_name=event.repo_name,
        resource_key=event.resource_key,
        user_id=event.user_id,
        source=event.source,
        payload=one.payload,
        accepted_at=one.at,
    )


def _trouble(services: Services, webhook: Webhook, attempts: Sequence[Attempt]) -> Row:
    """Return the event that tells of the failures of a webhook, made by its last attempt."""
    last = attempts[-1]
    is_gone = last.webhook_gone
    failures, since = _failures(attempts)
    detail: Detail = Failing(failures=failures, last_error_msg=last.error, last_response_status=last.response_status)
    if is_gone:
        detail = Disabled(reason=GONE_REASON)
    health = Health(not is_gone, GONE_REASON if is_gone else None, failures, since)
    at = last.ended_at
    return operational_event(webhook, health, detail, event_id=id_at(at), zone=services.settings.timezone, now=at)


def _failures(attempts: Sequence[Attempt]) -> tuple[int, int]:
    """Return how many attempts have failed in a row up to the last, and when the first of them was."""
    in_time = sorted(attempts, key=lambda attempt: attempt.ended_at, reverse=True)
    failed = list(itertools.takewhile(lambda attempt: attempt.has_failed, in_time))
    return len(failed), failed[-1].ended_at


def _bring_into_condition(ids: Mapping[str, str], sent: Mapping[str, Sent], now: int) -> None:
    """Have the rows of webhooks say what their attempts have come to."""
    with write_transaction():
        for name in ("gone", "down", "failing"):
            failures, since = _failures(sent[name].attempts)
            last = max(attempt.ended_at for attempt in sent[name].attempts)
            _change(ids[name], failures=failures, failing_since=since, failed_at=last)
        _change(ids["gone"], enabled=False, disabled_reason=GONE_REASON, backlog=True)
        _change(ids["paused"], enabled=False, last_modified_at=now - 3 * DAY_MS)
        probes = max(0, _failures(sent["down"].attempts)[0] - OPEN_AFTER)
        _change(ids["down"], circuit_until=now + 4 * MINUTE_MS, failed_probes=probes, backlog=True)


def _change(webhook_id: str, **columns: Any) -> None:
    Stored.update(**columns, version=raise_version()).where(Stored.id == webhook_id).execute()


def _make_jobs(ids: Mapping[str, str], now: int) -> str:
    """Make jobs that have ended, and return the id of the last."""
    jobs = [
        _job(REPLAY, ids["mirror"], now - 3 * DAY_MS, total=212, done=208),
        _job(RESEND, ids["releases"], now - DAY_MS, total=1_480, done=600, state=CANCELLED),
        _job(RESEND, ids["search"], now - 2 * HOUR_MS, total=37, done=36),
    ]
    Job.insert_many(jobs, fields=Job._meta.sorted_fields).execute()
    return str(jobs[-1][0])


def _job(kind: str, webhook_id: str, at: int, *, total: int, done: int, state: str = SUCCEEDED) -> Row:
    states = RESENDABLE if kind == RESEND else ()
    return row_of(
        Job,
        id=id_at(at),
        kind=kind,
        webhook_id=webhook_id,
        state=state,
        filters=JobFilters(at - DAY_MS, at, None, states).text(),
        total=total,
        done=done,
        skipped=total - done if state == SUCCEEDED else 0,
        created_by=ADMIN.user_id,
        created_at=at,
        updated_at=at + 9_000,
        finished_at=at + 9_000,
    )


def _store(model: type[Model], rows: Sequence[Row], at_once: int = 5_000) -> None:
    for start in range(0, len(rows), at_once):
        with write_transaction():
            insert_rows(model, rows[start : start + at_once])


def _known(ids: dict[str, str], sent: Mapping[str, Sent], job: str) -> Known:
    went_to = Counter(attempt.due.event_id for each in sent.values() for attempt in each.attempts[-300:])
    event = max(went_to, key=lambda event_id: (went_to[event_id], event_id))
    return Known(ids, event, success=_last_log(sent["search"]), failure=_last_log(sent["failing"]), job=job)


def _last_log(sent: Sent) -> str:
    return str(sent.attempts[-1].log_row[0])
