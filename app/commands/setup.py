"""`hookline secret`, `hookline migrate` and `hookline release`: what comes before the processes start."""

import sys

import click
from cryptography.fernet import Fernet

from app import accounts
from app.clock import now_ms
from app.commands.honcho import is_under_honcho, stay
from app.commands.options import data_option, open_database
from app.database import connect
from app.errors import OperatorError
from app.models import database
from app.schema import state
from config.settings import Settings


@click.command()
def secret() -> None:
    """Make a key for HOOKLINE_SECRET_KEY and print it."""
    click.echo(Fernet.generate_key().decode())


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; fail where there is something to do.")
@data_option
@click.pass_obj
def migrate(settings: Settings, check: bool) -> None:
    """Bring the database up to date with this version."""
    if check:
        _check(settings)
        return
    with open_database(settings) as applied:
        click.echo(f"Applied {', '.join(applied)}." if applied else "The database is up to date.")


def _check(settings: Settings) -> None:
    connect(settings.database_url)
    try:
        found = state()
    finally:
        database.close()
    for name in found.missing:
        click.echo(f"missing: {name}")
    for name in found.unknown:
        click.echo(f"of a newer version: {name}")
    if any(found):
        sys.exit(1)
    click.echo("The database is up to date.")


@click.command()
@data_option
@click.pass_obj
def release(settings: Settings) -> None:
    """Do what a new release needs once: migrate, and make the first administrator where there is no user.

    The administrator is `admin` with the password HOOKLINE_ADMIN_PASSWORD.
    """
    with open_database(settings) as applied:
        click.echo(f"Applied {', '.join(applied)}." if applied else "The database is up to date.")
        if settings.admin_password is None and not accounts.has_users():
            raise OperatorError("HOOKLINE_ADMIN_PASSWORD is needed to make the first administrator")
        if not accounts.has_users():
            accounts.ensure_first_admin(settings.admin_password, now_ms())
            click.echo("Made the administrator admin.")
    if is_under_honcho():
        click.echo("The release is done; this waits, because honcho ends all processes when one of them ends.")
        stay()
