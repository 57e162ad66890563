"""The command line of `scripts/bench`."""

import contextlib
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console

from .context import FULL, QUICK, Context, Deployment, Sizes
from .figures import SCENARIOS, WITH_REDIS_ONLY, figures_of, lines, naive_runs_for
from .naive import Naive
from .processes import BenchError, end_all, file_system
from .report import print_lines, print_naive, write_json
from .rounds import LONG, plan, run_rounds

CHOICES = (*SCENARIOS, "naive")
INTERRUPTED = 130
NOT_REACHED = 3
STOPPING = signal.SIGINT, signal.SIGTERM
WIDTH = 200  # of a table that goes to a file
IN_MEMORY = {"tmpfs", "ramfs"}

HELP = """Measure Hookline, and the plain design beside it in the same run.

\b
throughput  batches of 100, one matching webhook an event: publish to last log row
single      one event a call, 16 clients: publish to last log row
latency     20 single publishes a second: call sent to request arrived
fanout      one event to 1,000 webhooks: publish to last log row
matching    publish cost beside 10, 1,000 and 100,000 webhooks
filters     what a filter of five conditions adds to the matching of an event, for each webhook
templates   what a message for a chat's bot costs, and a CloudEvent
idle        CPU share of an idle server
memory      resident memory of the worker with 512 requests in flight; with Redis, also with a million messages waiting
neighbours  healthy webhooks alone, beside one in five that hangs, and beside one with 100,000 deliveries due
endurance   the worker's memory over ten minutes beside such neighbours
ordered     throughput in order over 1,000 keys against none, and one key against its receiver's pace
limited     requests in 20 s to a webhook with a limit of 50 a second
second      throughput with two worker processes against one; with Redis only
observability  throughput with metrics and JSON logs on against both off, in turns
libcurl     a bare loop of libcurl straight to the receiver, 512 requests in flight
logs        pages of a webhook's log with 1,000,000 of 10,000,000 rows, count included
dashboard   pages of the dashboard over 10,000,000 rows: the overview, the list of logs
prune       throughput beside the removal of 500,000 old logs and 500,000 old events
naive       the plain design alone

Without names, all but logs, dashboard, prune and endurance, which take minutes and gigabytes, and naive.

With --broker memory the server is the embedded one, `hookline serve`. With --broker redis it is what the Procfile
starts: `hookline release` first, then web, worker and scheduler. Databases sync to disk; every run starts servers of
its own on free ports of 127.0.0.1, on fresh data, and ends them. --db postgres and mariadb, and Redis, need those
servers installed.

The plain design is a Dramatiq actor on Redis with requests.post and one row insert an attempt into SQLite, run by the
Dramatiq command line with 2 processes of 8 threads, whatever --db and --broker say. Linux only.

The exit status is 1 where a run could not be made or lost something, and 3 with --check where a figure is missed.
"""


