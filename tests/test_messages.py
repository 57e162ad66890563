"""The catalogue of messages: whole in both languages."""

import re
import string
from pathlib import Path

import pytest

from app.event_types import EVENT_TYPES
from app.messages import CATALOGUE, LANGUAGES, shown, text_of

SOURCES = sorted(Path(__file__).parent.parent.glob("app/**/*.py"))
# The reasons that code raises or maps: the second argument of an error of ours, or the second of a pair with a code.
_RAISED = re.compile(
    r"""(?:Request|NotFound|Forbidden|Conflict|Unauthenticated|TooManyRequests|TooLarge|UnsupportedBody|AccountError)\(
                         \s*\w+,\s*"(\w+)" | \(250\d\d\d,\s*"(\w+)"\)| err\(\d+,\s*\w+,\s*"(\w+)" |
                         return\s"(url_\w+)"|else\s"(url_\w+)" | \.fault\("(\w+)" |
                         :\s\((?:MISSING|EMPTY|INVALID),\s"(\w+)"\)""",
    re.X,
)


def placeholders(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def used_reasons() -> set[str]:
    found = _RAISED.findall("\n".join(source.read_text() for source in SOURCES))
    return {reason for groups in found for reason in groups if reason} | {
        f"association_{kind}" for kind in ("system", "project", "repo")
    }


def test_every_reason_that_is_used_is_in_the_catalogue_and_no_other() -> None:
    assert used_reasons() == set(CATALOGUE)


@pytest.mark.parametrize("reason", CATALOGUE)
def test_both_languages_say_the_same(reason: str) -> None:
    english, chinese = CATALOGUE[reason]
    assert placeholders(english) == placeholders(chinese)
    assert english.isascii()
    assert re.search("[\u4e00-\u9fff]", chinese)


def test_texts_name_what_they_are_given() -> None:
    params = {"field": "{url}", "limit": 5}
    assert text_of("too_long", "en", params) == "{url} is longer than 5 characters"
    assert text_of("too_long", "zh", params) == "参数 {url} 超过 5 个字符"
    assert LANGUAGES == ("en", "zh")


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", '"a"'), ('"\n\0', '"\\"\\n\\u0000"'), ("é", '"é"'), (5, "5"), ("x" * 1_000, '"' + "x" * 62 + "…")],
)
def test_values_are_shown_on_one_line_and_not_at_length(value: object, text: str) -> None:
    assert shown(value) == text


def test_event_types_are_no_longer_than_what_is_shown() -> None:
    assert all(len(shown(name)) == len(name) + 2 for name in EVENT_TYPES)
