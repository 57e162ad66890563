"""`hookline job`, and what the commands that start a job have in common."""

import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import click
from hookline_client import Client, Job
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from app.commands.arguments import limit_option, take, webhook_argument
from app.commands.calling import calls_server
from app.commands.lazy import Lazy, lazy_group
from app.commands.output import Columns, json_option, print_fields, print_json, say, show_list
from app.commands.patience import Sleep, patiently

C = TypeVar("C", bound="Callable[..., Any] | click.Command")

HERE = "app.commands.job:"
LOOK_S = 0.5
LIMIT = 20

job = lazy_group(
    "job",
    "Look after the jobs that resend and replay.",
    {
        "cancel": Lazy(HERE + "cancel", "Cancel a job that has not ended."),
        "list": Lazy(HERE + "list_", "List the jobs of a webhook."),
        "show": Lazy(HERE + "show", "Show a job."),
        "wait": Lazy(HERE + "wait", "Wait for the end of a job, and show how it gets on."),
    },
)

LISTED: Columns = {
    "id": lambda row: row.id,
    "kind": lambda row: row.kind,
    "state": lambda row: row.state,
    "done": lambda row: row.done,
    "skipped": lambda row: row.skipped,
    "of": lambda row: row.total,
    "created": lambda row: row.created_date,
    "by": lambda row: row.created_by,
}


@click.command()
@webhook_argument
@limit_option(LIMIT)
@json_option
@calls_server
def list_(client: Client, webhook: str, limit: int, as_json: bool) -> None:
    """List the jobs of a webhook, newest first."""
    show_list(take(client.iter_jobs(webhook), limit), LISTED, as_json, "There is no job.")


@click.command()
@click.argument("job", metavar="JOB")
@json_option
@calls_server
def show(client: Client, job: str, as_json: bool) -> None:
    """Show a job."""
    show_job(client.job(job), as_json)


@click.command()
@click.argument("job", metavar="JOB")
@json_option
@calls_server
def cancel(client: Client, job: str, as_json: bool) -> None:
    """Cancel a job that has not ended. What it has made due is sent nevertheless."""
    show_job(client.cancel_job(job), as_json)


@click.command()
@click.argument("job", metavar="JOB")
@json_option
@calls_server
def wait(client: Client, job: str, as_json: bool) -> None:
    """Wait for the end of a job, and show how it gets on. The exit status is 1 where it did not succeed."""
    show_ended(await_job(client, client.job(job)), as_json)


def wait_options(command: C) -> C:
    """Give a command that starts a job the options --wait and --key; `show_started` takes their values."""
    text = "Your name for this job: the same again is answered with the same job. With dates, not with how long ago."
    command = click.option("--key", metavar="TEXT", help=text)(command)
    return click.option("--wait", "is_awaited", is_flag=True, help="Wait for its end, and show how it gets on.")(
        command
    )


def show_started(client: Client, started: Job, options: Mapping[str, Any]) -> None:
    """Print a job that was started, with --wait when it has ended."""
    if options["is_awaited"]:
        show_ended(await_job(client, started), options["as_json"])
        return
    show_job(started, options["as_json"])
    say(f"See how it gets on: hookline job wait {started.id}")


def show_job(row: Job, as_json: bool) -> None:
    """Print a job."""
    if as_json:
        print_json(row.raw)
    else:
        print_fields(row.raw.items())


def show_ended(row: Job, as_json: bool) -> None:
    """Print a job that has ended, and end with status 1 where it did not succeed."""
    show_job(row, as_json)
    if row.state != "SUCCEEDED":
        sys.exit(1)


def await_job(client: Client, row: Job, sleep: Sleep = time.sleep) -> Job:
    """Return the job when it has ended, showing its progress on a terminal; a server that is away is waited for."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[counted]}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(row.kind.lower(), total=row.total, counted="")
        try:
            while True:
                looked_at = row.done + row.skipped
                counted = f"{looked_at:,}" + (f" of {row.total:,}" if row.total is not None else "")
                progress.update(task, completed=looked_at, total=row.total, counted=counted)
                if row.is_finished:
                    return row
                sleep(LOOK_S)
                row = patiently(partial(client.job, row.id), sleep)
        except KeyboardInterrupt:
            say(f"The job goes on. See to it with: hookline job wait {row.id}, or hookline job cancel {row.id}")
            raise
