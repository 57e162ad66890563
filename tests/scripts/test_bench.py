"""`scripts/bench`: its parts tell the truth, a quick run of everything works, and nothing outlives it."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from dramatiq.brokers.redis import RedisBroker

from app.event_types import EVENT_TYPES, event_from
from app.models import WebhookLog
from app.payloads import build_payload
from app.queue import DELIVERIES
from scripts import backends
from scripts.benchmarks.databases import Database, LogTable, Table, database_at, text_of
from scripts.benchmarks.driver import Load
from scripts.benchmarks.events import PAYLOAD_SIZE, make_batch, make_event, mark_of
from scripts.benchmarks.figures import SCENARIOS, Figure, Line, figures_of, lines, naive_runs_for
from scripts.benchmarks.measure import Sample, latencies_ms, paced, percentile
from scripts.benchmarks.memory import enqueue
from scripts.benchmarks.parts import Receiver, driving
from scripts.benchmarks.processes import BenchError, Family, end_all, family, file_system, running, undisturbed
from scripts.benchmarks.receiver import content_length
from scripts.benchmarks.report import target, write_json
from scripts.benchmarks.rounds import LONG, time_limit
from scripts.benchmarks.rows import log_rows, spread, table_of
from tests.conftest import missing
from tests.server import eventually

BENCH = Path(__file__).parents[2] / "scripts" / "bench"
EMBEDDED = figures_of("sqlite", "memory")
REQUIRED = bool(os.environ.get("REQUIRE_SERVICES"))
needs_redis = pytest.mark.skipif(
    shutil.which("redis-server") is None and not REQUIRED, reason="redis-server is not here"
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running(Receiver(marks=True)) as started:
        yield started


def line_of(scenario: str, **figures: float) -> Line:
    ours = {scenario: [Sample(figures)]}
    naive = {"deliveries": [Sample({"rate": 100.0})], "fanout": [Sample({"seconds": 2.0})]}
    return lines(EMBEDDED, [scenario], ours, naive)[0]


def test_the_payload_of_an_event_has_1024_bytes_and_its_mark() -> None:
    event = event_from(json.loads(make_event(123, "r7")), EVENT_TYPES)
    payload = build_payload(event, None)
    assert (len(payload), mark_of(123).encode() in payload) == (PAYLOAD_SIZE, True)


def test_an_event_can_have_the_size_of_a_payload() -> None:
    assert len(make_event(123, "r7", PAYLOAD_SIZE)) == PAYLOAD_SIZE


def test_a_batch_is_a_json_array_of_its_events() -> None:
    events = [make_event(number, "r1") for number in range(3)]
    assert json.loads(make_batch(events)) == [json.loads(event) for event in events]


def test_more_is_better_for_a_rate() -> None:
    line = line_of("throughput", rate=1_000.0)
    assert (line.ratio, line.is_reached) == (10.0, True)


def test_less_is_better_for_a_time() -> None:
    line = line_of("fanout", seconds=0.5)
    assert (line.ratio, line.is_reached) == (4.0, False)


def target_of(figures: Sequence[Figure], scenario: str, key: str) -> str:
    (found,) = (figure for figure in figures if (figure.scenario, figure.key, figure.part_of) == (scenario, key, None))
    return target(Line(found, None, None, {}))


def test_targets_are_those_of_the_database_and_the_broker() -> None:
    all_targets = [
        [
            target_of(figures_of(db, broker), *figure)
            for figure in (("throughput", "rate"), ("single", "rate"), ("latency", "p50"), ("latency", "p99"))
        ]
        for db, broker in (("sqlite", "memory"), ("postgres", "memory"), ("postgres", "redis"), ("mariadb", "redis"))
    ]
    assert all_targets == [
        ["≥ 10 x naive", "≥ 1.8 x naive", "≤ 4 ms", "≤ 10 ms"],
        ["≥ 10 x naive", "≥ 1.8 x naive", "≤ 4 ms", "≤ 10 ms"],
        ["≥ 15 x naive", "≥ 2.5 x naive", "≤ 3.5 ms", "≤ 6 ms"],
        ["", "≥ 2.5 x naive", "≤ 6 ms", "≤ 15 ms"],
    ]


def test_a_second_worker_process_is_a_figure_of_redis_alone() -> None:
    scenarios = [{figure.scenario for figure in figures_of("sqlite", broker)} for broker in ("memory", "redis")]
    assert ["second" in names for names in scenarios] == [False, True]


def test_throughput_is_also_shown_as_a_part_of_what_libcurl_sends() -> None:
    ours = {"throughput": [Sample({"rate": 9_000.0})], "libcurl": [Sample({"rate": 30_000.0})]}
    found = lines(figures_of("postgres", "redis"), ["throughput"], ours, {})
    assert [(line.ours, line.is_reached) for line in found] == [(9_000.0, None), (0.3, True)]
    assert lines(figures_of("postgres", "redis"), ["throughput"], {**ours, "libcurl": []}, {})[1].ours is None


def test_a_figure_that_must_not_be_less_is_missed_below_it() -> None:
    samples = {"prune": [Sample({"pruned": 20_000.0, "rate": 1.0, "rate_alone": 2.0, "kept": 0.5})]}
    assert [line.is_reached for line in lines(EMBEDDED, ["prune"], samples, {})] == [True, None, None, False]


def test_a_limit_needs_no_run_of_the_plain_design() -> None:
    assert [line.is_reached for line in lines(EMBEDDED, ["idle"], {"idle": [Sample({"percent": 2.1})]}, {})] == [False]


def test_a_figure_without_its_counterpart_is_neither_reached_nor_missed() -> None:
    assert [line.is_reached for line in lines(EMBEDDED, ["single"], {"single": [Sample({"rate": 9.0})]}, {})] == [None]


def test_a_figure_is_the_median_of_its_rounds() -> None:
    rounds = [Sample({"percent": value}, {"server": value}) for value in (1.0, 9.0, 2.0)]
    (line,) = lines(EMBEDDED, ["idle"], {"idle": rounds}, {})
    assert (line.ours, line.cpu) == (2.0, {"server": 2.0})


def test_only_the_runs_of_the_plain_design_that_are_compared_with_are_made() -> None:
    assert naive_runs_for(["single", "throughput", "idle"]) == ["deliveries"]
    assert naive_runs_for(["naive"]) == ["deliveries", "latency", "fanout"]


def test_a_percentile_is_the_value_at_its_nearest_rank() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile([7.0], 0.99)) == (50.0, 99.0, 7.0)


def test_an_event_that_did_not_arrive_is_an_error_and_not_left_out() -> None:
    with pytest.raises(BenchError, match="1 of 2 events did not arrive"):
        latencies_ms({"a": 1, "b": 2}, {"a": 3})


def test_the_json_file_holds_figures_samples_and_machine(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    write_json(file, {"quick": True}, [line_of("throughput", rate=1_000.0)], {"hookline": {}, "naive": {}})
    written = json.loads(file.read_text())
    assert written["figures"][0]["ratio"] == 10.0
    assert written["machine"]["cores"] == os.cpu_count()


def test_the_time_of_processes_that_have_ended_counts() -> None:
    busy = "import time\nwhile time.process_time() < 0.3: pass"  # the kernel tells whole ticks of each part
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}]); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE) as parent:
        eventually(lambda: len(family(parent.pid)) == 1 and Family(parent.pid).cpu_s() >= 0.2)
        assert Family(parent.pid).cpu_s() >= 0.2
        parent.communicate(b"\n")


def test_what_was_started_and_not_ended_can_be_ended() -> None:
    receiver = Receiver()
    end_all()
    assert not Path(f"/proc/{receiver.pid}/cwd").exists()


def test_a_signal_waits_until_what_it_would_leave_half_done_is_done() -> None:
    done = []

    def work() -> None:
        with undisturbed():
            signal.raise_signal(signal.SIGINT)
            done.append("all")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["all"]


def test_a_block_that_takes_longer_than_its_limit_is_given_up() -> None:
    with pytest.raises(BenchError, match="given up after 0 s"), time_limit(0.05):
        time.sleep(10)


def test_the_file_system_of_a_path_is_that_of_the_deepest_mount() -> None:
    assert file_system(Path("/proc/self")) == "proc"


def test_the_receiver_takes_any_spelling_of_content_length() -> None:
    assert content_length(b"POST / HTTP/1.1\r\ncontent-length: 12\r\n\r\n") == 12
    assert content_length(b"GET / HTTP/1.1\r\nHost: a\r\n\r\ncontent-length: 12\r\n") == 0


def test_the_receiver_waits_for_the_whole_of_a_request_that_comes_in_pieces(receiver: Receiver) -> None:
    body = b'{"path": "/' + mark_of(5).encode() + b'"}'
    request = b"POST /hook/1 HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    receiver.expect(2)
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=5) as connection:
        for piece in (request[:20], request[20:-5], request[-5:]):
            connection.sendall(piece)
            time.sleep(0.02)
        assert connection.recv(4096).endswith(b"\r\n\r\nok")
        connection.sendall(request)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    receiver.wait(2, 5.0)
    stats = receiver.stats()
    assert (stats["count"], list(stats["arrived"])) == (2, [mark_of(5)])


def test_a_slow_receiver_holds_its_answers_back_and_counts_what_is_open() -> None:
    load = Load(connections=10, events=20)
    with running(Receiver(delay_s=0.1)) as slow, driving(Load(url=slow.url(1), connections=10, events=20)) as driver:
        driver.start()
        outcome = driver.finish()
        assert min(outcome.latencies_ms) >= 100
        assert slow.stats()["most_open"] == load.connections


def test_the_driver_sends_every_event_in_batches_of_the_size_asked_for(receiver: Receiver) -> None:
    with driving(Load(url=receiver.url(1), connections=3, events=250, batch=100)) as driver:
        driver.start()
        outcome = driver.finish()
    assert (outcome.statuses, len(outcome.latencies_ms), receiver.stats()["count"]) == ({"200": 3}, 3, 3)


def test_a_paced_load_is_sent_at_its_pace_and_every_event_is_timed(receiver: Receiver) -> None:
    load = Load(url=receiver.url(1), connections=2, events=20, pace=100.0)
    start = time.monotonic()
    sample = paced(load, receiver, {}, lambda part: None)
    assert time.monotonic() - start >= 19 / load.pace
    assert 0 < sample.figures["p50"] <= sample.figures["p99"]


def test_a_load_whose_calls_fail_ends_at_once_with_the_reason() -> None:
    with driving(Load(url=f"http://127.0.0.1:{backends.free_port()}/", connections=1, events=5)) as driver:
        driver.start()
        with pytest.raises(BenchError, match="publishing failed: a call failed"):
            driver.finish()


@pytest.fixture(scope="module", params=["sqlite", "postgres", "mariadb"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    if request.param == "sqlite":
        file = tmp_path_factory.mktemp("database") / "a.db"
        file.touch()
        yield database_at(f"sqlite:///{file}")
        return
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(getattr(backends, request.param)(durable=False))
        except backends.BackendError as error:
            missing(error)
        yield database_at(server.url)


def test_rows_loaded_in_bulk_are_what_was_given(database: Database) -> None:
    odd = "a\ttab, a\nline, a\rreturn, a back\\slash, \"quotes', \\N, ü"
    rows = [("a", odd, 1), ("b", "", -5), ("c", None, None)]
    database.execute("CREATE TABLE thing (id CHAR(1) PRIMARY KEY, name TEXT, number BIGINT)")
    told: list[int] = []
    database.load(Table("thing", ("id", "name", "number")), rows, told.append)
    database.settle(["thing"])
    assert database.rows("SELECT id, name, number FROM thing WHERE id <= ? ORDER BY id", "c") == rows
    assert (told, database.first_row("thing").keys()) == ([3], {"id", "name", "number"})


def test_log_rows_are_waited_for_from_an_id_on(database: Database) -> None:
    database.execute("CREATE TABLE entry (id CHAR(1) PRIMARY KEY, status VARCHAR(8))")
    database.load(Table("entry", ("id", "status")), [("a", "FAIL"), ("b", "SUCCESS"), ("c", "SUCCESS")])
    table = LogTable(database, "entry")
    with pytest.raises(BenchError, match="3 attempts that succeed were expected"):
        table.wait(3, 1.0)
    table.since = "b"
    assert table.wait(2, 1.0) > 0
    with pytest.raises(BenchError, match="2 of 3 log rows are committed"):
        table.wait(3, 0.01)


def test_what_a_database_refuses_is_an_error_of_the_run(database: Database) -> None:
    with pytest.raises(BenchError, match="the database: "):
        database.rows("SELECT * FROM nowhere")


def test_text_of_rows_escapes_what_separates_them() -> None:
    assert text_of([("a\tb", None, 1), ("\\", "", True)]) == "a\\tb\t\\N\t1\n\\\\\t\tTrue\n"


def test_a_made_up_history_is_in_the_order_of_time_and_a_fiftieth_of_it_failed() -> None:
    rows = list(log_rows(spread(1_000, 2_000, 1_000), ["w1", "w2"], ["e1", "e2", "e3"]))
    columns = table_of(WebhookLog).columns
    found = [dict(zip(columns, row, strict=True)) for row in rows]
    assert [row["id"] for row in found] == sorted(row["id"] for row in found)
    assert (found[0]["requested_at"], found[-1]["requested_at"]) == (1_000, 1_999)
    assert sum(row["status"] == "FAIL" for row in found if row["webhook_id"] == "w1") == 10
    assert {(row["webhook_id"], row["event_id"]) for row in found} == set(product(("w1", "w2"), ("e1", "e2", "e3")))


@needs_redis
def test_messages_written_straight_to_redis_are_dramatiqs() -> None:
    with backends.redis() as server:
        enqueue(server.url, ["d1", "d2", "d3"], lambda part: None)
        make_broker: Any = RedisBroker  # its constructor carries no types
        broker = make_broker(url=server.url)
        broker.declare_queue(DELIVERIES)
        consumer = broker.consume(DELIVERIES, prefetch=10, timeout=1_000)
        messages = [next(consumer) for _ in range(3)]
        for message in messages:
            consumer.ack(message)
        assert [message.args for message in messages] == [("d1",), ("d2",), ("d3",)]
        assert broker.client.hlen(f"dramatiq:{DELIVERIES}.msgs") == 0
        broker.close()


def run_bench(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, BENCH, *arguments], env={**os.environ, **environ}, capture_output=True, text=True, timeout=250
    )


def test_help_names_every_scenario_and_the_exit_status() -> None:
    shown = run_bench("--help").stdout
    assert all(name in shown for name in (*SCENARIOS, "naive", "--repeat", "exit status"))


def test_without_a_redis_server_the_plain_design_is_refused_in_one_line(tmp_path: Path) -> None:
    done = run_bench("naive", "--quick", PATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["bench: the plain design needs Redis: redis-server is not here"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["second"], "second needs --broker redis"),
        (["throughput", "--workers", "2"], "--workers and --web need --broker redis"),
        (["--check", "--quick"], "--check makes no sense with --quick"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments: list[str], reason: str) -> None:
    done = run_bench(*arguments)
    assert (done.returncode, reason in done.stderr) == (2, True)


def skip_if_missing(done: "subprocess.CompletedProcess[str]") -> None:
    """Skip the test where a server is not installed, and need not be."""
    if "is not here" in done.stderr and not REQUIRED:
        pytest.skip(done.stderr.splitlines()[-1])


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Give a directory that the users whom root starts databases as can get to."""
    with tempfile.TemporaryDirectory(prefix="hookline-test-") as directory:
        Path(directory).chmod(0o711)
        yield Path(directory)


