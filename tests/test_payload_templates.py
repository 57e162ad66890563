"""Payload templates: what they can do, what they refuse, and that none of them takes long."""

import time
from typing import Any

import pytest

from app.errors import BadRequest
from app.payload_templates import MAX_SOURCE, check_template, render
from app.payloads import PayloadError

pytestmark = pytest.mark.sqlite_only

SHORT_S = 0.5  # a step's 0.3 µs are some 20 ms for all of them; the rest is for a busy machine
BIG = ["abcdefgh" * 10] * 2_000
VARIABLES: dict[str, Any] = {
    "event": {"type": "NODE_CREATED", "projectId": "p", "source": None},
    "payload": {
        "node": {"name": 'a"b', "size": 25_165_824, "tags": ["x", "y"], "meta": [{"key": "k"}, {"key": "l"}]},
        "big": BIG,
        "nothing": None,
        "yes": True,
        "ratio": 1.5,
        "path": "/a/b c.apk",
        "text": "One\nTwo <!channel> [x](http://y) & `z`",
    },
    "facts": [{"name": "Path", "value": "/a"}],
}


def rendered(source: str) -> str:
    return render(check_template("payloadTemplate", source), VARIABLES)[0].decode()


def refusal(source: str) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        check_template("payloadTemplate", source)
    return caught.value


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ event.type }}/{{ event['projectId'] }}", "NODE_CREATED/p"),
        (".{{ payload.nope }}{{ payload.nope.deeper[3] }}{{ payload.nothing }}{{ event.source }}.", ".."),
        ("{{ payload.yes }} {{ payload.ratio }} {{ payload.node.tags }}", 'true 1.5 ["x","y"]'),
        ("{{ payload.nope|default('none') }} {{ ''|default('empty', true) }}", "none empty"),
        ("{{ payload.node.size|filesize }} {{ 5|filesize }} {{ payload.nope|filesize }}", "24.0 MiB 5 Bytes "),
        ("{% for key, value in payload.node|items %}{{ loop.index }}{{ key }}{% endfor %}", "1name2size3tags4meta"),
        ("{% for tag in payload.nope %}x{% else %}none{% endfor %}", "none"),
        ("{% for tag in payload.node.tags if tag != 'x' %}{{ tag }}{{ loop.last }}{% endfor %}", "ytrue"),
        ("{{ payload.node.meta|map(attribute='key')|join(', ') }}", "k, l"),
        ("{{ payload.path[:2] }}{{ payload.path[-4:] }}{{ payload.node.tags[1] }}", "/a.apky"),
        ("{{ 1 + 2 * 3 - 7 // 2 }} {{ 'a' + 'b' ~ 1 ~ payload.nope }} {{ -payload.ratio }}", "4 ab1 -1.5"),
        ("{{ 1 < 2 <= 2 }} {{ 1 < 2 > 5 }} {{ payload.nope > 5 }} {{ payload.nope == none }}", "true false false true"),
        ("{{ 'x' in payload.node.tags }} {{ 'b c' in payload.path }} {{ 'z' not in payload.node }}", "true true true"),
        ("{{ 'yes' if payload.node.size > 5 and not payload.nope else 'no' }}", "yes"),
        ("{% set x = 5 %}{% with y = x %}{{ x + y }}{% endwith %}", "10"),
        ("{{ payload.path|basename }} {{ payload.path|urlencode }}", "b c.apk %2Fa%2Fb%20c.apk"),
        ("{{ 'abcdef'|truncate(4) }} {{ 'ab\u00e9\u00e9'|clip(5) }} {{ 'ab'|truncate(4) }}", "abc\u2026 ab\u2026 ab"),
        ("{{ payload.text|slack }}", "One Two &lt;!channel&gt; [x](http://y) &amp; `z`"),
        ("{{ payload.text|markdown }}", "One Two ＜!channel＞ ［x］(http://y) & ｀z｀"),
        ("{{ payload.node.name|tojson }} \"{{ payload.node.name|jsontext }}\"", '"a\\"b" "a\\"b"'),
        ("{{ payload.node.tags|tojson(indent=1) }}", '[\n "x",\n "y"\n]'),
        ("{{ ' a '|trim|upper|lower|capitalize|replace('A', 'b')|length }}", "1"),
        ("{{ '7'|int + 1 }} {{ 'x'|int(3) }} {{ '1.5'|float }} {{ 2.567|round(1) }} {{ 2.4|round }}", "8 3 1.5 2.6 2"),
        ("{{ 'a,b'|split(',')|last }}{{ payload.node.tags|first }}{{ '<a>'|e }}", "bx&lt;a&gt;"),
        ("{{ payload.node is mapping }} {{ payload.nope is defined }} {{ 'a' is string }}", "true false true"),
        (".{% raw %}{{ x }}{% endraw %}{# a remark #}", ".{{ x }}"),
        ("[{{ facts[0].name }}] text that is no JSON", "[Path] text that is no JSON"),
    ],
)  # fmt: skip
def test_what_templates_can_do(source: str, text: str) -> None:
    assert rendered(source) == text


