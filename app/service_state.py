"""How the service stands, for whoever watches it: what is owed, overdue and in trouble, and who is running.

Each number comes of an index, and is counted up to a bound.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from peewee import SQL, Case, fn

from app.database import unavailable
from app.jobs import UNFINISHED
from app.models import Delivery, Job, Webhook
from app.outstanding import Outstanding, outstanding
from app.presence import ROLES, Process, running_processes, scheduler_lease
from app.statistics import EVERYTHING

MOST = 10_000

ALIVE = "alive"
SILENT = "silent"


class Retries(NamedTuple):
    """Deliveries that are not in the queue: how many are due, and how many will be; 10,000 at most."""

    due: int
    scheduled: int


class Roles(NamedTuple):
    """The processes by role and by whether they are alive, and the age of the last sign of life of each role."""

    processes: Mapping[tuple[str, str], int]
    age_ms: Mapping[str, int]


class ServiceState(NamedTuple):
    """What is in the database. `overdue_ms` is how long the delivery that has been due longest has waited."""

    outstanding: Outstanding
    retries: Retries
    overdue_ms: int
    webhooks: Mapping[str, int]
    jobs: int
    roles: Roles
    leader: bool
    epoch: int


def service_state(now: int) -> ServiceState:
    """Return how the service stands. Raises DatabaseUnavailable."""
    lease = scheduler_lease()
    roles = roles_of(running_processes())
    return ServiceState(
        outstanding=outstanding(EVERYTHING),
        retries=_retries(now),
        overdue_ms=_overdue_ms(now),
        webhooks=_webhooks(),
        jobs=_number(Job.select(Job.id).where(Job.state.in_(UNFINISHED))),
        roles=roles,
        leader=lease is not None and lease.is_held,
        epoch=0 if lease is None else lease.epoch,
    )


def roles_of(found: list[Process]) -> Roles:
    """Return the running processes by role. One that is all of them counts for each. Pure."""
    numbers = Counter({(role, state): 0 for role in ROLES for state in (ALIVE, SILENT)})
    ages: dict[str, int] = {}
    for process in found:
        for role in ROLES:
            if process.has_role(role):
                numbers[role, ALIVE if process.is_alive else SILENT] += 1
                ages[role] = min(ages.get(role, process.silent_ms), process.silent_ms)
    return Roles(numbers, ages)


def _retries(now: int) -> Retries:
    idle = Delivery.select(Delivery.id).where(Delivery.queued_at.is_null())
    return Retries(
        due=_number(idle.where(Delivery.next_attempt_at > 0, Delivery.next_attempt_at <= now)),
        scheduled=_number(idle.where(Delivery.next_attempt_at > now)),
    )


def _overdue_ms(now: int) -> int:
    """Return how long the delivery has waited that was enqueued first, or is due longest and not in the queue."""
    queued = Delivery.select(fn.MIN(Delivery.queued_at)).where(Delivery.queued_at > 0)
    idle = Delivery.select(fn.MIN(Delivery.next_attempt_at)).where(
        Delivery.queued_at.is_null(), Delivery.next_attempt_at > 0
    )
    with unavailable():
        times = [found for query in (queued, idle) if (found := query.scalar()) is not None]
    return max(0, now - min(times, default=now))


def _webhooks() -> dict[str, int]:
    """Return how many webhooks are in each kind of trouble, of the first 10,000 that are in any."""
    kinds = {
        "circuit_open": Webhook.circuit_until.is_null(False),
        "disabled": ~Webhook.enabled & Webhook.disabled_reason.is_null(False),
        "backlog": Webhook.enabled & Webhook.circuit_until.is_null(),
    }
    flags = [Case(None, [(condition, 1)], 0).alias(name) for name, condition in kinds.items()]
    # Compared, because SQLite takes the bare column for no condition that an index serves.
    some = Webhook.select(*flags).where(Webhook.backlog == 1, Webhook.deleted_at.is_null()).limit(MOST).alias("some")
    sums = Webhook.select(*(fn.COALESCE(fn.SUM(SQL(name)), 0) for name in kinds)).from_(some)
    with unavailable():
        [row] = sums.tuples()
    failing = _number(Webhook.select(Webhook.id).where(Webhook.failures > 0, Webhook.deleted_at.is_null()))
    return {**dict(zip(kinds, map(int, row), strict=True)), "failing": failing}


def _number(rows: Any) -> int:
    with unavailable():
        return int(rows.limit(MOST).count())