@pytest.mark.slow
@needs_redis
@pytest.mark.timeout(300)
def test_a_quick_run_gives_every_figure_and_leaves_nothing_behind(scratch: Path, tmp_path: Path) -> None:
    written = quick_run(scratch, tmp_path / "figures.json")
    chosen = [figure.title for figure in EMBEDDED if figure.scenario not in LONG]
    assert [line["figure"]["title"] for line in written["figures"]] == chosen
    assert all(line["ours"] is not None for line in written["figures"])
    assert all(line["ratio"] > 0 for line in written["figures"] if line["figure"]["naive"])
    assert (written["options"]["db"], written["options"]["broker"], written["servers"]) == ("sqlite", "memory", {})


@pytest.mark.slow
@needs_redis
@pytest.mark.timeout(300)
def test_the_production_set_is_measured_too(scratch: Path, tmp_path: Path) -> None:
    named = "throughput", "latency", "memory", "neighbours", "second"
    options = "--db", "postgres", "--broker", "redis", "--no-naive"
    written = quick_run(scratch, tmp_path / "figures.json", *named, *options)
    chosen = [figure.title for figure in figures_of("postgres", "redis") if figure.scenario in named]
    assert [line["figure"]["title"] for line in written["figures"]] == chosen
    assert all(line["ours"] is not None for line in written["figures"] if not line["figure"]["part_of"])
    assert set(written["servers"]) == {"postgres", "redis"}