@pytest.mark.parametrize(
    ("source", "content_type"),
    [
        ('{"a": {{ event|tojson }}}', "application/json"),
        (" [1, 2]\n", "application/json"),
        ("[shop] new file", "text/plain; charset=utf-8"),
        ("42", "text/plain; charset=utf-8"),
    ],
)
def test_the_type_follows_from_the_text(source: str, content_type: str) -> None:
    assert render(source, VARIABLES)[1] == content_type


@pytest.mark.parametrize(
    ("source", "line", "why"),
    [
        ("\n{{ payload.nope + 1 }}", 2, "what is missing is not a number"),
        ("{{ 1 / 0 }}", 1, "division by zero"),
        ("a\n\n{% for x in payload.path %}{% endfor %}", 3, "there is no going over a text"),
        ("{{ payload.node.tags == payload.big }}", 1, "a list can't be compared with a list"),
        ("{% for a, b, c in payload.big %}{% endfor %}", 1, "too many values to unpack (expected 3)"),
        ("{% for x in [1] %}{{ loop }}{% endfor %}", 1, "that is not JSON: it is no value"),
    ],
)
def test_a_failure_says_why_and_in_which_line(source: str, line: int, why: str) -> None:
    with pytest.raises(PayloadError) as caught:
        rendered(source)
    assert str(caught.value) == f"the template failed in line {line}: {why}"


def test_what_begins_like_an_object_has_to_be_json_and_nothing_is_no_body() -> None:
    with pytest.raises(PayloadError, match="no valid JSON: JSON is malformed"):
        rendered('{"name": "{{ payload.node.name }}"}')
    with pytest.raises(PayloadError, match="gives nothing"):
        rendered(" {{ payload.nope }}\n")


def test_a_text_without_unicode_is_no_body() -> None:
    with pytest.raises(PayloadError, match="lone surrogate"):
        render("{{ payload }}{{ event }}", {"event": "\ud800", "payload": "x", "facts": []})


