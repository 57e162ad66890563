"""`hookline user`: users, in the database itself; so it works before there is one, and while no server runs."""

from collections.abc import Iterator
from typing import Any

import click

from app import accounts, user_admin
from app.authentication import Caller
from app.clock import now_ms
from app.commands.arguments import confirm, yes_option
from app.commands.lazy import Lazy, lazy_group
from app.commands.options import data_option, open_database, password_from
from app.commands.output import Columns, json_option, print_fields, print_json, print_table, say
from app.commands.pages import every
from app.dates import to_iso
from app.errors import OperatorError
from app.user_admin import Place, UserRow
from config.settings import Settings

HERE = "app.commands.accounts:"
PAGE = 1_000
OPERATOR = Caller(user_id=None, admin=True, scopes=frozenset(), platform=False)  # whoever can open the database

user = lazy_group(
    "user",
    "Look after users and their rights, in the database itself.\n\nThe API takes up to a minute to see a changed"
    " password, a deleted user, or an administrator who is none any more.",
    {
        "create": Lazy(HERE + "create_user", "Make a user."),
        "delete": Lazy(HERE + "delete", "Delete a user, with the rights."),
        "demote": Lazy(HERE + "demote", "Take an administrator's rights away."),
        "grant": Lazy(HERE + "grant", "Let a user manage the webhooks of a project or repository."),
        "list": Lazy(HERE + "list_", "List users."),
        "password": Lazy(HERE + "password", "Give a user a new password."),
        "promote": Lazy(HERE + "promote", "Make a user an administrator."),
        "revoke": Lazy(HERE + "revoke", "Take a right away that was granted."),
        "show": Lazy(HERE + "show", "Show a user and the rights."),
    },
)

LISTED: Columns = {
    "name": lambda row: row["name"],
    "administrator": lambda row: row["admin"],
    "grants": lambda row: row["grants"],
    "created": lambda row: row["createdDate"],
}

place_argument = click.argument("place", metavar="PROJECT[:REPO]")


@click.command("create")
@click.argument("name")
@click.option("--admin", is_flag=True, help="Make an administrator.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input, not from a prompt.")
@data_option
@click.pass_obj
def create_user(settings: Settings, name: str, admin: bool, password_stdin: bool) -> None:
    """Make the user NAME."""
    given = password_from(password_stdin, confirm=True)
    with open_database(settings):
        accounts.create_user(name, given, admin=admin, now=now_ms())
    click.echo(f"Made {'administrator' if admin else 'user'} {name}.")


@click.command()
@click.argument("name")
@place_argument
@data_option
@click.pass_obj
def grant(settings: Settings, name: str, place: str) -> None:
    """Let the user NAME manage the webhooks of a project, or of one repository."""
    project_id, _, repo_name = place.partition(":")
    with open_database(settings):
        accounts.grant(name, project_id, repo_name, now_ms())
    click.echo(f"{name} manages {place}.")


@click.command()
@click.argument("name")
@place_argument
@data_option
@click.pass_obj
def revoke(settings: Settings, name: str, place: str) -> None:
    """Take a right away that was granted to the user NAME."""
    project_id, _, repo_name = place.partition(":")
    with open_database(settings):
        if not user_admin.revoke(name, project_id, repo_name):
            raise OperatorError(f"{name} holds no grant on {place}")
    click.echo(f"{name} no longer holds a grant on {place}.")


@click.command()
@click.argument("text", required=False, default="")
@json_option
@data_option
@click.pass_obj
def list_(settings: Settings, text: str, as_json: bool) -> None:
    """List users, or those with TEXT in the name."""
    with open_database(settings):
        found = every(lambda after: user_admin.page_of_users(text, after, PAGE), "")
        rows = [_record(row, settings) for row in found]
    if as_json:
        print_json(rows)
    elif rows:
        print_table(rows, LISTED)
    else:
        say("There is no such user.")


@click.command()
@click.argument("name")
@json_option
@data_option
@click.pass_obj
def show(settings: Settings, name: str, as_json: bool) -> None:
    """Show the user NAME, and what he may manage."""
    with open_database(settings):
        record = _record(user_admin.find_user(name), settings)
        record["manages"] = [_name_of(place) for place in _places_of(name)]
    if as_json:
        print_json(record)
    else:
        print_fields((key, value) for key, value in record.items() if key != "grants")


@click.command()
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input, not from a prompt.")
@data_option
@click.pass_obj
def password(settings: Settings, name: str, password_stdin: bool) -> None:
    """Give the user NAME a new password, of 8 characters at least. Sessions in the dashboard end."""
    with open_database(settings):
        user_admin.find_user(name)
        user_admin.set_password(OPERATOR, name, password_from(password_stdin, confirm=True))
    click.echo(f"{name} has a new password.")


@click.command()
@click.argument("name")
@data_option
@click.pass_obj
def promote(settings: Settings, name: str) -> None:
    """Make the user NAME an administrator."""
    with open_database(settings):
        user_admin.set_admin(OPERATOR, name, True)
    click.echo(f"{name} is an administrator.")


@click.command()
@click.argument("name")
@data_option
@click.pass_obj
def demote(settings: Settings, name: str) -> None:
    """Take the rights of an administrator away from the user NAME. One administrator is always left."""
    with open_database(settings):
        user_admin.set_admin(OPERATOR, name, False)
    click.echo(f"{name} is no administrator.")


@click.command()
@click.argument("name")
@yes_option
@data_option
@click.pass_obj
def delete(settings: Settings, name: str, yes: bool) -> None:
    """Delete the user NAME, with the rights. Webhooks that he made stay. One administrator is always left."""
    with open_database(settings):
        user_admin.find_user(name)
        confirm(f"Delete the user {name}?", yes)
        user_admin.delete_user(OPERATOR, name)
    click.echo(f"{name} is deleted.")


def _record(row: UserRow, settings: Settings) -> dict[str, Any]:
    created = to_iso(row.created_at, settings.timezone)
    return {"name": row.name, "admin": row.admin, "grants": row.grants, "createdDate": created}


def _places_of(name: str) -> Iterator[Place]:
    def page(after: tuple[str, str]) -> tuple[list[Place], tuple[str, str] | None]:
        places, last = user_admin.places_of(name, after, PAGE)
        return places, None if last is None else (last.project_id, last.repo_name)

    return every(page, ("", ""))


def _name_of(place: Place) -> str:
    return f"{place.project_id}:{place.repo_name}" if place.repo_name else place.project_id
