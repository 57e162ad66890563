"""Text from outside, as it is shown."""

import pytest

from app.shown_text import MOST_SHOWN, Shown, indented, shown, visible


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain text\twith\na line", "plain text\twith\na line"),
        ("中文 ä 🎉 مرحبا", "中文 ä 🎉 مرحبا"),
        ("a\r\nb\rc", "a\nb‹U+000D›c"),
        ("\x00\x1b[31m\x7f\x9b", "‹U+0000›‹U+001B›[31m‹U+007F›‹U+009B›"),
        ("user\u202etxt.exe", "user‹U+202E›txt.exe"),
        ("\u2066\u2069\u200f\u061c", "‹U+2066›‹U+2069›‹U+200F›‹U+061C›"),
        ("a\u200bb\ufeffc\u00add\u2028e", "a‹U+200B›b‹U+FEFF›c‹U+00AD›d‹U+2028›e"),
        ("\U000e0041\ud800\ue000", "‹U+E0041›‹U+D800›‹U+E000›"),
        ("a\u00a0b\u3000c", "a\u00a0b\u3000c"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
    ],
)
def test_what_can_not_be_seen_is_shown_by_its_number(text: str, expected: str) -> None:
    assert visible(text) == expected


def test_json_is_indented_and_nothing_in_it_changes() -> None:
    text = r'{"b":12345678901234567890123,"a":1.10,"a":1E400,"z":-0.0,"s":"\u4e2d\/\u202e","o":{},"l":[],"n":[1,null]}'
    assert indented(text) == "\n".join(
        [
            "{",
            '  "b": 12345678901234567890123,',
            '  "a": 1.10,',
            '  "a": 1E400,',
            '  "z": -0.0,',
            r'  "s": "\u4e2d\/\u202e",',
            '  "o": {},',
            '  "l": [],',
            '  "n": [',
            "    1,",
            "    null",
            "  ]",
            "}",
        ]
    )


@pytest.mark.parametrize(
    "text",
    ["", " ", "{", "{}{}", "NaN", "<html>", "{'a':1}", '{"a":1,}', "\ufeff{}", "[" * 9_999 + "]" * 9_999, "\ud800"],
)
def test_what_is_no_json_stays_as_it_is(text: str) -> None:
    assert indented(text) is None
    assert not shown(text).is_json


def test_what_hides_in_a_string_of_json_is_shown_too() -> None:
    assert shown('{"a":"x\u202ey"}').text == '{\n  "a": "x‹U+202E›y"\n}'


def test_a_text_says_what_became_of_it() -> None:
    assert shown("né") == Shown("né", is_whole=True, size=3, is_json=False, has_lost=False)
    long = shown("x" * (MOST_SHOWN + 1))
    assert (len(long.text), long.size, long.is_whole) == (MOST_SHOWN, MOST_SHOWN + 1, False)
    assert shown("{}x", 2).text == "{}"
    assert shown("a\ufffdb").has_lost


def test_64_kib_of_bytes_are_shown() -> None:
    binary = (bytes(range(256)) * 256).decode("utf-8", "replace")
    text = shown(binary).text
    assert all(character.isprintable() for character in text.replace("\n", "").replace("\t", ""))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a":1e5,"a":[1.0]}', '{\n  "a": 1e5,\n  "a": [\n    1.0\n  ]\n}'),
        ("no JSON", "no JSON"),
        ('{"cut', '{"cut'),
        ("", ""),
    ],
)
def test_json_is_indented_and_the_rest_left_as_it_is(text: str, expected: str) -> None:
    assert shown(text, 1_000)[:2] == (expected, True)


def test_what_nests_too_deeply_is_left_as_it_is() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    assert shown(deep, 200_000)[:2] == (deep, True)


def test_a_long_text_is_cut() -> None:
    assert shown("x" * 11, 10)[:2] == ("x" * 10, False)
