"""Can this process work: does the database answer and have the right tables, does Redis answer.

Each check is named and says in a few words what is wrong, without internals: whoever asks has no credentials.
"""

from collections.abc import Collection, Mapping
from concurrent.futures import Future
from time import monotonic
from typing import NamedTuple

import peewee

from app.bounded import Bounded
from app.database import unavailable
from app.errors import ServiceUnavailable
from app.models import database
from app.presence import running_processes
from app.queue import DELIVERIES, Broker
from app.schema import state
from app.service_state import roles_of

PATIENCE_S = 2.0

DATABASE, MIGRATIONS, REDIS = "database", "migrations", "redis"
CHECKS = (DATABASE, MIGRATIONS, REDIS)
SILENCE = "it does not answer"


class Check(NamedTuple):
    """What came of a check: `reason` is None where all is well."""

    reason: str | None = None

    @property
    def shown(self) -> dict[str, str]:
        """For people and probes."""
        return {"status": "ok"} if self.reason is None else {"status": "failed", "reason": self.reason}


Checks = dict[str, Check]

_TABLES = Bounded[Checks]("ready-database")
_REDIS = Bounded[Checks]("ready-redis")
_ROLES = Bounded[dict[str, dict[str, object]]]("ready-processes")


def readiness(broker: Broker, *, redis: bool, exclude: Collection[str] = ()) -> Checks:
    """Return the checks but for those in `exclude`, two seconds later at most. `redis` says whether it is used."""
    until = monotonic() + PATIENCE_S
    asked: list[tuple[tuple[str, ...], Future[Checks]]] = []
    if not {DATABASE, MIGRATIONS}.issubset(exclude):
        asked.append(((DATABASE, MIGRATIONS), _TABLES.begin(_tables)))
    if redis and REDIS not in exclude:
        asked.append(((REDIS,), _REDIS.begin(lambda: _redis(broker))))
    found: Checks = {}
    for names, answer in asked:
        try:
            found |= answer.result(max(0.0, until - monotonic()))
        except TimeoutError:
            found |= dict.fromkeys(names, Check(f"no answer within {PATIENCE_S:g} s"))
    return {name: check for name, check in found.items() if name not in exclude}


def heartbeats() -> Mapping[str, Mapping[str, object]] | None:
    """Return by role how many processes are alive and silent, and the age of the last sign of life in seconds.

    None where the database does not say within two seconds.
    """
    try:
        return _ROLES.begin(_roles).result(PATIENCE_S)
    except (ServiceUnavailable, peewee.DatabaseError, TimeoutError):
        return None


def _roles() -> dict[str, dict[str, object]]:
    found = roles_of(running_processes())
    shown: dict[str, dict[str, object]] = {}
    for (role, kind), number in found.processes.items():
        shown.setdefault(role, {})[kind] = number
    for role, numbers in shown.items():
        age_ms = found.age_ms.get(role)
        numbers["lastSeenSeconds"] = None if age_ms is None else age_ms / 1000
    return shown


def _tables() -> Checks:
    try:
        with unavailable():
            database.execute_sql("SELECT 1").fetchone()
    except (ServiceUnavailable, peewee.DatabaseError):
        return dict.fromkeys((DATABASE, MIGRATIONS), Check(SILENCE))
    try:
        found = state()
    except (ServiceUnavailable, peewee.DatabaseError):
        return {DATABASE: Check(), MIGRATIONS: Check("they can't be read")}
    if found.unknown:
        return {DATABASE: Check(), MIGRATIONS: Check("the database is of a newer version")}
    if found.missing:
        return {DATABASE: Check(), MIGRATIONS: Check(f"missing: {len(found.missing)} (run hookline migrate)")}
    return {DATABASE: Check(), MIGRATIONS: Check()}


def _redis(broker: Broker) -> Checks:
    try:
        broker.waiting(DELIVERIES)
    except ServiceUnavailable:
        return {REDIS: Check(SILENCE)}
    return {REDIS: Check()}