@pytest.mark.parametrize(
    ("source", "reason", "line", "value"),
    [
        ("{% macro m() %}{% endmacro %}", "template_forbidden", 1, "macro"),
        ("\n{% include 'x' %}", "template_forbidden", 2, "include"),
        ("{% import 'x' as y %}", "template_forbidden", 1, "import"),
        ("{% from 'x' import y %}", "template_forbidden", 1, "import"),
        ("{% extends 'x' %}", "template_forbidden", 1, "extends"),
        ("{% block b %}{% endblock %}", "template_forbidden", 1, "block"),
        ("{% call m() %}{% endcall %}", "template_forbidden", 1, "call"),
        ("{% filter upper %}{% endfilter %}", "template_forbidden", 1, "a block of filter"),
        ("{% set a %}{% endset %}", "template_forbidden", 1, "a block of set"),
        ("{% autoescape true %}{% endautoescape %}", "template_forbidden", 1, "autoescape"),
        ("{% for x in facts recursive %}{% endfor %}", "template_forbidden", 1, "recursive"),
        ("{% set event = 1 %}", "template_forbidden", 1, "set event"),
        ("{% for payload in facts %}{% endfor %}", "template_forbidden", 1, "set payload"),
        ("{{ payload.items() }}", "template_forbidden", 1, "a call"),
        ("{{ range(9) }}", "template_forbidden", 1, "a call"),
        ("{{ '{:>9}'.format(1) }}", "template_forbidden", 1, "a call"),
        ("{{ super() }}", "template_forbidden", 1, "a call"),
        ("{{ 2 ** 9 }}", "template_forbidden", 1, "**"),
        ("{{ 99999999999999999999999 }}", "template_forbidden", 1, "a number so large"),
        ("{{ 0x" + "f" * 10_000 + " }}", "template_forbidden", 1, "a number so large"),
        ("{{ facts|join(*facts) }}", "template_forbidden", 1, "join"),
        ("{{ {payload: 1} }}", "template_forbidden", 1, "a key that is no text"),
        ("{{ {[1]: 1} }}", "template_forbidden", 1, "a key that is no text"),
        ("{{ self }}", "template_forbidden", 1, "self"),
        ("{{ self._TemplateReference__context }}", "template_forbidden", 1, "self"),
        ("{{ ()|attr('__class__') }}", "template_unknown", 1, "attr"),
        ("{{ 'a'|center(99) }}", "template_unknown", 1, "center"),
        ("{{ 'a'|format(1) }}", "template_unknown", 1, "format"),
        ("{{ 1 is odd }}", "template_unknown", 1, "odd"),
        ("{{ cycler }}", "template_unknown", 1, "cycler"),
        ("{{ loop.index }}", "template_unknown", 1, "loop"),
        ("\n\n{{ evnt.type }}", "template_unknown", 3, "evnt"),
        ("{{ event.tpye }}", "template_unknown", 1, "tpye"),
        ("{{ 'a'|upper(1) }}", "template_arguments", 1, "upper"),
        ("{{ 'a'|map('upper') }}", "template_arguments", 1, "map"),
        ("{{ 1 is string(2) }}", "template_arguments", 1, "string"),
    ],
)
def test_what_is_not_on_the_list_is_refused_with_its_line(source: str, reason: str, line: int, value: str) -> None:
    error = refusal(source)
    assert (error.reason, error.code, error.params["field"]) == (reason, 250105, "payloadTemplate")
    assert (error.params["line"], error.params["value"]) == (line, value)


@pytest.mark.parametrize(
    ("source", "line"),
    [("{{ event.type", 1), ("\n{% if %}", 2), ("{% endfor %}", 1), ("{% do 1 %}", 1), ("{{ *a }}", 1), ("{{ '", 1)],
)
def test_what_is_no_template_is_refused_with_its_line(source: str, line: int) -> None:
    error = refusal(source)
    assert (error.reason, error.params["line"]) == ("template_syntax", line)
    assert error.params["detail"]


def test_a_source_has_a_bound_and_is_a_text() -> None:
    check_template("payloadTemplate", "x" * MAX_SOURCE)
    assert refusal("x" * (MAX_SOURCE + 1)).reason == "too_long"
    for given, reason in ((5, "not_string"), ("\0", "control_characters")):
        with pytest.raises(BadRequest) as caught:
            check_template("payloadTemplate", given)
        assert caught.value.reason == reason


