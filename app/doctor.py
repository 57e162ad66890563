"""`hookline doctor`: is what this machine's service needs there and right, and how to mend what is not.

A check is a function of the settings that returns a Finding, or raises an error whose text says what is wrong. It runs
in a thread of its own for some seconds at most: a server that hangs is a finding, too. Checks change nothing.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLong
from typing import NamedTuple

from app.models import database
from config.settings import Settings

GOOD = "ok"
DOUBTFUL = "warning"
BROKEN = "failed"

PATIENCE_S = 10.0


class Finding(NamedTuple):
    """What a check found, and what to do where that is not GOOD."""

    state: str
    text: str
    remedy: str | None = None


class Check(NamedTuple):
    """A check, and the remedy where it raises. `needs` names another without which it can't be made."""

    name: str
    run: Callable[[Settings], Finding | None]  # None where it is not for this installation
    remedy: str
    needs: str | None = None


class Result(NamedTuple):
    """The finding of the check of that name. None where it was left out, because what it needs is not good."""

    name: str
    finding: Finding | None


def good(text: str) -> Finding:
    """Return that all is well."""
    return Finding(GOOD, text)


def doubtful(text: str, remedy: str) -> Finding:
    """Return that something may be wrong."""
    return Finding(DOUBTFUL, text, remedy)


def broken(text: str, remedy: str) -> Finding:
    """Return that something is wrong."""
    return Finding(BROKEN, text, remedy)


def examine(checks: Sequence[Check], settings: Settings, patience_s: float = PATIENCE_S) -> Iterator[Result]:
    """Make the checks in their order and yield what each finds."""
    absent: set[str] = set()
    unmet: set[str] = set()
    for check in checks:
        if check.needs in unmet:
            unmet.add(check.name)
            yield Result(check.name, None)
        elif check.needs in absent or (finding := _made(check, settings, patience_s)) is None:
            absent.add(check.name)
        else:
            if finding.state != GOOD:
                unmet.add(check.name)
            yield Result(check.name, finding)


def _made(check: Check, settings: Settings, patience_s: float) -> Finding | None:
    found: Future[Finding | None] = Future()

    def run() -> None:
        found.set_result(_found(check, settings))
        if database.obj is not None:
            database.close()  # connections belong to threads

    threading.Thread(target=run, name=f"doctor-{check.name}", daemon=True).start()
    try:
        return found.result(patience_s)
    except TooLong:
        return broken(f"no answer within {patience_s:g} s", check.remedy)


def _found(check: Check, settings: Settings) -> Finding | None:
    try:
        return check.run(settings)
    except Exception as error:  # whatever it is, the other checks are made
        return broken(" ".join(str(error).split()) or type(error).__name__, check.remedy)
