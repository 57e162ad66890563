"""Runs the plain design of `naive_worker` and `naive_web`, and takes its figures."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from scripts import backends

from .backing import started
from .context import Context, latency_load
from .databases import LogTable, Sqlite
from .events import repository
from .measure import WARM_UP, CpuClock, Sample, Watched, paced
from .parts import Receiver, driving
from .processes import BIN, BenchError, Process, plain_environ, running, wait_for_port

PROCESSES, THREADS = 2, 8
FIRST_PATIENCE_S = 60.0
SET_UP_PATIENCE_S = 300.0


class Naive:
    """The plain design: its runs, and its Redis, which is stopped when the block is left."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._stack = contextlib.ExitStack()
        self._redis = ""

    def __enter__(self) -> "Naive":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start_redis(self) -> None:
        """Start Redis, without persistence. Raises BenchError where there is none."""
        try:
            self._redis = self._stack.enter_context(started(backends.redis())).url
        except backends.BackendError as error:
            raise BenchError(f"the plain design needs Redis: {error}") from error

    def deliveries(self, context: Context) -> Sample:
        """Messages for some webhooks in turn."""
        return self._empty_queue(context, context.sizes.naive_messages, context.sizes.webhooks)

    def fanout(self, context: Context) -> Sample:
        """One message for each of many webhooks."""
        return self._empty_queue(context, context.sizes.fanout_webhooks, context.sizes.fanout_webhooks)

    def _empty_queue(self, context: Context, messages: int, webhooks: int) -> Sample:
        """Fill the queue, then start the workers and let them empty it.

        The clock runs from the first row of the log to the last: starting the workers is not in it, nor is filling
        the queue.
        """
        with self._run() as (environ, log), running(Receiver()) as receiver:
            self._set_up(environ, messages, [receiver.url(number) for number in range(webhooks)])
            receiver.expect(messages)
            with self._worker(environ) as worker:
                receiver.wait_first(FIRST_PATIENCE_S)
                clock = CpuClock({"receiver": receiver, "server": worker})
                receiver.wait(messages, context.sizes.timeout_s, context.progress)
                cpu = clock.shares()
                log.wait(messages, context.sizes.timeout_s)
            ((first, last),) = log.database.rows(
                "SELECT min(requested_us + duration_us), max(requested_us + duration_us) FROM attempt"
            )
        seconds = (last - first) / 1e6
        return Sample({"rate": (messages - 1) / seconds, "seconds": seconds}, cpu, {"messages": messages})

    def latency(self, context: Context) -> Sample:
        """Publish single events over HTTP at a steady pace, and time each until it reaches the receiver."""
        sizes = context.sizes
        with self._run() as (environ, _), running(Receiver(marks=True)) as receiver:
            self._set_up(environ, 0, [])
            rows = [[uuid4().hex, repository(number), receiver.url(number)] for number in range(sizes.webhooks)]
            environ["NAIVE_WEBHOOKS"] = json.dumps(rows)
            with self._worker(environ) as worker, self._web(environ) as (web, url):
                self._warm_up(url, receiver)
                load = replace(latency_load(sizes), url=url)
                watched: Watched = {"receiver": receiver, "server": worker, "web": web}
                sample = paced(load, receiver, watched, context.progress)
        sample.cpu["server"] += sample.cpu.pop("web")
        return sample

    def _warm_up(self, url: str, receiver: Receiver) -> None:
        receiver.expect(WARM_UP.events)
        with driving(replace(WARM_UP, url=url, first_repository=0)) as driver:
            driver.start()
            driver.finish()
        receiver.wait(WARM_UP.events, FIRST_PATIENCE_S)

    @contextlib.contextmanager
    def _run(self) -> Iterator[tuple[dict[str, str], LogTable]]:
        """Give the environment and the log table of one run."""
        database = self._scratch / f"naive-{uuid4().hex}.db"
        yield (
            {"NAIVE_DB": str(database), "NAIVE_REDIS": self._redis},
            LogTable(Sqlite(f"sqlite:///{database}"), "attempt"),
        )
        for path in self._scratch.glob(f"{database.name}*"):
            path.unlink()

    def _set_up(self, environ: Mapping[str, str], messages: int, urls: Sequence[str]) -> None:
        """Empty Redis, make the table, and fill the queue."""
        done = subprocess.run(
            [sys.executable, "-m", "scripts.benchmarks.naive_setup"],
            env=plain_environ(environ),
            input=json.dumps({"messages": messages, "urls": urls}),
            text=True,
            capture_output=True,
            timeout=SET_UP_PATIENCE_S,
        )
        if done.returncode:
            raise BenchError(f"the plain design could not be set up:\n{done.stderr[-2_000:]}")

    @contextlib.contextmanager
    def _worker(self, environ: Mapping[str, str]) -> Iterator[Process]:
        size = ["--processes", str(PROCESSES), "--threads", str(THREADS)]
        command: list[str | Path] = [BIN / "dramatiq", "scripts.benchmarks.naive_worker", *size]
        with running(Process(command, self._scratch / "naive-worker.log", environ)) as worker:
            yield worker

    @contextlib.contextmanager
    def _web(self, environ: Mapping[str, str]) -> Iterator[tuple[Process, str]]:
        port = backends.free_port()
        listen = ["--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "--blocking-threads", "4"]
        command: list[str | Path] = [BIN / "granian", *listen, "--no-log", "scripts.benchmarks.naive_web:app"]
        with running(Process(command, self._scratch / "naive-web.log", environ)) as web:
            wait_for_port(web, port)
            yield web, f"http://127.0.0.1:{port}/publish"
