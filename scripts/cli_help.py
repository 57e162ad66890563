"""The help of every command, as a part of docs/cli.md: scripts/cli-help."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from app.cli import main as hookline

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
MARKER = "<!-- What follows is made by scripts/cli-help. -->\n"
WIDTH = 100


def walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield a command and all below it that lists show, each with its words."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                yield from walk(found, (*path, name))


def help_of(command: click.Command, path: tuple[str, ...]) -> str:
    """Return what `--help` prints, at a width of its own."""
    names = hookline.context_settings["help_option_names"]
    context = click.Context(command, info_name=" ".join(path), terminal_width=WIDTH, help_option_names=names)
    return "\n".join(line.rstrip() for line in command.get_help(context).splitlines())


def reference() -> str:
    """Return the part of the page that is made."""
    parts = [MARKER]
    for path, command in walk(hookline, ("hookline",)):
        parts.append(f"\n{'#' * min(len(path) + 1, 4)} {' '.join(path)}\n\n```text\n{help_of(command, path)}\n```\n")
    return "".join(parts)


def made_page(page: str) -> str:
    """Return the page with its reference made anew."""
    introduction, _, _ = page.partition(MARKER)
    return introduction + reference()


def main(arguments: list[str]) -> int:
    """Write the page, or with --check return 1 where it is not as it should be."""
    page = PAGE.read_text()
    made = made_page(page)
    if arguments == ["--check"]:
        if made != page:
            print("docs/cli.md is not what the commands say; run scripts/cli-help", file=sys.stderr)
        return int(made != page)
    PAGE.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