def quick_run(scratch: Path, file: Path, *arguments: str) -> Any:
    """Run the benchmark on a few events of each scenario, and return what it has written; nothing else is left."""
    done = run_bench(*arguments, "--quick", "--json", str(file), "--dir", str(scratch))
    skip_if_missing(done)
    assert done.returncode == 0, done.stderr
    assert (list(scratch.iterdir()), processes_in(scratch)) == ([], [])
    return json.loads(file.read_text())


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("db", "broker", "scenarios"),
    [
        ("sqlite", "memory", sorted(LONG)),
        ("postgres", "redis", ["dashboard", "logs", "prune"]),
        ("mariadb", "redis", ["logs", "prune"]),
    ],
)
def test_a_history_is_read_and_pruned(db: str, broker: str, scenarios: list[str], scratch: Path) -> None:
    done = run_bench(*scenarios, "--quick", "--no-naive", "--db", db, "--broker", broker, "--dir", str(scratch))
    skip_if_missing(done)
    assert done.returncode == 0, done.stderr
    assert (list(scratch.iterdir()), processes_in(scratch)) == ([], [])


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_what_it_started_and_deletes_its_files(number: signal.Signals, scratch: Path) -> None:
    done = interrupted(scratch, number)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (130, "bench: interrupted")
    assert (list(scratch.iterdir()), processes_in(scratch)) == ([], [])


