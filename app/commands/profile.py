"""`hookline profile`: servers and callers by name."""

import os
from dataclasses import replace

import click
from hookline_client import Client

from app.commands.calling import profile_names
from app.commands.lazy import Lazy, lazy_group
from app.commands.options import password_from
from app.commands.output import Columns, print_json, print_table, say
from app.commands.profiles import Profile, Profiles, check_name, config_path, read_profiles, write_profiles

HERE = "app.commands.profile:"

profile = lazy_group(
    "profile",
    "Keep servers and callers by name, for --profile NAME and HOOKLINE_PROFILE.\n\nThey are in"
    " $XDG_CONFIG_HOME/hookline/config.toml (else ~/.config), which is readable for you alone. A password in it is"
    " plain text; --password-env keeps only the name of a variable, and --no-password has it asked for each time.",
    {
        "add": Lazy(HERE + "add", "Add a profile, or replace it."),
        "list": Lazy(HERE + "list_", "List the profiles."),
        "remove": Lazy(HERE + "remove", "Remove a profile."),
        "use": Lazy(HERE + "use", "Make a profile the one that is used where none is named."),
    },
)

LISTED: Columns = {
    "": lambda row: "*" if row["default"] else "",
    "name": lambda row: row["name"],
    "server": lambda row: row["server"],
    "as": lambda row: row["user"] or row["accessKey"],
    "password": lambda row: row["password"],
}

name_argument = click.argument("name", shell_complete=profile_names)


@click.command()
@click.argument("name")
@click.option("--server", metavar="URL", required=True, help="Address of the server, https://hooks.example.com say.")
@click.option("--user", help="The user who calls, or whom the platform acts for.")
@click.option("--access-key", metavar="KEY", help="A platform's key; the password is then its secret key.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--password-env", metavar="VARIABLE", help="Keep only the name of the variable that holds it.")
@click.option("--no-password", is_flag=True, help="Keep none: it is asked for each time.")
@click.option("--ca-file", type=click.Path(exists=True, resolve_path=True), help="PEM file of authorities to trust.")
def add(
    name: str,
    server: str,
    user: str | None,
    access_key: str | None,
    password_stdin: bool,
    password_env: str | None,
    no_password: bool,
    ca_file: str | None,
) -> None:
    """Add a profile, or replace it. The first one becomes the default. The password is asked for.

    \b
    Examples:
      hookline profile add prod --server https://hooks.example.com --user amy
      hookline profile add ci --server https://hooks.example.com --user ci --password-env CI_HOOKLINE_PASSWORD
    """
    if not (user or access_key):
        raise click.UsageError("Give --user or --access-key.")
    if password_stdin + bool(password_env) + no_password > 1:
        raise click.UsageError("Give one of --password-stdin, --password-env and --no-password.")
    keeps_none = no_password or password_env
    made = Profile(
        server=server,
        user=user,
        access_key=access_key,
        secret=None if keeps_none else password_from(password_stdin, confirm=False),
        secret_env=password_env,
        ca_file=ca_file,
    )
    check_name(name)
    Client(server).close()  # which says what is wrong with an address
    path = config_path(os.environ)
    known = read_profiles(path)
    write_profiles(path, Profiles({**known.by_name, name: made}, known.default or name))
    say(f"Profile {name} is in {path}." + (" Its password is there in plain text." if made.secret else ""))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List the profiles. Passwords are not shown."""
    known = read_profiles(config_path(os.environ))
    rows = [
        {
            "name": name,
            "default": name == known.default,
            "server": each.server,
            "user": each.user,
            "accessKey": each.access_key,
            "password": "kept" if each.secret else f"in ${each.secret_env}" if each.secret_env else "asked for",
            "caFile": each.ca_file,
        }
        for name, each in sorted(known.by_name.items())
    ]
    if as_json:
        print_json(rows)
    elif rows:
        print_table(rows, LISTED)
    else:
        say("There is no profile.")


@click.command()
@name_argument
def use(name: str) -> None:
    """Make a profile the one that is used where none is named."""
    path = config_path(os.environ)
    known = read_profiles(path)
    known.get(name)
    write_profiles(path, replace(known, default=name))
    say(f"{name} is the default now.")


@click.command()
@name_argument
def remove(name: str) -> None:
    """Remove a profile, with the password that it keeps."""
    path = config_path(os.environ)
    known = read_profiles(path)
    known.get(name)
    rest = {each: value for each, value in known.by_name.items() if each != name}
    write_profiles(path, Profiles(rest, None if known.default == name else known.default))
    say(f"Profile {name} is removed.")
