"""`hookline doctor`: is what the service needs there and right, and how to mend what is not."""

import json
import os
import sys
from collections.abc import Iterator, Mapping

import click

from app import doctor_database, doctor_host, doctor_redis, doctor_service
from app.doctor import BROKEN, DOUBTFUL, GOOD, Finding, Result, broken, examine, good
from app.shown_text import visible
from config.settings import SettingsError, load_settings

CHECKS = (*doctor_host.CHECKS, *doctor_database.CHECKS, *doctor_redis.CHECKS, *doctor_service.CHECKS)

_MARKS = {GOOD: ("✓", "green"), DOUBTFUL: ("!", "yellow"), BROKEN: ("✗", "red")}


@click.command()
@click.option("--data", metavar="DIR", help="Data directory. Default: HOOKLINE_DATA, else var/.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(data: str | None, as_json: bool) -> None:
    """Check the database, Redis, migrations, clocks, keys, addresses and processes, and say how to mend them.

    Run it where the service runs, with the service's environment. It changes nothing. The exit status is 1 where
    something is broken (✗); what may be meant so (!) does not count.
    """
    environ = dict(os.environ) if data is None else {**os.environ, "HOOKLINE_DATA": data}
    results = []
    for result in _results(environ):
        results.append(result)
        if not as_json:
            _show(result)
    if as_json:
        click.echo(json.dumps({"checks": [_record(result) for result in results]}, ensure_ascii=False, indent=2))
    else:
        _sum_up(results)
    sys.exit(any(result.finding is not None and result.finding.state == BROKEN for result in results))


def _results(environ: Mapping[str, str]) -> Iterator[Result]:
    try:
        settings = load_settings(environ)
    except SettingsError as error:
        yield Result("settings", broken(str(error), "correct the variable; config/example.env shows them all"))
        return
    yield Result("settings", good("every variable can be used"))
    yield from examine(CHECKS, settings)


def _show(result: Result) -> None:
    if result.finding is None:
        return
    mark, color = _MARKS[result.finding.state]
    if not sys.stdout.isatty():
        mark = f"{result.finding.state:<7}"
    remedy = f" → {result.finding.remedy}" if result.finding.remedy else ""
    click.echo(f"{click.style(mark, fg=color)} {result.name}: {visible(result.finding.text)}{remedy}")


def _sum_up(results: list[Result]) -> None:
    left_out = [result.name for result in results if result.finding is None]
    if left_out:
        click.echo(f"Not checked, for what they need is not there: {', '.join(left_out)}.")


def _record(result: Result) -> dict[str, str | None]:
    finding = result.finding or Finding("skipped", "what it needs is not there")
    return {"name": result.name, "state": finding.state, "text": finding.text, "remedy": finding.remedy}
