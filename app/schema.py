"""The tables' version: migrations that are missing, applying them, and refusing to work with another version's."""

from pathlib import Path
from typing import NamedTuple

from playhouse.migrations import Runner

from app.database import unavailable
from app.errors import OperatorError
from app.models import database

MIGRATIONS = Path(__file__).parent / "migrations"


class State(NamedTuple):
    """Migrations by name: those that are `missing` in the database, and those that this version does not know."""

    missing: list[str]
    unknown: list[str]


def state() -> State:
    """Return how the database stands to this version. Raises DatabaseUnavailable."""
    with unavailable():
        found = _runner().status()
    return State(
        missing=[known.name for known in found if not known.applied],
        unknown=[known.name for known in found if known.path is None],
    )


def migrate() -> list[str]:
    """Apply the migrations that are missing, under a lock, and return their names.

    Two processes may call it at once: the second waits, then finds nothing to do. Raises OperatorError where the
    database belongs to a newer version, DatabaseUnavailable where it can't be used.
    """
    with unavailable(), database.migration_lock():
        _refuse_newer(state())
        return list(_runner().up())


def require_current() -> None:
    """Raise OperatorError where the tables are older or newer than this version."""
    found = state()
    _refuse_newer(found)
    if found.missing:
        raise OperatorError(f"the database lacks {', '.join(found.missing)}: run hookline migrate")


def _refuse_newer(found: State) -> None:
    if found.unknown:
        raise OperatorError(f"the database belongs to a newer version: it has {', '.join(found.unknown)}")


def _runner() -> Runner:
    return Runner(database.obj, str(MIGRATIONS))
