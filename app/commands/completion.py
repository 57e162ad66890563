"""`hookline completion`."""

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes commands, options, event types, profiles and ids of webhooks in a shell.

    \b
    bash:  hookline completion bash > ~/.local/share/bash-completion/completions/hookline
    zsh:   hookline completion zsh > "${fpath[1]}/_hookline"
    fish:  hookline completion fish > ~/.config/fish/completions/hookline.fish
    """
    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"{shell} is not supported.")
    click.echo(made(context.find_root().command, {}, "hookline", "_HOOKLINE_COMPLETE").source())
