"""The lines of docs/operations.md that back a database server up and restore it, run as they stand there."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from app.database import connect
from app.models import Event, WebhookLog, database
from app.schema import migrate, require_current
from tests import rows
from tests.conftest import Place
from tests.docs.pages import ROOT, blocks_of
from tests.empty_database import empty_database

PROGRAMS = {"postgres": "pg_", "mariadb": "mariadb"}
AT = 1_700_000_000_000


@pytest.fixture
def on_server() -> None:
    """For what is about database servers alone."""


def commands(kind: str) -> tuple[str, str]:
    """Return the line that dumps and the one that restores."""
    [block] = [
        block
        for block in blocks_of(ROOT / "docs" / "operations.md")
        if block.language == "text" and block.text.startswith(PROGRAMS[kind])
    ]
    dump, restore = block.text.strip().splitlines()
    return dump, restore


def run(line: str, kind: str, url: str, directory: Path) -> None:
    parts = urlsplit(url)
    if kind == "mariadb":
        place = {"host": parts.hostname, "port": parts.port, "user": parts.username}
        lines = [f"{name} = {value}" for name, value in place.items()]
        password = unquote(parts.password or "")
        (directory / "hookline.cnf").write_text(
            "\n".join(["[client]", *lines, f"password = {password}", "ssl = 0", ""])
        )
        line = re.sub(r"\bhookline (?=[<>])", f"{parts.path[1:]} ", line)
    environ = {"DATABASE_URL": url, "PATH": "/usr/bin:/bin:/usr/local/bin"}
    done = subprocess.run(["bash", "-c", line], cwd=directory, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_backup_of_the_server_restores_all_of_it(database_place: Place, on_server: None, tmp_path: Path) -> None:
    kind = database_place.kind
    dump, restore = commands(kind)
    if shutil.which(shlex.split(dump)[0]) is None:
        pytest.skip(f"{shlex.split(dump)[0]} is not here")
    with empty_database(database_place, tmp_path) as url:
        connect(url)
        migrate()
        rows.write_events([("kept", AT)], payload='{"name": "路径 😀"}')
        rows.log("w", "kept", "d", AT)
        run(dump, kind, url, tmp_path)
        for table in Event, WebhookLog:
            table.delete().execute()
        rows.write_events([("after the backup", AT + 1)])
        database.close()
        run(restore, kind, url, tmp_path)
        connect(url)
        require_current()
        assert [(event.id, event.payload) for event in Event.select()] == [("kept", '{"name": "路径 😀"}')]
        assert [log.event_id for log in WebhookLog.select()] == ["kept"]
