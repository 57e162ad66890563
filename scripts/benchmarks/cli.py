"""The command line of `scripts/bench`."""

import contextlib
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console

from .context import FULL, QUICK
from .figures import SCENARIOS, lines, naive_runs_for
from .naive import Naive
from .processes import BenchError, file_system
from .report import print_lines, print_naive, write_json
from .rounds import plan, run_rounds

CHOICES = (*SCENARIOS, "naive")
BY_DEFAULT = tuple(name for name in SCENARIOS if name != "ceiling")
INTERRUPTED = 130
NOT_REACHED = 3
STOPPING = signal.SIGINT, signal.SIGTERM
WIDTH = 160  # of a table that goes to a file
IN_MEMORY = {"tmpfs", "ramfs"}

HELP = """Measure Hookline, and the plain design beside it in the same run.

\b
throughput  batches of 100, one matching webhook an event: publish to last log row
single      one event a call, 16 clients: publish to last log row
latency     20 single publishes a second: call sent to request arrived
fanout      one event to 1,000 webhooks: publish to last log row
matching    publish cost beside 10, 1,000 and 100,000 webhooks
idle        CPU share of an idle server
memory      resident memory with 500 requests in flight
ceiling     the load driver straight to the receiver, without a server
naive       the plain design alone

Without names, all but the last two. The plain design is a Dramatiq actor on Redis with requests.post and one row
insert an attempt into SQLite, run by the Dramatiq command line with 2 processes of 8 threads. Every server runs on a
free port of 127.0.0.1 and on fresh data, and is ended with the run. Linux only; the plain design needs redis-server.

The exit status is 1 where a run could not be made or lost something, and 3 with --check where a figure is missed.
"""


@click.command(help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("scenarios", nargs=-1, type=click.Choice(CHOICES), metavar="[SCENARIO]...")
@click.option(
    "--db", type=click.Choice(["sqlite"]), default="sqlite", show_default=True, help="Database of the server."
)
@click.option("--broker", type=click.Choice(["memory"]), default="memory", show_default=True, help="Its queue.")
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
    repeat: int,
    json_file: Path | None,
    no_naive: bool,
    quick: bool,
    check: bool,
    directory: Path | None,
) -> None:
    if check and quick:
        raise click.UsageError("--check makes no sense with --quick")
    chosen = tuple(dict.fromkeys(scenarios)) or BY_DEFAULT
    runs = [] if no_naive and "naive" not in chosen else naive_runs_for(chosen)
    sizes = QUICK if quick else FULL
    with scratch_directory(directory) as scratch, Naive(scratch) as naive:
        if runs:
            naive.start_redis()
        results = run_rounds(plan(chosen, runs, repeat, naive), sizes, scratch, Console(stderr=True))
    found = lines(chosen, results.ours, results.naive)
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    if found:
        print_lines(console, found, quick=quick)
    if "naive" in chosen:
        print_naive(console, results.naive)
    if json_file:
        options = {"scenarios": chosen, "db": db, "broker": broker, "rounds": repeat, "quick": quick}
        write_json(json_file, options, found, {"hookline": results.ours, "naive": results.naive})
    if results.problems:
        raise click.ClickException("\n".join(results.problems))
    if check and any(line.is_reached is False for line in found):
        sys.exit(NOT_REACHED)


@contextlib.contextmanager
def scratch_directory(parent: Path | None) -> Iterator[Path]:
    """Give a directory that is deleted after; say so where it is in memory, which makes syncing to disk free."""
    with tempfile.TemporaryDirectory(prefix="hookline-bench-", dir=parent, ignore_cleanup_errors=True) as made:
        path = Path(made)
        if file_system(path) in IN_MEMORY:
            click.echo(f"bench: {path.parent} is in memory: every commit looks cheaper than it is; see --dir", err=True)
        yield path


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


def _interrupt(number: int, frame: object) -> NoReturn:
    for other in STOPPING:
        signal.signal(other, signal.SIG_IGN)  # ending what was started takes a moment, and must not be cut short
    raise KeyboardInterrupt
