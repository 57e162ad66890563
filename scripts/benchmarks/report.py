"""What a benchmark says at its end: tables for people, a JSON file for programs."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from .figures import Line, Samples, median

CORES = "driver", "receiver", "server"
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
    for heading in ("ours", "naive", "ratio", "target", "", *(f"{name} %" for name in CORES)):
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
            *(f"{100 * line.cpu[name]:.0f}" if name in line.cpu else "" for name in CORES),
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


def write_json(path: Path, options: Mapping[str, Any], lines: Sequence[Line], samples: Mapping[str, Samples]) -> None:
    """Write everything to `path`: the machine, the options, the lines, and every sample of ours and of naive's."""
    document = {
        "machine": machine(),
        "options": dict(options),
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
    }


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
    return f"{value:,.{digits}f} {unit}".replace(" /s", "/s").replace(" x", "x")


def target(line: Line) -> str:
    """Return what the figure should reach."""
    if line.figure.ratio is not None:
        return f"≥ {line.figure.ratio:g} x naive"
    if line.figure.most is not None:
        return f"≤ {line.figure.most:g} {line.figure.unit}".replace(" x", "x")
    return ""
