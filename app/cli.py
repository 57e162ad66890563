"""`hookline`: the command line.

Commands that run worker code come from the entry point group `hookline.commands`, because `app` never imports
`workers`. A failure is one line on standard error and a non-zero exit.
"""

from importlib.metadata import entry_points, version

import click
import peewee
from hookline_client import ClientError

from app.commands.accounts import key, user
from app.commands.demo import demo
from app.commands.events import events
from app.commands.failures import describe
from app.commands.listen import listen
from app.commands.options import data_option
from app.commands.publish import publish
from app.commands.setup import migrate, release, secret
from app.errors import HooklineError
from config.settings import SettingsError

INTERRUPTED = 130  # 128 + SIGINT, as shells report it


class CommandLine(click.Group):
    """The commands of this package and those that other packages register."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in order."""
        return sorted({*super().list_commands(ctx), *entry_points(group="hookline.commands").names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; a registered one is loaded when it is asked for, and given --data."""
        found = super().get_command(ctx, cmd_name)
        if found is not None:
            return found
        for entry in entry_points(group="hookline.commands", name=cmd_name):
            command: click.Command = entry.load()
            if not any(parameter.name == "data" for parameter in command.params):
                data_option(command)
            self.add_command(command, cmd_name)
            return command
        return None

    def invoke(self, ctx: click.Context) -> object:
        """Run a command, and turn what operators can act upon into one line."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # click ends quietly: the reader had enough
        except (KeyboardInterrupt, click.Abort) as error:
            if isinstance(error, KeyboardInterrupt) or isinstance(error.__context__, KeyboardInterrupt):
                raise click.exceptions.Exit(INTERRUPTED) from error
            raise
        except (HooklineError, SettingsError, ClientError, OSError, peewee.DatabaseError) as error:
            raise click.ClickException(describe(error)) from error


@click.group(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("hookline"), prog_name="hookline", message="%(prog)s %(version)s")
def main() -> None:
    """Deliver the events of an artifact repository to webhooks."""


for command in (user, key, secret, migrate, release, publish, events, listen, demo):
    main.add_command(command)

if __name__ == "__main__":
    main()
