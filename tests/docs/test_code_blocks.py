"""Every code block of the documentation: what can be run is run, the rest is read as what it claims to be."""

import configparser
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import PROSE, ROOT, Block, blocks_of, script_of
from tests.server import PASSWORD, Server, free_port, serving

pytestmark = pytest.mark.sqlite_only

BIN = str(Path(sys.executable).parent)
TIMEOUT_S = 90
# Run elsewhere: README.md by tests/scripts, producers.md by tests/test_producers.py (with a Redis), operations.md's
# dumps of servers by tests/docs/test_backup.py, the client's by tests/client.
ELSEWHERE = {"README.md", "producers.md"}
RUNNABLE = [
    page
    for page in PROSE
    if page.name not in ELSEWHERE and any(block.language in {"bash", "python"} for block in blocks_of(page))
]
READABLE = {"json", "yaml", "toml", "ini"}
KNOWN = READABLE | {"bash", "python", "text", "mermaid", "dockerfile", "jinja", "promql"}


def every_block(languages: set[str]) -> list[tuple[str, Block]]:
    return [
        (str(page.relative_to(ROOT)), block)
        for page in PROSE
        for block in blocks_of(page)
        if block.language in languages
    ]


def place(value: object) -> str:
    return value if isinstance(value, str) else f"line {value.line}" if isinstance(value, Block) else ""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that pages call at 127.0.0.1:8080."""
    with serving(tmp_path_factory.mktemp("docs") / "data") as started:
        yield started


def test_every_code_block_says_what_it_is() -> None:
    unknown = [(page.name, b.line, b.language) for page in PROSE for b in blocks_of(page) if b.language not in KNOWN]
    assert unknown == []


@pytest.mark.parametrize(("page", "block"), every_block(READABLE), ids=place)
def test_what_is_not_run_is_well_formed(page: str, block: Block) -> None:
    read = {"json": json.loads, "yaml": lambda text: list(yaml.safe_load_all(text)), "toml": tomllib.loads}
    if block.language == "ini":
        read_ini = configparser.ConfigParser(strict=False, interpolation=None, delimiters=["="])
        read_ini.read_string(block.text)
        assert all(read_ini[section] for section in read_ini.sections())
    elif block.language == "json":
        for document in re.split(r"\n\s*\n", block.text.strip()):
            assert json.loads(document) is not None
    else:
        assert read[block.language](block.text)


@pytest.mark.slow
@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: page.name)
def test_every_page_runs_as_it_stands(page: Path, server: Server, tmp_path: Path) -> None:
    text = script_of(page)
    starts_its_own = "hookline serve" in text
    ports = {"8080": str(free_port() if starts_its_own else server.port)}
    ports |= {port: str(free_port()) for port in ("3000", "5000", "5001", "9000")}
    text = re.sub(r"\b(8080|3000|5000|5001|9000)\b", lambda found: ports[found[0]], text)
    # Nothing may outlive a failed run, and what a page starts in the background may still run at its end.
    script = f"set -euo pipefail\nset -m\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{text}\n"
    environ = {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "PYTHONWARNINGS": "error",
        "HOOKLINE_SERVER": f"http://127.0.0.1:{server.port}",
        "HOOKLINE_USER": "admin",
        "HOOKLINE_PASSWORD": PASSWORD,
    }
    with subprocess.Popen(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=TIMEOUT_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, output
