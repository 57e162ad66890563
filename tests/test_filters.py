"""Filters: what passes them, and which are refused, where."""

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import BadRequest
from app.event_types import Event
from app.filters import FIELDS, MAX_CONDITIONS, check_filter, compile_filter, document_of
from app.messages import text_of

pytestmark = pytest.mark.sqlite_only

EVENT = Event(type="NODE_CREATED", project_id="p", repo_name="r", resource_key="/release/a.apk", user_id="ci-bot")
PAYLOAD = {
    "eventType": "NODE_CREATED",
    "node": {
        "size": 2048,
        "folder": False,
        "sha256": None,
        "name": "a.apk",
        "ratio": 0.5,
        "nodeMetadata": [
            {"key": "build", "value": "1042", "system": False},
            {"key": "signed", "value": "false", "tags": ["x", ["y"]]},
        ],
    },
    "tags": ["latest", "beta"],
    "sizes": [1, 20],
    "none": [],
    "odd.name": {"$price": 3, "a\\b": 1},
}


def passes(meant: dict[str, Any], payload: Any = PAYLOAD, event: Event = EVENT) -> bool:
    return compile_filter(check_filter("filter", meant)).matches(document_of(event, payload))


@pytest.mark.parametrize(
    ("meant", "holds"),
    [
        # fields of the event
        ({"type": "NODE_CREATED", "projectId": "p"}, True),
        ({"type": "NODE_CREATED", "projectId": "q"}, False),
        ({"userId": {"$in": ["root", "ci-bot"]}}, True),
        ({"userId": {"$nin": ["root", "ci-bot"]}}, False),
        ({"source": {"$exists": False}}, True),
        ({"source": None}, False),
        ({"source": {"$ne": "x"}}, True),
        ({"resourceKey": {"$regex": "apk$"}}, True),
        ({"resourceKey": {"$regex": "^apk"}}, False),
        # literals have a type
        ({"payload.node.size": 2048}, True),
        ({"payload.node.size": 2048.0}, True),
        ({"payload.node.size": "2048"}, False),
        ({"payload.node.folder": False}, True),
        ({"payload.node.folder": 0}, False),
        ({"payload.sizes": True}, False),
        ({"payload.node.folder": {"$in": [0, None, ""]}}, False),
        ({"payload.node.sha256": None}, True),
        ({"payload.node.md5": None}, False),
        ({"payload.node.sha256": {"$exists": True}}, True),
        ({"payload.node.md5": {"$exists": True}}, False),
        ({"payload.node.md5": {"$ne": None}}, True),
        ({"payload.node.name": ""}, False),
        # comparisons are of numbers with numbers, and of strings with strings
        ({"payload.node.size": {"$gt": 2047, "$lte": 2048}}, True),
        ({"payload.node.size": {"$gte": 2048.5}}, False),
        ({"payload.node.ratio": {"$lt": 1}}, True),
        ({"payload.node.size": {"$gt": "0"}}, False),
        ({"payload.node.folder": {"$gte": 0}}, False),
        ({"payload.node.name": {"$gte": "a", "$lt": "b"}}, True),
        ({"payload.node.sha256": {"$lte": 0}}, False),
        ({"payload.node.md5": {"$lt": 9}}, False),
        ({"payload.node.size": {"$regex": "2"}}, False),
        # parts by dots or by nesting
        ({"payload": {"node": {"size": {"$gt": 1}, "folder": False}}}, True),
        ({"payload": {"node.size": 1}}, False),
        ({"payload.node": {"md5": {"$exists": False}}}, True),
        ({"payload.gone.md5": {"$exists": False}}, True),
        ({"payload.gone": {"md5": {"$exists": False}}}, True),
        ({"payload.node.name.length": {"$exists": True}}, False),
        ({r"payload.odd\.name.\$price": 3}, True),
        ({r"payload.odd\.name.a\\b": 1}, True),
        ({"payload.odd.name": {"$exists": True}}, False),
        # lists: one element is enough, none for the opposites
        ({"payload.tags": "beta"}, True),
        ({"payload.tags": {"$in": ["x", "latest"]}}, True),
        ({"payload.tags": {"$ne": "beta"}}, False),
        ({"payload.tags": {"$nin": ["x"]}}, True),
        ({"payload.sizes": {"$gt": 10, "$lt": 5}}, True),
        ({"payload.none": {"$exists": True}}, True),
        ({"payload.none": {"$ne": 1}}, True),
        ({"payload.none": 1}, False),
        ({"payload.node.nodeMetadata.key": "signed"}, True),
        ({"payload.node.nodeMetadata.key": {"$ne": "signed"}}, False),
        ({"payload.node.nodeMetadata.key": {"$nin": ["a", "b"]}}, True),
        ({"payload.node.nodeMetadata.tags": "y"}, True),
        ({"payload.node.nodeMetadata.missing": {"$exists": False}}, True),
        ({"payload.node.nodeMetadata.tags": {"$exists": True}}, True),
        # an object of parts is for one and the same element
        ({"payload.node.nodeMetadata": {"key": "signed", "value": "false"}}, True),
        ({"payload.node.nodeMetadata": {"key": "signed", "value": "1042"}}, False),
        ({"payload.node.nodeMetadata.key": "signed", "payload.node.nodeMetadata.value": "1042"}, True),
        ({"payload.node.nodeMetadata": {"key": "signed", "value": {"$ne": "true"}}}, True),
        ({"payload.node.nodeMetadata": {"key": "signed", "$not": {"value": "false"}}}, False),
        ({"payload.node.nodeMetadata": {"$not": {"key": "released"}}}, True),
        ({"payload.node.nodeMetadata": {"key": "build", "$or": [{"value": "1"}, {"value": "1042"}]}}, True),
        # $and, $or and $not
        ({"$or": [{"userId": "root"}, {"payload.node.size": {"$gt": 1024}}]}, True),
        ({"$or": [{"userId": "root"}, {"payload.node.size": {"$gt": 4096}}]}, False),
        ({"$and": [{"userId": "ci-bot"}, {"$not": {"projectId": "q"}}], "type": "NODE_CREATED"}, True),
        ({"payload.node.size": {"$or": [1, {"$gt": 2000}]}}, True),
        ({"payload.node.size": {"$and": [{"$gt": 1}, {"$not": {"$lt": 3000}}]}}, False),
        ({"payload.node.name": {"$not": {"$regex": "^b"}}}, True),
        ({"payload.gone": {"$not": 1}}, True),
    ],
)
def test_a_filter_holds_or_not(meant: dict[str, Any], holds: bool) -> None:
    assert passes(meant) is holds
    assert passes({"$not": meant}) is not holds
    assert reference(meant, document_of(EVENT, PAYLOAD)) is holds


def test_a_regular_expression_takes_linear_time_and_reads_unicode() -> None:
    assert passes({"resourceKey": {"$regex": "路.$"}}, event=Event(type="T", resource_key="/路径"))
    assert not passes({"resourceKey": {"$regex": "^(a|aa)+$"}}, event=Event(type="T", resource_key="a" * 50_000 + "b"))


NESTED: Any = 1
for _ in range(10):
    NESTED = {"a": NESTED}


@pytest.mark.parametrize(
    ("meant", "place", "reason"),
    [
        ([], "filter", "not_object"),
        ("{}", "filter", "not_object"),
        ({"data.size": 1}, "filter.data.size", "filter_name"),
        ({"eventType": 1}, "filter.eventType", "filter_name"),
        ({"$gt": 1}, "filter.$gt", "filter_unnamed"),
        ({"$and": [{"$eq": 1}]}, "filter.$and[0].$eq", "filter_unnamed"),
        ({"$and": ["x"]}, "filter.$and[0]", "not_object"),
        ({"$and": {"type": "T"}}, "filter.$and", "not_list"),
        ({"$or": []}, "filter.$or", "filter_empty"),
        ({"$not": []}, "filter.$not", "not_object"),
        ({"type": {}}, "filter.type", "filter_empty"),
        ({"type": ["A", "B"]}, "filter.type", "filter_condition"),
        ({"type": {"$eq": ["A"]}}, "filter.type.$eq", "filter_value"),
        ({"type": {"$eq": {"a": 1}}}, "filter.type.$eq", "filter_value"),
        ({"type": {"$eq": float("inf")}}, "filter.type.$eq", "filter_value"),
        ({"type": {"$eq": float("nan")}}, "filter.type.$eq", "filter_value"),
        ({"type": {"$eq": 10**5000}}, "filter.type.$eq", "filter_value"),
        ({"type": {"$in": "A"}}, "filter.type.$in", "not_list"),
        ({"type": {"$in": []}}, "filter.type.$in", "filter_empty"),
        ({"type": {"$in": ["A", []]}}, "filter.type.$in[1]", "filter_value"),
        ({"type": {"$in": [0] * 1_001}}, "filter.type.$in", "too_many"),
        ({"type": {"$like": "A"}}, "filter.type.$like", "filter_operator"),
        ({"payload": {"size": 1, "$gt": 2}}, "filter.payload.$gt", "filter_mixed"),
        ({"payload.size": {"$gt": True}}, "filter.payload.size.$gt", "filter_ordered"),
        ({"payload.size": {"$lt": None}}, "filter.payload.size.$lt", "filter_ordered"),
        ({"payload.size": {"$exists": 1}}, "filter.payload.size.$exists", "not_boolean"),
        ({"payload.name": {"$regex": "("}}, "filter.payload.name.$regex", "pattern_refused"),
        ({"payload.name": {"$regex": "(?=a)"}}, "filter.payload.name.$regex", "pattern_refused"),
        ({"payload.name": {"$regex": 1}}, "filter.payload.name.$regex", "not_string"),
        ({"payload.name": {"$regex": "a" * 513}}, "filter.payload.name.$regex", "too_long"),
        ({"payload..name": 1}, "filter.payload..name", "filter_path"),
        ({"": 1}, "filter.", "filter_path"),
        ({"payload.": 1}, "filter.payload.", "filter_path"),
        ({"payload\\": 1}, "filter.payload\\", "filter_path"),
        ({"$and": [{"type": "T"}, {"payload.node.size": {"$gt": []}}]}, "filter.$and[1].payload.node.size.$gt", None),
        ({"payload": {"a": NESTED}}, "filter.payload.a" + ".a" * 9, "filter_deep"),
        ({"payload": {f"k{n}": 1 for n in range(101)}}, "filter.payload.k100", "filter_many"),
        ({"payload": {"x" * 500: {"$gt": None}}}, f"filter.payload.{'x' * 64}….$gt", "filter_ordered"),
        ({"payload.name": "路" * 5_600}, "filter", "filter_long"),
    ],
)
def test_what_is_no_filter_is_refused_with_its_place(meant: Any, place: str, reason: str | None) -> None:
    with pytest.raises(BadRequest) as raised:
        check_filter("filter", meant)
    error = raised.value
    assert error.code == 250105
    assert error.params["field"] == place
    assert error.reason == (reason or "filter_value")
    assert place in text_of(error.reason, "en", error.params)
    assert place in text_of(error.reason, "zh", error.params)


def test_what_is_kept_is_short_json_and_no_condition_is_no_filter() -> None:
    assert check_filter("filter", {}) == ""
    assert check_filter("filter", {"type": {"$in": ["A", "径"]}}) == '{"type":{"$in":["A","径"]}}'
    most = {"payload": {f"k{n}": n for n in range(MAX_CONDITIONS)}}
    assert json.loads(check_filter("filter", most)) == most


@pytest.mark.parametrize(
    ("meant", "passed"),
    [
        ({"payload.node.size": {"$gt": 9999}}, True),
        ({"payload.node.size": {"$exists": False}}, True),
        ({"$not": {"payload.node.size": {"$gt": 1}}}, True),
        ({"$not": {"$and": [{"userId": "ci-bot"}, {"payload.node.size": 1}]}}, True),
        ({"$not": {"$or": [{"userId": "ci-bot"}, {"payload.node.size": 1}]}}, False),
        ({"payload": {"node": {"$not": {"size": 1}}}, "userId": "ci-bot"}, True),
        ({"payload.node.size": {"$gt": 1}, "userId": "root"}, False),
        ({"userId": "ci-bot"}, True),
    ],
)
def test_without_a_payload_what_is_asked_of_it_is_taken_to_hold(meant: dict[str, Any], passed: bool) -> None:
    assert passes(meant, payload=None) is passed


def test_a_stored_filter_that_is_none_any_more_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        for stored in ('{"type":{"$soundex":"A"}}', "{", "[]"):
            assert compile_filter(stored).matches(document_of(EVENT, None))
    assert len(caplog.records) == 3


def test_it_knows_whether_it_looks_into_the_payload() -> None:
    assert compile_filter('{"$or":[{"type":"T"},{"payload":{"node":{"size":1}}}]}').needs_payload
    assert not compile_filter('{"$or":[{"type":"T"},{"resourceKey":"payload"}]}').needs_payload


# A slow evaluator, after docs/filters.md: it knows of no compiling, and reads each condition as it comes.


class Missing:
    """What stands where nothing is."""


def reference(meant: Any, value: Any) -> bool:
    if not isinstance(meant, dict):
        return any(same(each, meant) for each in elements(value))
    names = [key for key in meant if not key.startswith("$")]
    if names and isinstance(value, list):
        return any(reference(meant, each) for each in value)
    return all(
        operator(key, inner, value) if key.startswith("$") else reference(inner, look(value, key))
        for key, inner in meant.items()
    )


def operator(key: str, inner: Any, value: Any) -> bool:
    if key == "$and":
        return all(reference(each, value) for each in inner)
    if key == "$or":
        return any(reference(each, value) for each in inner)
    if key in ("$not", "$ne"):
        return not reference(inner, value)
    if key in ("$in", "$nin"):
        return any(reference(each, value) for each in inner) is (key == "$in")
    if key == "$exists":
        return (value is not Missing) is inner
    return any(compared(key, each, inner) for each in elements(value))


def compared(key: str, value: Any, limit: Any) -> bool:
    if key == "$eq":
        return same(value, limit)
    if key == "$regex":
        return isinstance(value, str) and re.search(limit, value) is not None
    if kind(value) != kind(limit) or kind(value) not in ("number", "string"):
        return False
    return {"$gt": value > limit, "$gte": value >= limit, "$lt": value < limit, "$lte": value <= limit}[key]


def same(value: Any, other: Any) -> bool:
    return kind(value) == kind(other) and value == other


def kind(value: Any) -> str:
    names = {bool: "boolean", int: "number", float: "number", str: "string", type(None): "null"}
    return names.get(type(value), "other")


def elements(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for each in value:
            yield from elements(each)
    else:
        yield value


def look(value: Any, path: str) -> Any:
    marked = path.replace("\\\\", "\0").replace("\\.", "\1").replace("\\", "")
    found, is_many = [value], False
    for name in marked.split("."):
        is_many = is_many or any(isinstance(each, list) for each in found)
        plain = name.replace("\0", "\\").replace("\1", ".")
        found = [each[plain] for one in found for each in elements(one) if isinstance(each, dict) and plain in each]
    if not found:
        return Missing
    return found if is_many else found[0]


NAMES = st.sampled_from(["a", "b", "a.b", "b.a.a"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.sampled_from([0, 1, 2, 1.0, 0.5, -1, 2**70])
    | st.sampled_from(["", "a", "ab", "路", "1"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    max_leaves=12,
)
COMPARISONS = st.one_of(
    st.tuples(st.sampled_from(["$eq", "$ne"]), SCALARS),
    st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(SCALARS, min_size=1, max_size=3)),
    st.tuples(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), st.sampled_from([0, 1, 0.5, "", "a", "b"])),
    st.tuples(st.just("$exists"), st.booleans()),
    st.tuples(st.just("$regex"), st.sampled_from(["a", "b", "", "路"])),
)


def logical(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, Any]]:
    lists = st.tuples(st.sampled_from(["$and", "$or"]), st.lists(inner, min_size=1, max_size=2))
    return lists | st.tuples(st.just("$not"), inner)


def entries(*parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.lists(st.one_of(*parts), min_size=1, max_size=3).map(dict)


CONDITIONS = st.recursive(
    SCALARS | entries(COMPARISONS),
    lambda inner: (
        entries(COMPARISONS, logical(inner))
        | st.tuples(st.tuples(NAMES, inner), entries(st.tuples(NAMES, inner), logical(inner))).map(
            lambda both: dict([both[0]]) | both[1]
        )
    ),
    max_leaves=6,
)
FILTERS = st.recursive(
    entries(st.tuples(st.sampled_from(["type", "payload", "payload.a", "payload.a.b", "resourceKey"]), CONDITIONS)),
    lambda inner: entries(logical(inner)),
    max_leaves=3,
)


@settings(max_examples=300, deadline=None)
@given(FILTERS, VALUES)
def test_compiled_filters_say_what_a_slow_reading_of_them_says(meant: dict[str, Any], payload: Any) -> None:
    try:
        stored = check_filter("filter", meant)
    except BadRequest as error:
        assert error.reason == "filter_deep"  # noqa: PT017
        return
    document = document_of(EVENT, None)
    assert compile_filter(stored).matches(document) in (True, False)
    document["payload"] = payload
    assert compile_filter(stored).matches(document) is reference(meant, document)


ANYTHING = st.recursive(
    SCALARS | st.text(max_size=5) | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*FIELDS, "$and", "$not", "$in", "$regex", "$gt", "a.b", "."]) | st.text(max_size=4), inner
        )
    ),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(ANYTHING, ANYTHING)
def test_whatever_comes_is_a_filter_or_refused(meant: Any, payload: Any) -> None:
    try:
        stored = check_filter("filter", meant)
    except BadRequest as error:
        assert error.code == 250105  # noqa: PT017
        return
    assert stored == "" or compile_filter(stored).matches({"type": "T", "payload": payload}) in (True, False)
