"""`hookline key`: the access keys of platforms, in the database itself."""

from collections.abc import Sequence

import click

from app import accounts, user_admin
from app.clock import now_ms
from app.commands.arguments import confirm, yes_option
from app.commands.lazy import Lazy, lazy_group
from app.commands.options import data_option, open_database
from app.commands.output import Columns, json_option, print_json, print_table, say
from app.commands.pages import every
from app.dates import to_iso
from app.errors import OperatorError
from config.settings import Settings

HERE = "app.commands.keys:"
PAGE = 1_000

key = lazy_group(
    "key",
    "Look after the access keys of platforms, in the database itself.",
    {
        "create": Lazy(HERE + "create_key", "Make an access key for a platform."),
        "delete": Lazy(HERE + "delete", "Delete an access key."),
        "list": Lazy(HERE + "list_", "List access keys."),
    },
)

LISTED: Columns = {
    "access key": lambda row: row["accessKey"],
    "platform": lambda row: row["app"],
    "scopes": lambda row: row["scopes"],
    "created": lambda row: row["createdDate"],
}


@click.command("create")
@click.argument("app")
@click.option("--scope", "scopes", multiple=True, help="A right of the key, such as event:publish. Repeatable.")
@json_option
@data_option
@click.pass_obj
def create_key(settings: Settings, app: str, scopes: Sequence[str], as_json: bool) -> None:
    """Make an access key for the platform APP and print it, once."""
    with open_database(settings):
        access_key, secret_key = accounts.create_access_key(app, scopes, now_ms())
    if as_json:
        print_json({"accessKey": access_key, "secretKey": secret_key, "app": app, "scopes": list(scopes)})
    else:
        click.echo(f"Access key: {access_key}\nSecret key: {secret_key}")
    say("The secret key is not shown again.")


@click.command()
@json_option
@data_option
@click.pass_obj
def list_(settings: Settings, as_json: bool) -> None:
    """List access keys, by platform. Their secret keys are kept nowhere."""
    with open_database(settings):
        found = list(every(lambda after: user_admin.page_of_keys(after, PAGE), ""))
    rows = [
        {
            "accessKey": row.access_key,
            "app": row.app,
            "scopes": row.scopes,
            "createdDate": to_iso(row.created_at, settings.timezone),
        }
        for row in sorted(found, key=lambda row: (row.app, row.created_at))
    ]
    if as_json:
        print_json(rows)
    elif rows:
        print_table(rows, LISTED)
    else:
        say("There is no access key.")


@click.command()
@click.argument("access_key")
@yes_option
@data_option
@click.pass_obj
def delete(settings: Settings, access_key: str, yes: bool) -> None:
    """Delete an access key. The API takes up to a minute to see it."""
    confirm(f"Delete the access key {access_key}?", yes)
    with open_database(settings):
        if not user_admin.revoke_key(access_key):
            raise OperatorError(f"there is no access key {access_key}")
    click.echo(f"{access_key} is deleted.")
