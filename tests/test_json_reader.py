"""Reading JSON strictly."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import BadRequest
from app.json_reader import read_lines, read_value

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(values, st.booleans())
def test_it_reads_what_json_writes(value: object, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        return
    assert read_value(raw) == json.loads(text)


@given(st.lists(st.tuples(st.sampled_from(["a", "b", 'q"', "\\u0022", "é"]), scalars), max_size=6))
def test_it_refuses_exactly_the_objects_with_a_repeated_key(pairs: list[tuple[str, object]]) -> None:
    raw = "{" + ",".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in pairs) + "}"
    keys = [key for key, _ in pairs]
    if len(set(keys)) == len(keys):
        assert read_value(raw.encode()) == dict(pairs)
    else:
        with pytest.raises(BadRequest) as refused:
            read_value(raw.encode())
        assert refused.value.reason == "body_repeated_key"


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a": 1, "\\u0061": 2}',
        b'{"\\u0022": 1, "\\"": 2}',
        b'{"a": ["\\u0022"], "a": []}',
        b'{"a": "\\u0022\\u0022", "a": 1}',
        b'[{"b": {"a": 1, "a": {}}}]',
    ],
)
def test_a_repeated_key_can_not_hide_behind_escapes(raw: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        read_value(raw)
    assert refused.value.reason == "body_repeated_key"


@pytest.mark.parametrize("raw", [b'{"a": "\\u0022"}', b'{"a\\u0022": 1, "a": "\\\\u0022"}', b'[{"a": 1}, {"a": 2}]'])
def test_quotes_in_texts_and_equal_keys_of_different_objects_are_fine(raw: bytes) -> None:
    assert read_value(raw) == json.loads(raw)


def test_a_hundred_levels_are_deep_enough() -> None:
    assert read_value(b"[" * 100 + b"]" * 100)
    assert read_value(b"[" + b"[]," * 5_000 + b"[]]")
    for depth in (101, 200, 1_000_000):
        with pytest.raises(BadRequest) as refused:
            read_value(b"[" * depth + b"]" * depth)
        assert refused.value.reason == "body_deep"


def test_large_numbers_keep_their_digits() -> None:
    assert read_value(b"[123456789012345678901234567890, 18446744073709551616]") == [
        123456789012345678901234567890,
        18446744073709551616,
    ]


def test_lines_are_read_one_by_one() -> None:
    assert read_lines(b'{"a": 1}\r\n\n [2] \n"x"') == [{"a": 1}, [2], "x"]
    with pytest.raises(BadRequest) as refused:
        read_lines(b"1\n\n2\n{\n")
    assert refused.value.params["field"] == "[2]"
