"""Groups of commands that are loaded when they are asked for: a command costs what it imports, and no other's."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem


class Lazy(NamedTuple):
    """Where a command is, as `module:attribute`, and the line that lists show. `hidden`: a name of earlier versions."""

    place: str
    summary: str = ""
    hidden: bool = False

    def load(self) -> click.Command:
        """Return the command."""
        module, _, attribute = self.place.partition(":")
        found: click.Command = getattr(import_module(module), attribute)
        return found


class LazyGroup(click.Group):
    """A group whose commands stand in the table `lazy`, by name."""

    def __init__(self, *args: Any, lazy: Mapping[str, Lazy], **options: Any) -> None:
        super().__init__(*args, **options)
        self.lazy = lazy

    def shown(self) -> dict[str, str]:
        """Return the names that lists show, in order, each with its line; nothing is loaded for it."""
        return {name: entry.summary for name, entry in sorted(self.lazy.items()) if not entry.hidden}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in order."""
        return list(self.shown())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, loading it."""
        entry = self.lazy.get(cmd_name)
        return super().get_command(ctx, cmd_name) if entry is None else entry.load()

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.shown().items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return what a shell offers at this place."""
        names = [CompletionItem(name, help=line) for name, line in self.shown().items() if name.startswith(incomplete)]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]


def lazy_group(name: str, text: str, commands: Mapping[str, Lazy]) -> LazyGroup:
    """Return a group with this help text."""
    return LazyGroup(name, help=text, lazy=commands)
