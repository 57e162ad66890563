"""The directory in which the processes of a machine share their figures, and each one's place there.

A place has a name such as `worker-0` and a lock that its process holds as long as it lives. Who comes next takes the
place over and counts on, so counters never fall because a process ends, and there are never more files than there were
processes at once. Where nobody lives any more, whoever comes first begins anew.
"""

import fcntl
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

RESERVED = 512 * 1024  # bytes of each file; all that is counted takes less than half of it

_DOOR = "directory.lock"
_KINDS = ("counter", "histogram", "gauge_livesum")  # what prometheus_client names its files after
_LOCKS = "*-*.lock"


class Slot:
    """A place in `directory`, held until `release` or the end of the process. Raises OSError."""

    def __init__(self, directory: Path, role: str) -> None:
        self.directory = directory.absolute()
        self.directory.mkdir(parents=True, exist_ok=True)
        with _door(self.directory):
            if not any(_is_held(lock) for lock in self.directory.glob(_LOCKS)):
                for stale in self.directory.glob("*.db"):
                    stale.unlink()
            self.name, self._lock = self._take(role)
            _forget_gauges(self.directory, self.name)
            self._reserve()

    def _take(self, role: str) -> tuple[str, IO[str]]:
        for number in itertools.count():
            name = f"{role}-{number}"
            lock = (self.directory / f"{name}.lock").open("w")
            if _try(lock):
                return name, lock
            lock.close()
        raise AssertionError

    def _reserve(self) -> None:
        """Have the disk keep room for the files: one that is full would end the process when it counts (SIGBUS)."""
        for kind in _KINDS:
            with (self.directory / f"{kind}_{self.name}.db").open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, RESERVED)

    def drop_dead(self) -> None:
        """Remove what processes that have ended said of their present."""
        with _door(self.directory):
            for lock in self.directory.glob(_LOCKS):
                if not _is_held(lock):
                    _forget_gauges(self.directory, lock.stem)

    def release(self) -> None:
        """Give the place up, and what was said of the present."""
        _forget_gauges(self.directory, self.name)
        self._lock.close()


@contextmanager
def _door(directory: Path) -> Iterator[None]:
    """Let one process at a time look for a place."""
    with (directory / _DOOR).open("w") as door:
        fcntl.flock(door, fcntl.LOCK_EX)
        yield


def _try(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_held(path: Path) -> bool:
    with path.open("w") as lock:
        return not _try(lock)


def _forget_gauges(directory: Path, name: str) -> None:
    for file in directory.glob(f"gauge_live*_{name}.db"):
        file.unlink(missing_ok=True)
