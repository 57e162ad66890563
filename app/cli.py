"""`hookline`: the command line.

Each command is loaded when it is asked for. Commands that run worker code come from the entry point group
`hookline.commands`, because `app` never imports `workers`. A failure is one line on standard error and exit status 1; a
wrong use is 2, an interrupt 130.
"""

from importlib.metadata import entry_points
from typing import Final

import click

from app.commands.lazy import Lazy, LazyGroup

INTERRUPTED = 130  # 128 + SIGINT, as shells report it
REGISTERED = "hookline.commands"

COMMANDS: Final = {
    "completion": Lazy("app.commands.completion:completion", "Print the script that completes commands in a shell."),
    "delivery": Lazy("app.commands.delivery:delivery", "See where deliveries are, and have them sent again."),
    "demo": Lazy("app.commands.demo:demo", "Watch the whole service at work on this machine."),
    "doctor": Lazy("app.commands.doctor:doctor", "Check the installation, and say how to mend it."),
    "event": Lazy("app.commands.event:event", "Find events, see where they went, and replay them."),
    "events": Lazy("app.commands.event:event", hidden=True),
    "health": Lazy("app.commands.health:health", "Say whether a process of this host is alive."),
    "import": Lazy("app.commands.importing:import_", "Make webhooks from an export of bk-repo's."),
    "job": Lazy("app.commands.job:job", "Look after the jobs that resend and replay."),
    "key": Lazy("app.commands.keys:key", "Look after access keys, in the database itself."),
    "listen": Lazy("app.commands.listen:listen", "Receive deliveries on this machine, without a public address."),
    "log": Lazy("app.commands.log:log", "See attempts, and make one again."),
    "logs": Lazy("app.commands.log:list_", "Show the newest attempts, with --follow those to come."),
    "migrate": Lazy("app.commands.setup:migrate", "Bring the database up to date with this version."),
    "profile": Lazy("app.commands.profile:profile", "Keep servers and callers by name."),
    "publish": Lazy("app.commands.publish:publish", "Publish events from a file."),
    "release": Lazy("app.commands.setup:release", "Migrate, and make the first administrator."),
    "scheduler": Lazy("", "Run a scheduler: sweep, count, prune."),
    "secret": Lazy("app.commands.setup:secret", "Make a key for HOOKLINE_SECRET_KEY."),
    "serve": Lazy("", "Run the whole service in one process."),
    "trigger": Lazy("app.commands.trigger:trigger", "Publish a realistic event, and see where it goes."),
    "user": Lazy("app.commands.accounts:user", "Look after users, in the database itself."),
    "web": Lazy("", "Run HTTP servers."),
    "webhook": Lazy("app.commands.webhook:webhook", "Register webhooks, change, test and delete them."),
    "worker": Lazy("", "Run workers: deliver."),
}


class CommandLine(LazyGroup):
    """The commands of this package and those that other packages register."""

    def shown(self) -> dict[str, str]:
        """Return the names that lists show; one registered by others is loaded for its line."""
        lines = super().shown()
        for entry in entry_points(group=REGISTERED):
            if entry.name not in lines:
                lines[entry.name] = self._registered(entry.name).get_short_help_str(limit=70)
        return dict(sorted(lines.items()))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, loading it; one registered by others is given --data."""
        entry = self.lazy.get(cmd_name)
        if entry is not None and entry.place:
            return entry.load()
        return self._registered(cmd_name) if cmd_name in entry_points(group=REGISTERED).names else None

    def _registered(self, name: str) -> click.Command:
        from app.commands.options import data_option

        command: click.Command = entry_points(group=REGISTERED)[name].load()
        if not any(parameter.name == "data" for parameter in command.params):
            data_option(command)
        return command

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
        except (click.ClickException, click.exceptions.Exit):
            raise
        except Exception as error:
            from app.commands.failures import describe, is_expected  # what it imports is not for those who succeed

            if is_expected(error):
                raise click.ClickException(describe(error)) from error
            raise


@click.group(cls=CommandLine, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hookline", prog_name="hookline", message="%(prog)s %(version)s")
def main() -> None:
    """Deliver the events of an artifact repository to webhooks.

    Commands about webhooks, events, deliveries, logs and jobs call a server over HTTP; say which, and as whom, by
    --server and --user, the environment (HOOKLINE_SERVER, HOOKLINE_USER, HOOKLINE_PASSWORD), or a profile.
    """


if __name__ == "__main__":
    main(prog_name="hookline")
