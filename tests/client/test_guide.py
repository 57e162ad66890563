"""The programs in the client's README and guide, run as they stand there."""

import re
from pathlib import Path

import pytest

from tests.server import PASSWORD, Server

pytestmark = [pytest.mark.sqlite_only, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
PROGRAMS = [
    pytest.param(program, id=f"{page}-{number}")
    for page in ("app/client/README.md", "docs/client.md")
    for number, program in enumerate(re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), re.M | re.S))
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_runs(service: Server, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOKLINE_PASSWORD", PASSWORD)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    exec(
        compile(program.replace("http://127.0.0.1:8080", f"http://127.0.0.1:{service.port}"), "guide", "exec"),
        {"__name__": "__main__"},
    )