@click.command(help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("scenarios", nargs=-1, type=click.Choice(CHOICES), metavar="[SCENARIO]...")
@click.option(
    "--db",
    type=click.Choice(["sqlite", "postgres", "mariadb"]),
    default="sqlite",
    show_default=True,
    help="Database of the server.",
)
@click.option(
    "--broker", type=click.Choice(["memory", "redis"]), default="memory", show_default=True, help="Its queue."
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    metavar="N",
    help="Worker processes, with Redis.",
)
@click.option(
    "--web", type=click.IntRange(1, 64), default=1, show_default=True, metavar="N", help="Web processes, with Redis."
)
@click.option(
    "--rows",
    type=click.IntRange(min=1_000),
    metavar="N",
    help="Rows of logs, dashboard and prune.",
)
@click.option(
    "--repeat",
    type=click.IntRange(1, 100),
    default=1,
    metavar="N",
    help="Make N rounds, ours and naive in turns, and take medians.",
)
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all samples to a file."
)
@click.option("--no-naive", is_flag=True, help="Leave the plain design out; there is no ratio then.")
@click.option(
    "--quick", is_flag=True, help="A few events of each, to see that all of it works; the figures say nothing."
)
@click.option("--check", is_flag=True, help="Fail where a figure is missed.")
@click.option(
    "--dir",
    "directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the data is during the run; on a disk, not in memory. Default: the system's place for temporary files.",
)
def bench(
    *,
    scenarios: tuple[str, ...],
    db: str,
    broker: str,
    workers: int,
    web: int,
    rows: int | None,
    repeat: int,
    json_file: Path | None,
    no_naive: bool,
    quick: bool,
    check: bool,
    directory: Path | None,
) -> None:
    if check and quick:
        raise click.UsageError("--check makes no sense with --quick")
    if broker == "memory" and (workers, web) != (1, 1):
        raise click.UsageError("the embedded server is one process: --workers and --web need --broker redis")
    deployment = Deployment(db=db, broker=broker, workers=workers, web=web)
    chosen = choice(scenarios, broker)
    runs = [] if no_naive and "naive" not in chosen else naive_runs_for(chosen)
    with scratch_directory(directory) as scratch, Naive(scratch) as naive:
        if runs:
            naive.start_redis()
        context = Context(scratch=scratch, sizes=sizes_of(quick=quick, rows=rows), deployment=deployment)
        results = run_rounds(plan(chosen, runs, repeat, naive), context, Console(stderr=True))
    found = lines(figures_of(db, broker), chosen, results.ours, results.naive)
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    if found:
        print_lines(console, found, quick=quick)
    if "naive" in chosen:
        print_naive(console, results.naive)
    if json_file:
        options = {**asdict(deployment), "scenarios": chosen, "rows": rows, "rounds": repeat, "quick": quick}
        run = {"options": options, "servers": context.versions}
        write_json(json_file, run, found, {"hookline": results.ours, "naive": results.naive})
    if results.problems:
        raise click.ClickException("\n".join(results.problems))
    if check and any(line.is_reached is False for line in found):
        sys.exit(NOT_REACHED)


def choice(scenarios: Sequence[str], broker: str) -> tuple[str, ...]:
    """Return `scenarios`, or those to run where none is named. Raises UsageError for one that `broker` has not."""
    without = set() if broker == "redis" else WITH_REDIS_ONLY
    if refused := without.intersection(scenarios):
        raise click.UsageError(f"{', '.join(sorted(refused))} needs --broker redis")
    by_default = (name for name in SCENARIOS if name not in LONG | without)
    return tuple(dict.fromkeys(scenarios or by_default))


def sizes_of(*, quick: bool, rows: int | None) -> Sizes:
    """Return how much to do; `rows` is the number of rows of a history where one is given."""
    sizes = QUICK if quick else FULL
    return sizes if rows is None else replace(sizes, log_rows=rows, prune_rows=rows)


@contextlib.contextmanager
def scratch_directory(parent: Path | None) -> Iterator[Path]:
    """Give a directory for everything that the run writes, and delete it after.

    Say so where it is in memory, which makes syncing to disk free.
    """
    with tempfile.TemporaryDirectory(prefix="hookline-bench-", dir=parent, ignore_cleanup_errors=True) as made:
        path = Path(made)
        path.chmod(0o711)  # root starts the databases as users of their own, who must get to their data
        if file_system(path) in IN_MEMORY:
            click.echo(f"bench: {path.parent} is in memory: every commit looks cheaper than it is; see --dir", err=True)
        before, tempfile.tempdir = tempfile.tempdir, made
        try:
            yield path
        finally:
            tempfile.tempdir = before


def main() -> None:
    """Run the command; SIGTERM ends it as Ctrl-C does, with everything that it started."""
    for number in STOPPING:
        signal.signal(number, _interrupt)
    if not Path("/proc/self/stat").exists():
        sys.exit("bench: this needs Linux: it reads /proc and uses epoll")
    try:
        bench.main(prog_name="scripts/bench", standalone_mode=False)
    except click.ClickException as error:
        error.show() if isinstance(error, click.UsageError) else click.echo(f"bench: {error.message}", err=True)
        sys.exit(error.exit_code)
    except BenchError as error:
        sys.exit(f"bench: {error}")
    except (KeyboardInterrupt, click.Abort):
        click.echo("bench: interrupted", err=True)
        sys.exit(INTERRUPTED)
    finally:
        end_all()


def _interrupt(number: int, frame: object) -> NoReturn:
    for other in STOPPING:
        signal.signal(other, signal.SIG_IGN)  # ending what was started takes a moment, and must not be cut short
    raise KeyboardInterrupt
