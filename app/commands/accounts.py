"""`hookline user` and `hookline key`: what is done in the database itself."""

from collections.abc import Sequence

import click

from app import accounts
from app.clock import now_ms
from app.commands.options import data_option, open_database, password_from
from config.settings import Settings


@click.group()
def user() -> None:
    """Make users and give them rights."""


@user.command("create")
@click.argument("name")
@click.option("--admin", is_flag=True, help="Make an administrator.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input, not from a prompt.")
@data_option
@click.pass_obj
def create_user(settings: Settings, name: str, admin: bool, password_stdin: bool) -> None:
    """Make the user NAME."""
    password = password_from(password_stdin, confirm=True)
    with open_database(settings):
        accounts.create_user(name, password, admin=admin, now=now_ms())
    click.echo(f"Made {'administrator' if admin else 'user'} {name}.")


@user.command("grant")
@click.argument("name")
@click.argument("place", metavar="PROJECT[:REPO]")
@data_option
@click.pass_obj
def grant(settings: Settings, name: str, place: str) -> None:
    """Let the user NAME manage the webhooks of a project, or of one repository."""
    project_id, _, repo_name = place.partition(":")
    with open_database(settings):
        accounts.grant(name, project_id, repo_name, now_ms())
    click.echo(f"{name} manages {place}.")


@click.group()
def key() -> None:
    """Make access keys for platforms."""


@key.command("create")
@click.argument("app")
@click.option("--scope", "scopes", multiple=True, help="A right of the key, such as event:publish. Repeatable.")
@data_option
@click.pass_obj
def create_key(settings: Settings, app: str, scopes: Sequence[str]) -> None:
    """Make an access key for the platform APP and print it, once."""
    with open_database(settings):
        access_key, secret_key = accounts.create_access_key(app, scopes, now_ms())
    click.echo(f"Access key: {access_key}\nSecret key: {secret_key}")
    click.echo("The secret key is not shown again.", err=True)
