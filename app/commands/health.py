"""`hookline health`: for container probes, is a process of a role alive on this host, and does its work go on."""

import socket
import sys

import click
import peewee

from app.commands.options import data_option
from app.database import connect
from app.errors import DatabaseUnavailable, OperatorError
from app.models import database
from app.presence import ROLES, Process, running_processes
from config.settings import Settings

DEAD = 1
UNKNOWN = 2


@click.command()
@click.option("--role", type=click.Choice(ROLES), required=True, help="What the process does.")
@data_option
@click.pass_obj
def health(settings: Settings, role: str) -> None:
    """Say whether a process of this host is alive and its loops move, by the sign of life that it gives each 10 s.

    The exit status is 0 where one is, 1 where none is, 2 where the database is away and nobody can tell.
    """
    try:
        connect(settings.database_url)
        with database.connection_context():
            found = running_processes()
    except (DatabaseUnavailable, OperatorError, peewee.DatabaseError) as error:
        click.echo(f"{role}: unknown: {error}", err=True)
        sys.exit(UNKNOWN)
    is_alive, text = verdict(found, role, socket.gethostname()[:255])
    click.echo(text)
    sys.exit(0 if is_alive else DEAD)


def verdict(processes: list[Process], role: str, host: str) -> tuple[bool, str]:
    """Return whether one of `processes` does the work of `role` on `host`, and that in words. Pure."""
    here = [process for process in processes if process.host == host and process.has_role(role)]
    alive = [process for process in here if process.is_alive]
    if not here:
        return False, f"{role}: no process of this host has been seen within the last hour"
    seen = f"seen {min(process.silent_ms for process in here) / 1000:.0f} s ago"
    if not alive:
        return False, f"{role}: ended or stuck, {seen}"
    return True, f"{role}: {len(alive)} alive, {seen}"
