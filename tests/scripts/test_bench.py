"""`scripts/bench`: its parts tell the truth, a quick run of everything works, and nothing outlives it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.event_types import EVENT_TYPES, event_from
from app.payloads import build_payload
from scripts.benchmarks.driver import Load
from scripts.benchmarks.events import PAYLOAD_SIZE, make_batch, make_event, mark_of
from scripts.benchmarks.figures import FIGURES, SCENARIOS, Line, lines, naive_runs_for
from scripts.benchmarks.measure import Sample, latencies_ms, paced, percentile
from scripts.benchmarks.parts import Receiver, driving
from scripts.benchmarks.processes import BenchError, file_system, free_port, running
from scripts.benchmarks.receiver import content_length
from scripts.benchmarks.report import write_json

BENCH = Path(__file__).parents[2] / "scripts" / "bench"
needs_redis = pytest.mark.skipif(
    shutil.which("redis-server") is None and not os.environ.get("REQUIRE_SERVICES"), reason="redis-server is not here"
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running(Receiver(marks=True)) as started:
        yield started


def line_of(scenario: str, **figures: float) -> Line:
    ours = {scenario: [Sample(figures)]}
    naive = {"deliveries": [Sample({"rate": 100.0})], "fanout": [Sample({"seconds": 2.0})]}
    return lines([scenario], ours, naive)[0]


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


def test_a_limit_needs_no_run_of_the_plain_design() -> None:
    assert [line.is_reached for line in lines(["idle"], {"idle": [Sample({"percent": 2.1})]}, {})] == [False]


def test_a_figure_without_its_counterpart_is_neither_reached_nor_missed() -> None:
    assert [line.is_reached for line in lines(["single"], {"single": [Sample({"rate": 9.0})]}, {})] == [None]


def test_a_figure_is_the_median_of_its_rounds() -> None:
    rounds = [Sample({"percent": value}, {"server": value}) for value in (1.0, 9.0, 2.0)]
    (line,) = lines(["idle"], {"idle": rounds}, {})
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
    with driving(Load(url=f"http://127.0.0.1:{free_port()}/", connections=1, events=5)) as driver:
        driver.start()
        with pytest.raises(BenchError, match="publishing failed: a call failed"):
            driver.finish()


def run_bench(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, BENCH, *arguments], env={**os.environ, **environ}, capture_output=True, text=True, timeout=100
    )


def test_help_names_every_scenario_and_the_exit_status() -> None:
    shown = run_bench("--help").stdout
    assert all(name in shown for name in (*SCENARIOS, "naive", "--repeat", "exit status"))


def test_without_a_redis_server_the_plain_design_is_refused_in_one_line(tmp_path: Path) -> None:
    done = run_bench("naive", "--quick", PATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "bench: the plain design needs redis-server, which is not here (on Debian: apt install redis-server)"
    ]


@pytest.mark.slow
@needs_redis
def test_a_quick_run_gives_every_figure_and_leaves_nothing_behind(tmp_path: Path) -> None:
    scratch, file = tmp_path / "scratch", tmp_path / "figures.json"
    scratch.mkdir()
    done = run_bench("--quick", "--json", str(file), "--dir", str(scratch))
    assert done.returncode == 0, done.stderr
    found = {
        (line["figure"]["scenario"], line["figure"]["key"]): line for line in json.loads(file.read_text())["figures"]
    }
    assert found.keys() == {(figure.scenario, figure.key) for figure in FIGURES if figure.scenario != "ceiling"}
    assert all(line["ours"] is not None for line in found.values())
    assert all(line["ratio"] > 0 for line in found.values() if line["figure"]["naive"])
    assert list(scratch.iterdir()) == []
    assert processes_in(scratch) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_what_it_started_and_deletes_its_files(number: signal.Signals, tmp_path: Path) -> None:
    command: list[str | Path] = [sys.executable, BENCH, "latency", "--no-naive", "--dir", tmp_path]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as bench:
        wait_until_serving(tmp_path)
        bench.send_signal(number)
        _, said = bench.communicate(timeout=30)
    assert (bench.returncode, said.splitlines()[-1]) == (130, "bench: interrupted")
    assert list(tmp_path.iterdir()) == []
    assert processes_in(tmp_path) == []


def wait_until_serving(scratch: Path) -> None:
    deadline = time.monotonic() + 20
    while not list(scratch.glob("*/data-*/hookline.db")):
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.05)


def processes_in(scratch: Path) -> list[str]:
    """Return the command lines of processes whose environment names `scratch`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(scratch).encode() in (process / "environ").read_bytes() and int(process.name) != os.getpid():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found