DOUBLING = "{% set x = 'aaaaaaaa' %}"
LOOP = "{% for a in payload.big %}"
END = "{% endfor %}"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        pytest.param(LOOP * 4 + END * 4, "50,000 steps", id="loops in loops"),
        pytest.param(LOOP * 2 + "{{ a }}" + END * 2, "output is longer", id="output"),
        pytest.param(LOOP * 2 + "{% if a %}{% endif %}" * 400 + END * 2, "50,000 steps", id="a large body"),
        pytest.param(LOOP * 2 + "{%set q=a%}" * 700 + END * 2, "50,000 steps", id="many variables"),
        pytest.param(DOUBLING + "{% set x = x ~ x %}" * 300, "longer than 256 KiB", id="doubling by ~"),
        pytest.param(DOUBLING + "{% set x = x + x %}" * 300, "longer than 256 KiB", id="doubling by +"),
        pytest.param(DOUBLING + "{% set x = [x, x]|join %}" * 300, "longer than 256 KiB", id="doubling by join"),
        pytest.param(DOUBLING + "{% set x = x|replace('a', 'aaaa') %}" * 300, "longer than", id="growing by replace"),
        pytest.param(DOUBLING + "{% set x = [x, x] %}" * 300 + "{{ x }}", "50,000 steps", id="lists in lists"),
        pytest.param(
            DOUBLING + "{% set x = [x, x] %}" * 40 + "{% set y = [x] %}{{ [x] == y }}", "can't be compared", id="equals"
        ),
        pytest.param(LOOP + "{{ 'q' in payload.big }}" + END, "50,000 steps", id="searches in loops"),
        pytest.param(
            LOOP + "{% set z = payload.big|join|upper|lower|e %}" + END, "50,000 steps", id="filters in loops"
        ),
        pytest.param("{{ 'a' * 1000000 }}", "a text is not a number", id="texts multiplied"),
        pytest.param("{{ '%99999999d' % 5 }}", "a text is not a number", id="widths"),
        pytest.param("{{ 18446744073709551615 * 18446744073709551615 * 2 }}", "too large", id="numbers"),
        pytest.param("{{ payload.big|tojson }}{{ payload.big|tojson }}", "output is longer", id="all of the payload"),
    ],
)
def test_a_template_that_would_take_all_ends_soon(source: str, why: str) -> None:
    check_template("payloadTemplate", source)
    began = time.process_time()
    with pytest.raises(PayloadError, match=why):
        render(source, VARIABLES)
    assert time.process_time() - began < SHORT_S


@pytest.mark.parametrize(
    "source",
    [
        "{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}",
        "{% if 1 %}" * 500 + "{% endif %}" * 500,
        "{% for a in facts %}" * 5 + "{% endfor %}" * 5,
        "{{ " + "-" * 5_000 + "1 }}",
        "{{ 1" + "+1" * 3_000 + " }}",
        "{{ payload" + ".a" * 3_000 + " }}",
        "{{ payload" + "|upper" * 1_500 + " }}",
        "{{ " + "9" * 5_000 + " }}",
    ],
)
def test_a_template_that_is_hard_to_read_is_refused_soon(source: str) -> None:
    began = time.process_time()
    assert refusal(source).reason in ("template_deep", "template_syntax")
    assert time.process_time() - began < SHORT_S


@pytest.mark.parametrize(
    "source",
    [
        ".{{ ''.__class__.__mro__ }}",
        ".{{ payload.__class__.__init__.__globals__ }}",
        ".{{ payload['__class__']['__base__'] }}",
        ".{% for a in facts %}{{ loop.__class__ }}{{ loop._iterator }}{{ loop.__init__.__globals__ }}{% endfor %}",
        ".{{ payload.keys }}{{ payload.big.append }}{{ event.type.format }}",
        ".{{ payload.nope.__init__ }}{{ payload.nope._fail_with_undefined_error }}",
    ],
)
def test_no_template_reaches_what_is_behind_a_value(source: str) -> None:
    """The well-known ways out of a sandbox: there are no attributes, so each ends in a member that is not there."""
    assert rendered(source) == "."
