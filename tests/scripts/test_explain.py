"""scripts/explain and the page that it makes."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from scripts import backends

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "queries.md").read_text()


def headings(page: str) -> list[str]:
    return re.findall("^#.*$", page, re.MULTILINE)


def test_the_page_shows_a_plan_of_each_database_for_every_call() -> None:
    calls = PAGE.split("\n### ")[1:]
    assert len(calls) > 30
    for call in calls:
        for kind in ("SQLite", "PostgreSQL", "MariaDB"):
            assert f"\n{kind} " in call, call.splitlines()[0]


@pytest.mark.slow
def test_it_makes_the_page_that_is_there() -> None:
    done = subprocess.run(["scripts/explain", "--logs", "2000"], cwd=ROOT, capture_output=True, text=True, timeout=110)
    if done.returncode and backends.BackendError.__name__ in done.stderr and os.environ.get("REQUIRE_SERVICES") != "1":
        pytest.skip(done.stderr.splitlines()[-1])
    assert done.returncode == 0, done.stderr
    assert headings(done.stdout) == headings(PAGE)
    assert "The database holds 2,000 logs" in done.stdout
