"""`hookline demo`: the whole service at work, on this machine alone."""

import itertools
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, NoReturn

import click
from hookline_client import Client, ClientError, Webhook
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.commands.demo_run import SINGLES_A_SECOND, Run, Target, compare_with_logs, percentile, pick_target, run_trace
from app.commands.demo_server import demo_client, running_server
from app.commands.demo_tour import tour
from app.commands.event_file import read_events
from app.commands.listen import show
from app.commands.options import data_option
from app.errors import OperatorError
from app.event_types import PUBLISHABLE_TYPES
from app.ids import new_id
from app.listener import Arrival, Listener
from config.settings import Settings

Event = dict[str, Any]

TRACE = Path(__file__).parents[2] / "scripts" / "trace.ndjson"
LOOK_AGAIN_S = 1.0


@click.command()
@click.option("--port", type=click.IntRange(1, 65_535), help="Port of the server. Default: PORT, else 8080.")
@click.option(
    "--events", type=click.IntRange(1, 1_000_000), help="How many events to publish. Default: the trace once."
)
@click.option("--trace", type=click.Path(path_type=Path), default=TRACE, help="NDJSON file of events to publish.")
@click.option("--keep/--once", default=True, help="Stay up afterwards (the default), or exit: non-zero if any failed.")
@data_option
@click.pass_obj
def demo(settings: Settings, port: int | None, events: int | None, trace: Path, keep: bool) -> None:
    """Start a server, register webhooks, publish a trace, and watch verified deliveries arrive."""
    published = load_trace(trace, events)
    port = port or settings.port
    with interrupted_by_signals():
        click.echo(f"Starting hookline serve on port {port}, data in {settings.data_dir}/ …")
        with running_server(settings, port) as server:
            click.echo(f"{server} answers. This server may deliver to 127.0.0.0/8 and ::1; by default none may.")
            client, user, password = demo_client(settings, server)
            with client, receiver() as (listener, arrivals):
                forget_webhooks(client, user)
                try:
                    run = rehearse(client, listener, published, arrivals)
                    if not keep:
                        raise click.exceptions.Exit(0 if run.is_complete else 1)
                    click.echo(tour(client, user, password, listener.port))
                    watch(client, user, listener, arrivals)
                finally:
                    forget_webhooks(client, user)


def load_trace(path: Path, count: int | None) -> list[Event]:
    """Return `count` events of the trace, from its start again where it is shorter. Raises OperatorError."""
    with path.open(encoding="utf-8") as file:
        events = list(read_events(file, str(path)))
    if not events:
        raise OperatorError(f"{path}: there are no events")
    return list(itertools.islice(itertools.cycle(events), count or len(events)))


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP do what Ctrl-C does, so that the server is stopped in order."""

    def interrupt(_: int, __: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def receiver() -> Iterator[tuple[Listener, SimpleQueue[Arrival]]]:
    """Run a receiver on a free port, and yield it with the queue of what arrives."""
    arrivals: SimpleQueue[Arrival] = SimpleQueue()
    listener = Listener([], arrivals.put)
    listener.start()
    try:
        yield listener, arrivals
    finally:
        listener.stop()


def rehearse(client: Client, listener: Listener, events: Sequence[Event], arrivals: SimpleQueue[Arrival]) -> Run:
    """Register two webhooks, publish `events`, and show the figures."""
    target = pick_target(events)
    webhook_ids = register(client, target, f"http://127.0.0.1:{listener.port}")
    for webhook_id in webhook_ids:
        listener.trust(client.secret(webhook_id))
    click.echo(
        f"Two webhooks: one for every event, one for {target.pattern} in {target.project_id}:{target.repo_name}.\n"
    )
    run = Run(arrivals)
    columns = (TextColumn("{task.description:>20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, refresh_per_second=4) as progress:
        run_trace(client, events, run, progress)
    compare_with_logs(client, webhook_ids, run)
    Console().print(figures(run))
    return run


def register(client: Client, target: Target, url: str) -> list[str]:
    """Register the demo's webhooks and return their ids."""
    triggers = sorted(PUBLISHABLE_TYPES)
    everything = client.create(url=f"{url}/all", triggers=triggers, association_type="SYSTEM")
    some = client.create(
        url=f"{url}/some",
        triggers=triggers,
        association_type="REPO",
        association_id=f"{target.project_id}:{target.repo_name}",
        resource_key_pattern=target.pattern,
        token=new_id(),
        headers={"X-Demo": "yes"},
    )
    return [everything, some]


def figures(run: Run) -> Table:
    """Return the closing table."""
    table = Table(title="What happened", show_header=False)
    rows = {
        "events published": f"{len(run.sent_ns):,}",
        "matched (deliveries owed)": f"{run.matched:,}",
        "delivered, and on record": f"{run.delivered:,}",
        "failed": f"{run.failed:,}",
        "signatures verified": f"{len(run.arrived_ns):,} of {len(run.arrived_ns) + run.refused:,}",
        "rate in batches of 100": _rate(run),
        "latency in batches of 100": _latency(run.bulk_ms),
        f"latency, {SINGLES_A_SECOND} single events a second": _latency(run.single_ms),
    }
    for name, value in rows.items():
        table.add_row(name, value)
    table.caption = "Latency: from sending the publish call to the arrival at the receiver."
    return table


def _rate(run: Run) -> str:
    events = (len(run.sent_ns) - len(run.singles)) / run.bulk_s
    return f"{events:,.0f} events/s, {len(run.bulk_ms) / run.bulk_s:,.0f} deliveries/s"


def _latency(values: Sequence[float]) -> str:
    return f"p50 {percentile(values, 0.5):,.1f} ms, p99 {percentile(values, 0.99):,.1f} ms" if values else "-"


def watch(client: Client, user: str, listener: Listener, arrivals: SimpleQueue[Arrival]) -> None:
    """Print what arrives, until Ctrl-C; trust the webhooks that the user makes meanwhile."""
    known = {webhook.id for webhook in own_webhooks(client, user)}
    with suppress(KeyboardInterrupt):
        while True:
            with suppress(Empty):
                arrival = arrivals.get(timeout=LOOK_AGAIN_S)
                show(arrival, verbose=False)
                if arrival.problem is None:
                    continue
            for webhook in own_webhooks(client, user):
                if webhook.id not in known:
                    known.add(webhook.id)
                    listener.trust(client.secret(webhook.id))
    click.echo("\nStopping.")


def own_webhooks(client: Client, user: str) -> list[Webhook]:
    """Return the webhooks that the demo's user made; none while the server is away."""
    with suppress(ClientError):
        return [webhook for webhook in client.iter_webhooks() if webhook.created_by == user]
    return []


def forget_webhooks(client: Client, user: str) -> None:
    """Delete the webhooks that the demo's user made: nothing listens at their URLs any more."""
    for webhook in own_webhooks(client, user):
        with suppress(ClientError):
            client.delete(webhook.id)
