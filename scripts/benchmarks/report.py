"""What a benchmark says at its end: tables for people, a JSON file for programs."""

import contextlib
import json
import os
import platform
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pycurl
from rich.console import Console
from rich.table import Table

from .figures import Line, Samples, median

PARTS = "driver", "receiver", "server", "web", "worker", "scheduler", "database", "redis"
LIBRARIES = (
    "dramatiq",
    "flask",
    "granian",
    "hiredis",
    "msgspec",
    "peewee",
    "psycopg2-binary",
    "pycurl",
    "PyMySQL",
    "redis",
    "requests",
)
VERDICTS = {True: "[green]ok[/]", False: "[red]not[/]", None: ""}
NAIVE_TITLES = {
    "deliveries": ("queue filled beforehand, first to last log row", "rate", "/s"),
    "fanout": ("one message to each of many webhooks", "seconds", "s"),
    "latency": ("publish sent to request arrived, p50", "p50", "ms"),
    "latency p99": ("publish sent to request arrived, p99", "p99", "ms"),
}


def print_lines(console: Console, lines: Sequence[Line], *, quick: bool) -> None:
    """Print the table of the scenarios; figures of a quick run are not judged."""
    table = Table(title="Hookline, and the plain design in the same run")
    if quick:
        table.caption = "A quick run: that all of it works is all that it shows."
    table.add_column("scenario")
    table.add_column("figure")
    parts = [part for part in PARTS if any(part in line.cpu for line in lines)]
    for heading in ("ours", "naive", "ratio", "target", "", *(f"{part} %" for part in parts)):
        table.add_column(heading, justify="right", no_wrap=True)
    for line in lines:
        figure = line.figure
        table.add_row(
            figure.scenario,
            figure.title,
            with_unit(line.ours, figure.unit),
            with_unit(line.naive, figure.unit) if figure.naive else "",
            f"{line.ratio:.2f}" if line.ratio is not None else "",
            target(line),
            "" if quick else VERDICTS[line.is_reached],
            *(f"{100 * line.cpu[part]:.0f}" if part in line.cpu else "" for part in parts),
        )
    console.print(table)


def print_naive(console: Console, naive: Samples) -> None:
    """Print the table of the plain design's own runs."""
    table = Table(title="The plain design (naive)")
    table.add_column("run")
    table.add_column("figure")
    for heading in ("value", "receiver %", "workers and web %"):
        table.add_column(heading, justify="right")
    for name, (title, key, unit) in NAIVE_TITLES.items():
        samples = naive.get(name.split()[0], ())
        if samples:
            shares = [median([sample.cpu[part] for sample in samples]) or 0.0 for part in ("receiver", "server")]
            value = with_unit(median([sample.figures[key] for sample in samples]), unit)
            table.add_row(name.split()[0], title, value, *(f"{100 * share:.0f}" for share in shares))
    console.print(table)


def write_json(path: Path, run: Mapping[str, Any], lines: Sequence[Line], samples: Mapping[str, Samples]) -> None:
    """Write everything to `path`: the machine, what `run` says, the lines, every sample of ours and of naive's."""
    document = {
        "machine": machine(),
        **run,
        "figures": [line.as_dict() for line in lines],
        "samples": {
            whose: {name: [asdict(sample) for sample in found] for name, found in runs.items()}
            for whose, runs in samples.items()
        },
    }
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def machine() -> dict[str, Any]:
    """Return what matters of the machine."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "libcurl": pycurl.version,
        "sqlite": sqlite3.sqlite_version,
        "libraries": dict(_libraries()),
    }


def _libraries() -> Iterator[tuple[str, str]]:
    for name in LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            yield name, version(name)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def with_unit(value: float | None, unit: str) -> str:
    """Return `value` with three significant digits, or all those before the point, and its unit."""
    if value is None:
        return "-"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return _joined(f"{value:,.{digits}f}", unit)


def target(line: Line) -> str:
    """Return what the figure should reach."""
    figure = line.figure
    if figure.ratio is not None:
        return f"≥ {figure.ratio:g} x naive"
    if figure.most is not None:
        return f"≤ {_joined(f'{figure.most:,g}', figure.unit)}"
    return f"≥ {_joined(f'{figure.least:,g}', figure.unit)}" if figure.least is not None else ""


def _joined(number: str, unit: str) -> str:
    return f"{number}{unit}" if unit in ("/s", "x") else f"{number} {unit}"
