"""What shells are offered."""

import time
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from app.cli import COMMANDS, main
from tests.commands.conftest import Run, ok
from tests.server import PASSWORD, Server

pytestmark = pytest.mark.sqlite_only


def offered(*words: str, incomplete: str = "") -> list[str]:
    complete = ShellComplete(main, {}, "hookline", "_HOOKLINE_COMPLETE")
    return [item.value for item in complete.get_completions(list(words), incomplete)]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_calls_hookline_back(bare: Run, shell: str) -> None:
    assert f"_HOOKLINE_COMPLETE={shell}_complete" in ok(bare("completion", shell))


def test_commands_and_what_is_below_them() -> None:
    assert offered(incomplete="we") == ["web", "webhook"]
    assert "events" not in offered()
    assert "rotate-secret" in offered("webhook")
    assert "--profile" in offered("webhook", "list", incomplete="--")


def test_event_types() -> None:
    assert offered("webhook", "create", "--trigger", incomplete="node_d") == ["NODE_DELETED", "NODE_DOWNLOADED"]
    assert offered("trigger", incomplete="SCAN") == ["SCAN_TRIGGERED", "SCAN_FINISHED"]


def test_profiles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert offered("logs", "--profile") == []
    (tmp_path / "hookline").mkdir()
    (tmp_path / "hookline" / "config.toml").write_text("[profiles.prod]\nserver = 'http://x'\n")
    assert offered("logs", "--profile") == ["prod"]


def test_ids_of_webhooks_where_the_server_can_be_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: Server, webhook: str
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "*")
    assert offered("webhook", "show", "--user", "admin") == []
    monkeypatch.setenv("HOOKLINE_SERVER", f"http://127.0.0.1:{server.port}")
    monkeypatch.setenv("HOOKLINE_USER", "admin")
    monkeypatch.setenv("HOOKLINE_PASSWORD", PASSWORD)
    assert webhook in offered("webhook", "show")
    assert offered("webhook", "show", incomplete=webhook) == [webhook]
    monkeypatch.setenv("HOOKLINE_SERVER", "http://127.0.0.1:1")
    started = time.monotonic()
    assert offered("webhook", "show") == []
    assert time.monotonic() - started < 3


def test_every_line_of_a_list_is_short_and_every_name_leads_to_a_command() -> None:
    def check(group: click.Group) -> None:
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            if isinstance(command, click.Group):
                check(command)

    check(main)
    assert all(entry.hidden or 10 < len(entry.summary) <= 66 for entry in COMMANDS.values())