@pytest.mark.slow
@needs_redis
@pytest.mark.parametrize("db", ["postgres", "mariadb"])
def test_an_interrupted_run_ends_its_databases_too(db: str, scratch: Path) -> None:
    done = interrupted(scratch, signal.SIGINT, "--db", db, "--broker", "redis")
    skip_if_missing(done)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (130, "bench: interrupted")
    assert (list(scratch.iterdir()), processes_in(scratch)) == ([], [])


def interrupted(scratch: Path, number: signal.Signals, *options: str) -> "subprocess.CompletedProcess[str]":
    """Run the benchmark until its server starts, and send it a signal then."""
    command: list[str | Path] = [sys.executable, BENCH, "latency", "--no-naive", "--dir", scratch, *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as bench:
        eventually(lambda: list(scratch.glob("*/data-*.log")) or bench.poll() is not None, timeout=60)
        bench.send_signal(number)
        _, said = bench.communicate(timeout=60)
    return subprocess.CompletedProcess(command, bench.returncode, "", said)


def processes_in(scratch: Path) -> list[str]:
    """Return the command lines of processes whose environment or command line names `scratch`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            if (
                str(scratch).encode() in command + (process / "environ").read_bytes()
                and int(process.name) != os.getpid()
            ):
                found.append(command.decode().replace("\0", " "))
        except OSError:
            continue
    return found
