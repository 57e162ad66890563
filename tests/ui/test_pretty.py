"""JSON as people read it."""

import pytest

from app.ui.pretty import pretty


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"a":1e5,"a":[1.0]}', '{\n  "a": 1e5,\n  "a": [\n    1.0\n  ]\n}'),
        ("no JSON", "no JSON"),
        ('{"cut', '{"cut'),
        ("", ""),
    ],
)
def test_json_is_indented_and_the_rest_left_as_it_is(text: str, shown: str) -> None:
    assert pretty(text, 1_000) == (shown, True)


def test_what_nests_too_deeply_is_left_as_it_is() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    assert pretty(deep, 200_000) == (deep, True)


def test_a_long_text_is_cut() -> None:
    assert pretty("x" * 11, 10) == ("x" * 10, False)
