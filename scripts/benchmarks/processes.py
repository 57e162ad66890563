"""Processes that a run starts: told and asked by lines, watched through /proc, and ended with it whatever happens."""

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
STOP_PATIENCE_S = 5.0
READY_PATIENCE_S = 30.0
LOG_LINES = 12
KEPT = {"PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH"}
HELD_BACK = signal.SIGINT, signal.SIGTERM, signal.SIGALRM

_unended: set["subprocess.Popen[Any]"] = set()


class BenchError(Exception):
    """A run can't be made, or did not do what it should; the text says it in one or a few lines."""


class Family:
    """A process and those that descend from it, seen through /proc."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def cpu_s(self) -> float:
        """Return the CPU time that they have taken, those that have ended included, in seconds."""
        return sum(_cpu_s(pid) for pid in family(self.pid))

    def rss_mb(self) -> float:
        """Return the resident memory of those that are there, in MB of 10^6 bytes; what they share counts twice."""
        return sum(_rss_bytes(pid) for pid in family(self.pid)) / 1e6


class Process(Family):
    """A program with its children, in a process group of its own; what it prints goes to the file `log`."""

    def __init__(self, command: Sequence[str | Path], log: Path, environ: Mapping[str, str] | None = None) -> None:
        self.log = log
        self.name = Path(command[0]).name
        with log.open("ab") as output, undisturbed():
            self._popen: subprocess.Popen[bytes] = subprocess.Popen(
                [str(word) for word in command],
                cwd=ROOT,
                env=plain_environ(environ or {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            _unended.add(self._popen)
        super().__init__(self._popen.pid)

    def check_alive(self) -> None:
        """Raise BenchError, with the end of its log, where the program has ended."""
        if self._popen.poll() is not None:
            raise BenchError(f"{self.name} ended by itself ({self._popen.returncode}):\n{tail(self.log)}")

    def stop(self, *, ask_first: bool = True) -> None:
        """End it: asked first, killed when it takes longer than STOP_PATIENCE_S; without `ask_first` at once."""
        end_group(self._popen, ask_first=ask_first)


class Helper(Family):
    """One of our own modules as a process that takes lines of text and answers lines of JSON."""

    def __init__(self, module: str, *options: str) -> None:
        with undisturbed():
            self._popen = subprocess.Popen(
                [sys.executable, "-m", f"scripts.benchmarks.{module}", *options],
                cwd=ROOT,
                env=plain_environ({}),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
                text=True,
            )
            _unended.add(self._popen)
        super().__init__(self._popen.pid)
        self._module = module
        self._answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self._popen.stdout or ():
            self._answers.put(json.loads(line))
        self._answers.put(None)

    def tell(self, line: str) -> None:
        """Send a line. Raises BenchError where the process has ended."""
        try:
            assert self._popen.stdin is not None
            self._popen.stdin.write(line + "\n")
            self._popen.stdin.flush()
        except OSError as error:
            raise BenchError(f"the {self._module} of the benchmark ended by itself") from error

    def hear(self, timeout_s: float) -> dict[str, Any]:
        """Return its next line. Raises TimeoutError, and BenchError where the process has ended."""
        try:
            answer = self._answers.get(timeout=max(0.0, timeout_s))
        except queue.Empty as error:
            raise TimeoutError(f"the {self._module} said nothing for {timeout_s:.0f} s") from error
        if answer is None:
            raise BenchError(f"the {self._module} of the benchmark ended by itself")
        return answer

    def stop(self) -> None:
        """End it."""
        end_group(self._popen)


def plain_environ(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a part of a run: ours with `extra`, without proxies and settings."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith("LC_")}
    return {**kept, "PYTHONPATH": str(ROOT), **extra}


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Hold back until the end of the block the signals that would leave something half started or half ended."""
    held: dict[int, None] = {}
    before = {number: signal.signal(number, lambda came, _: held.setdefault(came)) for number in HELD_BACK}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in held:
            signal.raise_signal(number)


@contextlib.contextmanager
def running(process: Process | Helper) -> Iterator[Any]:
    """Give `process` to the block and end it after."""
    try:
        yield process
    finally:
        with undisturbed():
            process.stop()


def end_all() -> None:
    """End what was started and not ended, as where a signal came between the two."""
    for popen in list(_unended):
        end_group(popen, ask_first=False)


def end_group(popen: "subprocess.Popen[Any]", *, ask_first: bool = True) -> None:
    """End the process group that `popen` leads; without `ask_first` at once."""
    for number in (signal.SIGTERM, signal.SIGKILL) if ask_first else (signal.SIGKILL,):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(popen.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            popen.wait(STOP_PATIENCE_S)
    for pipe in (popen.stdin, popen.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    _unended.discard(popen)


def wait_for_port(process: Process, port: int) -> None:
    """Wait until `process` listens on `port`. Raises BenchError when it ends or takes longer than READY_PATIENCE_S."""
    deadline = time.monotonic() + READY_PATIENCE_S
    while time.monotonic() < deadline:
        process.check_alive()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return
        time.sleep(0.02)
    raise BenchError(f"{process.name} does not listen after {READY_PATIENCE_S:.0f} s:\n{tail(process.log)}")


def tail(log: Path) -> str:
    """Return the last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])


def file_system(path: Path) -> str:
    """Return the type of the file system that holds `path`, such as ext4 or tmpfs."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    holding = [mount for mount in mounts if path.resolve().is_relative_to(mount[1])]
    return max(holding, key=lambda mount: len(mount[1]))[2]


def family(pid: int) -> list[int]:
    """Return `pid` and the processes that descend from it."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):  # one that ends meanwhile has no children
            for task in Path(f"/proc/{parent}/task").glob("*/children"):
                found.extend(int(child) for child in task.read_text().split())
    return found


def _cpu_s(pid: int) -> float:
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(ticks) for ticks in fields[11:15]) / TICKS_A_SECOND  # its own, and that of its ended children
    return 0.0


def _rss_bytes(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
