"""docs/cli.md is what the commands say."""

import pytest

from scripts.cli_help import MARKER, PAGE, made_page, main

pytestmark = pytest.mark.sqlite_only


def test_the_page_is_what_the_commands_say() -> None:
    page = PAGE.read_text()
    assert page.count(MARKER) == 1
    assert made_page(page) == page, "run scripts/cli-help"


def test_it_names_every_command() -> None:
    page = PAGE.read_text()
    for words in ("webhook rotate-secret", "delivery resend-failed", "serve", "profile add", "event rejected"):
        assert f" hookline {words}\n" in page


def test_checking_changes_nothing_and_tells(tmp_path: object, capsys: pytest.CaptureFixture[str]) -> None:
    before = PAGE.read_text()
    assert main(["--check"]) == 0
    assert PAGE.read_text() == before
