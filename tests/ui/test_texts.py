"""The texts of pages: each has its Chinese, and none is left over."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import Environment

from app.ui.menu import MENU
from app.ui.texts import LOCALE, catalogue

UI = Path(__file__).parents[2] / "app" / "ui"
CALLS = {"gettext", "ngettext", "_"}


def in_templates() -> Iterator[tuple[str, str]]:
    """Yield the texts of templates, and where each is; of two forms the plural."""
    env = Environment(extensions=["jinja2.ext.i18n", "jinja2.ext.do"])
    for path in sorted((UI / "templates").rglob("*.html")):
        for line, _, found in env.extract_translations(path.read_text()):
            forms = [found] if isinstance(found, str) else [part for part in found or () if part is not None]
            if forms:  # else the text is the value of an expression
                yield forms[-1], f"{path.name}:{line}"


def in_code() -> Iterator[tuple[str, str]]:
    """Yield the texts that Python code names as literals."""
    for path in sorted(UI.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            name = getattr(getattr(node, "func", None), "id", None)
            if isinstance(node, ast.Call) and name in CALLS:
                literal = node.args[1 if name == "ngettext" else 0]
                if isinstance(literal, ast.Constant):
                    yield literal.value, f"{path.name}:{node.lineno}"


def test_every_text_has_its_chinese() -> None:
    chinese = catalogue("zh")
    texts = [*in_templates(), *in_code(), *((entry.text, "menu") for entry in MENU)]
    assert len(texts) > 50
    assert sorted({f"{text!r} ({place})" for text, place in texts if text not in chinese}) == []


def test_the_chinese_has_the_same_placeholders() -> None:
    def places(text: str) -> list[str]:
        return sorted(re.findall(r"%(?:\(\w+\))?[sd]", text))

    wrong = [
        text
        for text, chinese in catalogue("zh").items()
        if set(places(text)) - {"%(num)s"} != set(places(chinese)) - {"%(num)s"}
    ]
    assert wrong == []


def test_no_text_is_given_twice_with_different_meanings() -> None:
    seen: dict[str, str] = {}
    for path in sorted((LOCALE / "zh").glob("*.json")):
        for text, chinese in json.loads(path.read_text()).items():
            assert seen.setdefault(text, chinese) == chinese, f"{path.name}: {text}"


@pytest.mark.parametrize("path", sorted((UI / "templates").rglob("*.html")), ids=lambda path: path.name)
def test_templates_have_nothing_that_the_policy_forbids(path: Path) -> None:
    source = path.read_text()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|hx-on|\|\s*safe\b|<script(?![^>]*\bsrc=)", source)
