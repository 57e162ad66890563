"""The trace: believable, repeatable, and taken by the service whole."""

import json
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from app.event_types import EVENT_TYPES, PUBLISHABLE_TYPES, event_from
from app.payloads import build_payload

SCRIPTS = Path(__file__).parents[2] / "scripts"
BUNDLED = SCRIPTS / "trace.ndjson"


def generate(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, str(SCRIPTS / "generate-trace"), *arguments]
    return subprocess.run(command, capture_output=True, timeout=60, check=False)


@cache
def bundled() -> list[dict[str, Any]]:
    return [json.loads(line) for line in BUNDLED.read_bytes().splitlines()]


def test_the_bundled_trace_is_what_the_documented_arguments_make(tmp_path: Path) -> None:
    out = tmp_path / "trace.ndjson"
    assert generate("--events", "3000", "--seed", "1", "--out", str(out)).returncode == 0
    # Not compared in one assertion: showing the difference of two megabytes would take minutes.
    same = out.read_bytes() == BUNDLED.read_bytes()
    assert same, "scripts/trace.ndjson is not what scripts/generate-trace makes"
    assert b"--events 3000 --seed 1 --out scripts/trace.ndjson" in generate("--help").stdout


def test_the_bundled_trace_is_small_and_has_every_type() -> None:
    assert BUNDLED.stat().st_size < 3_000_000
    assert len(bundled()) == 3_000
    counts = Counter(event["type"] for event in bundled())
    assert counts.keys() == PUBLISHABLE_TYPES
    assert counts["NODE_CREATED"] + counts["NODE_DOWNLOADED"] > 1_500


def test_every_event_of_the_bundled_trace_is_taken_and_gives_a_payload() -> None:
    for value in bundled():
        event = event_from(value, EVENT_TYPES)
        assert json.loads(build_payload(event, None))["eventType"] == event.type


def test_every_event_has_an_id_of_its_own() -> None:
    assert len({event["eventId"] for event in bundled()}) == len(bundled())


def test_nodes_are_created_before_anything_else_happens_to_them() -> None:
    known: set[tuple[str, str, str]] = set()
    for event in bundled():
        if not event["type"].startswith(("NODE_", "METADATA_")):
            continue
        place = (event["projectId"], event["repoName"], event["resourceKey"])
        if event["type"] == "NODE_CREATED":
            known.add(place)
        assert place in known
        if event["type"] in {"NODE_DELETED", "NODE_RENAMED", "NODE_MOVED"}:
            known.remove(place)
        data = event["data"]
        if event["type"] == "NODE_RENAMED":
            known.add((*place[:2], data["newFullPath"]))
        if "dstFullPath" in data:
            known.add((data["dstProjectId"], data["dstRepoName"], data["dstFullPath"]))


def test_repositories_exist_while_they_are_used() -> None:
    known: set[tuple[str, str]] = set()
    for event in bundled():
        place = (event["projectId"], event["repoName"])
        if event["type"] == "REPO_CREATED":
            known.add(place)
        assert event["type"] == "PROJECT_CREATED" or event["type"].startswith("VERSION_") or place in known
        if event["type"] == "REPO_DELETED":
            known.remove(place)


def test_a_longer_trace_begins_with_the_shorter_and_another_seed_gives_another() -> None:
    short = generate("--events", "60", "--seed", "7").stdout
    assert short.count(b"\n") == 60
    assert generate("--events", "90", "--seed", "7").stdout.startswith(short)
    assert not generate("--events", "60", "--seed", "8").stdout.startswith(short[:500])


@pytest.mark.parametrize(
    ("arguments", "said"), [(("--events", "-1"), b"--events"), (("--out", "/"), b"Is a directory")]
)
def test_it_names_what_it_can_not_do_in_a_line_and_fails(arguments: tuple[str, ...], said: bytes) -> None:
    result = generate(*arguments)
    assert result.returncode != 0
    assert said in result.stderr
    assert b"Traceback" not in result.stderr


def test_it_ends_quietly_when_the_reader_has_had_enough() -> None:
    command = f"'{sys.executable}' '{SCRIPTS / 'generate-trace'}' --events 400 | head -c 10"
    result = subprocess.run(["bash", "-c", command], capture_output=True, timeout=60, check=False)
    assert (len(result.stdout), result.stderr) == (10, b"")
