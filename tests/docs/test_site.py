"""The documentation as a site: whole, and every link in it leads somewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import PROSE, ROOT

pytestmark = pytest.mark.sqlite_only

MKDOCS = str(Path(sys.executable).parent / "mkdocs")
_CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    command = [MKDOCS, "build", "--strict", "--config-file", "config/mkdocs.yml", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, timeout=100
    )
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    pages = sorted(path.name for path in (tmp_path / "site").glob("*.html"))
    assert "getting-started.html" in pages
    assert (tmp_path / "site" / "search" / "search_index.json").stat().st_size > 10_000


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.name)
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    prose = _CODE.sub("", page.read_text(encoding="utf-8"))
    links = [link for link in _LINK.findall(prose) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []
