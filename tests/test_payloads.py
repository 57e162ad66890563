"""What receivers get, type by type, after the table of contract §6."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.event_types import EVENT_TYPES, PUBLISHABLE_TYPES, WEBHOOK_TEST, Event, event_from
from app.payloads import PayloadError, build_payload, build_test_payload, raw_event

MADE_USER = {
    "userId": "u1042",
    "name": "u1042",
    "email": None,
    "phone": None,
    "createdDate": None,
    "locked": False,
    "admin": False,
}
MADE_NODE = {
    "projectId": "p",
    "repoName": "r",
    "fullPath": "/a/b.apk",
    "path": "/a/",
    "name": "b.apk",
    "folder": False,
    "createdBy": "u1042",
    "lastModifiedBy": "u1042",
}
RENAMED_NODE = MADE_NODE | {"fullPath": "/a/c.apk", "name": "c.apk"}
MOVED_NODE = MADE_NODE | {"projectId": "q", "repoName": "s", "fullPath": "/x/y/d.apk", "path": "/x/y/", "name": "d.apk"}
SOURCE = {"srcProjectId": "p", "srcRepoName": "r", "srcFullPath": "/a/b.apk"}
DESTINATION = {"dstProjectId": "q", "dstRepoName": "s", "dstFullPath": "/x/y/d.apk"}
PACKAGE = {"packageKey": "npm://chat", "packageVersion": "1.2.3"}
GONE = {"projectId": "p", "repoName": "r"}
DETAILS = {
    "createdDate": "2025-03-03T08:00:00.000",
    "lastModifiedDate": "2025-03-03T09:00:00.000",
    "size": 2**70,
    "sha256": "ab",
    "md5": "cd",
    "nodeMetadata": [{"key": "k", "value": "v", "system": False, "description": None}],
}

# type, data -> the keys besides eventType and user
TABLE: list[tuple[str, dict[str, Any] | None, dict[str, Any]]] = [
    ("PROJECT_CREATED", None, {"project": {"name": "p"}}),
    ("PROJECT_CREATED", {"project": {"name": "p", "x": 1}}, {"project": {"name": "p", "x": 1}}),
    ("REPO_CREATED", None, {"repository": {"projectId": "p", "name": "r"}}),
    ("REPO_CREATED", {"repository": {"name": "r", "x": 1}}, {"repository": {"name": "r", "x": 1}}),
    ("REPO_UPDATED", {}, {"repository": {"projectId": "p", "name": "r"}}),
    ("REPO_UPDATED", {"repository": {"name": "r", "x": 1}}, {"repository": {"name": "r", "x": 1}}),
    ("REPO_DELETED", None, GONE),
    ("NODE_CREATED", None, {"node": MADE_NODE}),
    ("NODE_CREATED", {"node": DETAILS}, {"node": MADE_NODE | DETAILS}),
    (
        "NODE_CREATED",
        {"node": {"folder": True, "createdBy": "x"}},
        {"node": MADE_NODE | {"folder": True, "createdBy": "x"}},
    ),
    ("NODE_CREATED", {"node": {"fullPath": "/n", "name": "n"}}, {"node": MADE_NODE | {"fullPath": "/n", "name": "n"}}),
    ("NODE_DOWNLOADED", {}, {"node": MADE_NODE}),
    ("NODE_DOWNLOADED", {"node": {"size": 1}}, {"node": MADE_NODE | {"size": 1}}),
    ("NODE_RENAMED", {"newFullPath": "/a/c.apk"}, {"node": RENAMED_NODE, "oldFullPath": "/a/b.apk"}),
    (
        "NODE_RENAMED",
        {"newFullPath": "/a/c.apk", "node": MADE_NODE | {"folder": True, "size": 1}},
        {"node": RENAMED_NODE | {"folder": True, "size": 1}, "oldFullPath": "/a/b.apk"},
    ),
    ("NODE_MOVED", DESTINATION, {"node": MOVED_NODE, **SOURCE}),
    ("NODE_MOVED", DESTINATION | {"node": DETAILS}, {"node": MOVED_NODE | DETAILS, **SOURCE}),
    ("NODE_COPIED", DESTINATION, {"node": MOVED_NODE, **SOURCE}),
    ("NODE_COPIED", DESTINATION | {"node": MADE_NODE | {"size": 1}}, {"node": MOVED_NODE | {"size": 1}, **SOURCE}),
    ("NODE_DELETED", None, GONE | {"fullPath": "/a/b.apk"}),
    ("METADATA_SAVED", {"metadata": {"k": "v"}}, {"node": MADE_NODE, "metedata": {"k": "v"}}),
    ("METADATA_SAVED", {"metadata": {}, "node": {"size": 1}}, {"node": MADE_NODE | {"size": 1}, "metedata": {}}),
    ("METADATA_SAVED", {"metadata": [{"key": "k"}]}, {"node": MADE_NODE, "metedata": [{"key": "k"}]}),
    ("METADATA_DELETED", {"keys": ["k"]}, {"node": MADE_NODE, "deletedMetedataKeys": ["k"]}),
    ("METADATA_DELETED", {"keys": []}, {"node": MADE_NODE, "deletedMetedataKeys": []}),
    ("VERSION_CREATED", PACKAGE, {"packageKey": "npm://chat", "packageVersion": {"name": "1.2.3"}}),
    (
        "VERSION_CREATED",
        {"packageKey": "npm://chat", "version": {"name": "1", "size": 3}},
        {"packageKey": "npm://chat", "packageVersion": {"name": "1", "size": 3}},
    ),
    ("VERSION_UPDATED", PACKAGE, {"packageKey": "npm://chat", "packageVersion": {"name": "1.2.3"}}),
    ("VERSION_DELETED", PACKAGE, GONE | {"packageKey": "npm://chat", "version": "1.2.3"}),
    ("SCAN_TRIGGERED", {"task": {"taskId": "t"}}, {"task": {"taskId": "t"}}),
    ("SCAN_FINISHED", {"task": {"taskId": "t"}}, {"task": {"taskId": "t"}}),
    ("IMAGE_SIGNED", {"by": "k"}, GONE | {"resourceKey": "/a/b.apk", "data": {"by": "k"}}),
    ("IMAGE_SIGNED", None, GONE | {"resourceKey": "/a/b.apk", "data": None}),
]

WRONG = [
    ("PROJECT_CREATED", {"project": "p"}, "data.project is not an object"),
    ("REPO_UPDATED", {"repository": []}, "data.repository is not an object"),
    ("NODE_CREATED", {"node": "n"}, "data.node is not an object"),
    ("NODE_RENAMED", {}, "data.newFullPath is missing"),
    ("NODE_RENAMED", {"newFullPath": 1}, "data.newFullPath is not a string"),
    ("NODE_RENAMED", {"newFullPath": ""}, "data.newFullPath is empty"),
    ("NODE_MOVED", None, "data.dstProjectId is missing"),
    ("NODE_MOVED", {"dstProjectId": "q", "dstFullPath": "/x"}, "data.dstRepoName is missing"),
    ("NODE_MOVED", {"dstProjectId": "q", "dstRepoName": "s"}, "data.dstFullPath is missing"),
    ("NODE_COPIED", DESTINATION | {"dstFullPath": None}, "data.dstFullPath is missing"),
    ("METADATA_SAVED", {}, "data.metadata is missing"),
    ("METADATA_SAVED", {"metadata": "k=v"}, "data.metadata is not an object or a list"),
    ("METADATA_DELETED", {}, "data.keys is missing"),
    ("METADATA_DELETED", {"keys": "k"}, "data.keys is not a list"),
    ("VERSION_CREATED", {"packageVersion": "1"}, "data.packageKey is missing"),
    ("VERSION_CREATED", {"packageKey": "k"}, "data.packageVersion is missing"),
    ("VERSION_UPDATED", {"packageKey": "k", "packageVersion": 1}, "data.packageVersion is not a string"),
    ("VERSION_DELETED", {"packageKey": "k"}, "data.packageVersion is missing"),
    ("SCAN_TRIGGERED", {}, "data.task is missing"),
    ("SCAN_FINISHED", {"task": "t"}, "data.task is not an object"),
]


def event(event_type: str, data: dict[str, Any] | None = None, **changes: Any) -> Event:
    fields = {"project_id": "p", "repo_name": "r", "resource_key": "/a/b.apk", "user_id": "u1042"}
    return Event(type=event_type, data=data, **(fields | changes))


def built(given: Event, known_user: dict[str, Any] | None = None) -> Any:
    return json.loads(build_payload(given, known_user))


@pytest.mark.parametrize(("event_type", "data", "others"), TABLE)
def test_it_builds_what_the_contract_says(event_type: str, data: dict[str, Any] | None, others: dict[str, Any]) -> None:
    assert built(event(event_type, data)) == {"eventType": event_type, "user": MADE_USER, **others}


def test_the_table_here_has_every_type_that_can_be_published() -> None:
    assert {row[0] for row in TABLE} == PUBLISHABLE_TYPES | {"IMAGE_SIGNED"}


@pytest.mark.parametrize(("event_type", "data", "message"), WRONG)
def test_it_names_the_key_that_is_missing_or_wrong(event_type: str, data: dict[str, Any] | None, message: str) -> None:
    with pytest.raises(PayloadError) as caught:
        build_payload(event(event_type, data), None)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"project_id": None}, "projectId is missing"),
        ({"repo_name": ""}, "repoName is empty"),
        ({"resource_key": None}, "resourceKey is missing"),
    ],
)
def test_it_names_the_field_that_a_node_can_not_do_without(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PayloadError) as caught:
        build_payload(event("NODE_DELETED", **changes), None)
    assert str(caught.value) == message


def test_the_producers_user_comes_before_the_known_one_and_that_before_one_made_from_the_id() -> None:
    producers, known = {"userId": "u1042", "name": "Release"}, MADE_USER | {"admin": True}
    assert built(event("NODE_CREATED", {"user": producers}), known)["user"] == producers
    assert built(event("NODE_CREATED", {"user": "u1042"}), known)["user"] == known
    assert built(event("NODE_CREATED", {"user": None}))["user"] == MADE_USER
    assert built(event("NODE_CREATED", user_id=None))["user"] == MADE_USER | {"userId": "", "name": ""}


@pytest.mark.parametrize(
    ("full_path", "path", "name"),
    [
        ("/a.apk", "/", "a.apk"),
        ("/a/b/c.apk", "/a/b/", "c.apk"),
        ("/a/b/", "/a/", "b"),
        ("a.apk", "/", "a.apk"),
        ("/", "/", ""),
        ("/目录/文件.apk", "/目录/", "文件.apk"),
    ],
)
def test_the_path_of_a_node_is_its_parent_with_a_slash_at_the_end(full_path: str, path: str, name: str) -> None:
    node = built(event("NODE_CREATED", resource_key=full_path))["node"]
    assert (node["fullPath"], node["path"], node["name"]) == (full_path, path, name)


def test_it_reports_a_lone_surrogate_and_data_nested_too_deeply() -> None:
    with pytest.raises(PayloadError, match="lone surrogate"):
        build_payload(event("NODE_CREATED", {"node": {"name": "\ud800"}}), None)
    with pytest.raises(PayloadError, match="nested too deeply"):
        build_payload(event("NODE_CREATED", {"node": {"x": nested(100_000)}}), None)


def test_the_test_payload_shows_the_webhook_and_completes_the_user() -> None:
    webhook = {"id": "w", "url": "http://receiver.example/", "headers": None}
    expected = {"eventType": WEBHOOK_TEST, "user": MADE_USER, "webHook": webhook}
    assert json.loads(build_test_payload(webhook, {"userId": "u1042"})) == expected
    expected["user"] = MADE_USER | {"admin": True}
    assert json.loads(build_test_payload(webhook, MADE_USER | {"admin": True})) == expected


def test_a_raw_event_can_be_taken_back() -> None:
    given = event("NODE_MOVED", {"x": [1, "\ud800"]}, event_id="e-1")
    assert event_from(json.loads(raw_event(given)), EVENT_TYPES) == given


def test_a_raw_event_leaves_out_data_that_no_json_can_hold() -> None:
    given = event("NODE_MOVED", {"x": nested(100_000)})
    assert event_from(json.loads(raw_event(given)), EVENT_TYPES) == event("NODE_MOVED")


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


KEYS = sorted({key for _, data, _ in TABLE for key in data or {}} | {"user"})
texts = st.text(st.characters(), max_size=8)  # lone surrogates too
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
fields = st.none() | texts


@given(
    st.builds(
        Event,
        type=st.sampled_from(sorted(EVENT_TYPES)) | texts,
        project_id=fields,
        repo_name=fields,
        resource_key=fields,
        user_id=fields,
        data=st.none() | st.dictionaries(st.sampled_from(KEYS) | texts, json_values, max_size=6),
    )
)
def test_any_event_gives_json_with_a_type_and_a_user_or_a_payload_error(given_event: Event) -> None:
    try:
        payload = json.loads(build_payload(given_event, None))
    except PayloadError:
        assert isinstance(json.loads(raw_event(given_event)), dict)
    else:
        assert payload["eventType"] == given_event.type
        assert isinstance(payload["user"], dict)
