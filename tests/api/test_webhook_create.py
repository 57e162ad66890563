"""POST /webhook/api/webhook/create: what it makes, what it refuses, and that a refusal changes nothing."""

from typing import Any

import pytest

from app.event_types import EVENT_TYPES
from app.models import Counter, Webhook
from app.services import Services
from tests.api.conftest import NEW, Api, stored

DEEP = b'{"url": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"

MISSING, EMPTY, INVALID, MALFORMED = 250103, 250104, 250105, 250106

# fields that say how a webhook is delivered to, text that the message must hold
BAD_SETTINGS: list[tuple[dict[str, Any], str]] = [
    *(({"timeout": value}, "timeout") for value in (True, "5", "5s", [5], {}, 0.999, 30.001, -1, 31, 10**30, 1e308)),
    ({"retrySchedule": "5s"}, "retrySchedule must be a list"),
    ({"retrySchedule": {}}, "retrySchedule must be a list"),
    ({"retrySchedule": ["5s"] * 51}, "retrySchedule has more than 50"),
    *(
        ({"retrySchedule": ["5s", value]}, "retrySchedule[1]")
        for value in (None, 5, True, "", "5", "5 s", "-5s", "5w", "٥s", "1e3s", "5s\n5s", "x" * 100_000)
    ),
    ({"retrySchedule": ["999ms"]}, "retrySchedule[0] must be from 1s to 7d"),
    ({"retrySchedule": ["169h"]}, "retrySchedule[0] must be from 1s to 7d"),
    *(({"rateLimit": value}, "rateLimit") for value in (True, "5", 5.0, 0.5, -1, 10_001, 10**30, [1])),
    *(({"rateBurst": value}, "rateBurst") for value in (False, "5", 5.0, -1, 10_001, 10**30)),
    *(({"signing": value}, "signing") for value in ("V1", "v2", "none", 1, True, ["v1"], "v" * 5_000)),
    *(({"ordering": value}, "ordering") for value in ("None", "key", 0, False, ["none"])),
    *(({"clientCertificate": value}, "clientCertificate") for value in (5, ["x"], "x", "\u0000", "x" * 65_537)),
    ({"pending": "release"}, "pending"),
    ({"pending": "drop", "enabled": False}, "pending"),
    *(({"pending": value, "enabled": True}, "pending") for value in ("keep", True, 1, ["drop"])),
]

# change of the good body (None leaves the field out), code, text that the message must hold
BAD_FIELDS: list[tuple[dict[str, Any], int, str]] = [
    ({"url": None}, MISSING, "url"),
    ({"url": ""}, EMPTY, "url"),
    ({"url": 5}, INVALID, "url"),
    ({"url": "http://a/" + "x" * 2_040}, INVALID, "url is longer than 2048"),
    ({"url": "file:///etc/passwd"}, INVALID, "url"),
    ({"url": "ftp://a"}, INVALID, "url"),
    ({"url": "http:a"}, INVALID, "url"),
    ({"url": "//a"}, INVALID, "url"),
    ({"url": "http://"}, INVALID, "url"),
    ({"url": "http://u:p@a"}, INVALID, "url"),
    ({"url": "http://u@a"}, INVALID, "url"),
    ({"url": "http://a:0"}, INVALID, "url"),
    ({"url": "http://a:65536"}, INVALID, "url"),
    ({"url": "http://a:x"}, INVALID, "url"),
    ({"url": "http://a b"}, INVALID, "url"),
    ({"url": " http://a"}, INVALID, "url"),
    ({"url": "http://a\r\nb: c"}, INVALID, "url"),
    ({"url": "http://a\\b"}, INVALID, "url"),
    ({"url": "http://a/\u0000"}, INVALID, "url"),
    ({"url": "http://a..b"}, INVALID, "url"),
    ({"url": "http://[::1"}, INVALID, "url"),
    ({"url": "http://[::1]b"}, INVALID, "url"),
    ({"triggers": None}, MISSING, "triggers"),
    ({"triggers": []}, EMPTY, "triggers"),
    ({"triggers": "NODE_CREATED"}, INVALID, "triggers"),
    ({"triggers": ["NODE_CREATED", 5]}, INVALID, "triggers[1]"),
    ({"triggers": ["NODE_CREATED", ""]}, INVALID, "triggers[1]"),
    ({"triggers": ["NOPE"]}, INVALID, 'triggers[0]: unknown event type "NOPE"'),
    ({"triggers": ["N" * 100_000]}, INVALID, "triggers[0]"),
    ({"association_type": None}, MISSING, "association_type"),
    ({"association_type": ""}, EMPTY, "association_type"),
    ({"association_type": 1}, INVALID, "association_type"),
    ({"association_type": "repo"}, INVALID, "association_type"),
    ({"associationType": "PROJECT"}, INVALID, "association_type and associationType"),
    ({"associationId": "p:other"}, INVALID, "association_id and associationId"),
    ({"association_id": None}, MISSING, "association_id"),
    ({"association_id": ""}, EMPTY, "association_id"),
    ({"association_id": 1}, INVALID, "association_id"),
    ({"association_id": "p"}, INVALID, "association_id"),
    ({"association_id": "p:"}, INVALID, "association_id"),
    ({"association_id": ":r"}, INVALID, "association_id"),
    ({"association_id": "p:r:x"}, INVALID, "association_id"),
    ({"association_id": "p:r\n"}, INVALID, "association_id"),
    ({"association_id": "p:r\u0000"}, INVALID, "association_id"),
    ({"association_id": "p:" + "r" * 129}, INVALID, "association_id"),
    ({"association_id": "p:" + "r" * 300}, INVALID, "association_id"),
    ({"association_type": "PROJECT", "association_id": "p:r"}, INVALID, "association_id"),
    ({"association_type": "PROJECT", "association_id": None}, MISSING, "association_id"),
    ({"association_type": "SYSTEM"}, INVALID, "association_id"),
    ({"resourceKeyPattern": 5}, INVALID, "resourceKeyPattern"),
    ({"resourceKeyPattern": "a" * 513}, INVALID, "resourceKeyPattern"),
    ({"resourceKeyPattern": "("}, INVALID, "resourceKeyPattern"),
    ({"resourceKeyPattern": r"(a)\1"}, INVALID, "resourceKeyPattern"),
    ({"resourceKeyPattern": "(?=a)"}, INVALID, "resourceKeyPattern"),
    ({"resourceKeyPattern": "a\u0000"}, INVALID, "resourceKeyPattern"),
    ({"headers": "X: y"}, INVALID, "headers"),
    ({"headers": ["X"]}, INVALID, "headers"),
    ({"headers": {"X": 5}}, INVALID, "headers.X"),
    ({"headers": {"X": None}}, INVALID, "headers.X"),
    ({"headers": {"X": ""}}, EMPTY, "headers.X"),
    ({"headers": {"X": " "}}, EMPTY, "headers.X"),
    ({"headers": {"": "x"}}, EMPTY, "headers"),
    ({"headers": {"A b": "x"}}, INVALID, "headers"),
    ({"headers": {"A:": "x"}}, INVALID, "headers"),
    ({"headers": {"A\r\nB": "x"}}, INVALID, "headers"),
    ({"headers": {"Ä": "x"}}, INVALID, "headers"),
    ({"headers": {"X": "a\r\nEvil: b"}}, INVALID, "headers.X"),
    ({"headers": {"X": "a\nb"}}, INVALID, "headers.X"),
    ({"headers": {"X": "a\u0000b"}}, INVALID, "headers.X"),
    ({"headers": {"X": "é"}}, INVALID, "headers.X"),
    ({"headers": {"X" * 257: "x"}}, INVALID, "headers"),
    ({"headers": {"X": "x" * 4_097}}, INVALID, "headers.X is longer than 4096"),
    ({"headers": {f"X-{n}": "x" for n in range(51)}}, INVALID, "headers has more than 50"),
    ({"headers": {"X-A": "1", "x-a": "2"}}, INVALID, "headers"),
    ({"headers": {"Authorization": "****abcd"}}, INVALID, "headers.Authorization"),
    ({"signing": ""}, EMPTY, "signing"),
    ({"ordering": ""}, EMPTY, "ordering"),
    ({"pending": "", "enabled": True}, EMPTY, "pending"),
    *(
        ({"triggers": ["NODE_CREATED", name]}, INVALID, f'triggers[1]: "{name}" is for webhooks of SYSTEM')
        for name, kind in EVENT_TYPES.items()
        if kind.operational
    ),
    ({"token": 5}, INVALID, "token"),
    ({"token": " "}, EMPTY, "token"),
    ({"token": "t" * 4_097}, INVALID, "token"),
    ({"token": "a\r\nb"}, INVALID, "token"),
    ({"token": "a\u0000"}, INVALID, "token"),
    ({"token": "****abcd"}, INVALID, "token"),
    *((fields, INVALID, text) for fields, text in BAD_SETTINGS),
    ({"enabled": "yes"}, INVALID, "enabled"),
    ({"enabled": 1}, INVALID, "enabled"),
    *(
        ({"headers": {name: "x"}}, INVALID, name)
        for name in (
            *("Host", "content-length", "Transfer-Encoding", "CONNECTION", "Keep-Alive", "Upgrade", "TE", "Trailer"),
            *("Expect", "Proxy-Authorization", "webhook-id", "Webhook-Signature", "webhook-anything"),
        )
    ),
]

BAD_BODIES = [
    (b"", MALFORMED, "empty"),
    (b"  \n", MALFORMED, "empty"),
    (b"{", MALFORMED, "not valid JSON"),
    (b"{}x", MALFORMED, "not valid JSON"),
    (b"[]", MALFORMED, "object"),
    (b"null", MALFORMED, "object"),
    (b'"text"', MALFORMED, "object"),
    (b'{"url": NaN}', MALFORMED, "not valid JSON"),
    (b'{"url": Infinity}', MALFORMED, "not valid JSON"),
    (b'{"url": 1e999}', MALFORMED, "not valid JSON"),
    (b'{"url": 01}', MALFORMED, "not valid JSON"),
    (b'{"url": "\\ud800"}', MALFORMED, "not valid JSON"),
    (b'{"url": "\\udc00x"}', MALFORMED, "not valid JSON"),
    (b'{"url": "\xff"}', MALFORMED, "not valid JSON"),
    (b"\xef\xbb\xbf{}", MALFORMED, "byte order mark"),
    (b'{"url": "http://a", "url": "http://b"}', MALFORMED, '"url"'),
    (b'{"headers": {"a": "\\u0022", "a": "b"}}', MALFORMED, '"a"'),
    (DEEP, MALFORMED, "nests deeper"),
    (b'{"url": ' + b"[" * 101 + b"]" * 101 + b"}", MALFORMED, "nests deeper"),
]


def changed(**change: Any) -> dict[str, Any]:
    return {name: value for name, value in (NEW | change).items() if value is not None}


def test_it_makes_a_webhook_and_names_it_in_the_headers(admin: Api) -> None:
    answer = admin("POST", "/webhook/create", NEW)
    assert answer.status_code == 200
    assert answer.json == {"code": 0, "message": None, "data": None, "traceId": answer.headers["X-Trace-Id"]}
    [row] = stored()
    assert answer.headers["X-Webhook-Id"] == row["id"]
    assert answer.headers["Location"] == f"/webhook/api/webhook/{row['id']}"
    assert (row["created_by"], row["version"]) == ("root", Counter.get_by_id("webhooks").value)


def test_it_takes_both_spellings_and_ignores_unknown_fields(admin: Api) -> None:
    body = {
        "url": "https://例え.jp:8443/路径?q=1#x",
        "triggers": ["NODE_CREATED", "NODE_DELETED", "NODE_CREATED"],
        "associationType": "PROJECT",
        "associationId": "p",
        "fromTheFuture": {"a": [1]},
        "headers": None,
        "token": "",
    }
    answer = admin("POST", "/webhook/create", body)
    shown = admin.data("GET", f"/webhook/{answer.headers['X-Webhook-Id']}")
    assert shown["triggers"] == ["NODE_CREATED", "NODE_DELETED"]
    assert (shown["associationType"], shown["associationId"], shown["url"]) == ("PROJECT", "p", body["url"])
    assert (shown["token"], shown["headers"]) == (None, {})


@pytest.mark.parametrize("system_id", [{}, {"association_id": ""}, {"association_id": None}])
def test_a_system_webhook_needs_no_id(admin: Api, system_id: dict[str, Any]) -> None:
    body = {"url": NEW["url"], "triggers": NEW["triggers"], "association_type": "SYSTEM", **system_id}
    assert admin("POST", "/webhook/create", body).json["code"] == 0
    assert stored()[0]["association_id"] == ""


def test_limits_are_inclusive(admin: Api) -> None:
    headers = {"X" * 256: "x" * 4_096} | {f"X-{n}": "x" for n in range(49)}
    admin.create(url="http://a/" + "x" * 2_039, resourceKeyPattern="a" * 512, headers=headers, token="t" * 4_096)
    assert len(stored()) == 1


def test_secrets_are_not_stored_in_the_clear(admin: Api, services: Services) -> None:
    admin.create(token="token-in-the-clear", headers={"Authorization": "header-in-the-clear"})
    [row] = stored()
    assert "in-the-clear" not in str(row)
    assert "whsec_" not in str(row)
    assert services.vault.decrypt(row["token"]) == "token-in-the-clear"


@pytest.mark.sqlite_only
@pytest.mark.parametrize(("change", "code", "text"), BAD_FIELDS)
def test_it_refuses_bad_fields_and_changes_nothing(admin: Api, change: dict[str, Any], code: int, text: str) -> None:
    answer = admin("POST", "/webhook/create", changed(**change))
    assert (answer.status_code, answer.json["code"]) == (400, code), answer.json
    assert text in answer.json["message"]
    assert len(answer.json["message"]) < 600
    assert Webhook.select().count() == 0
    assert Counter.get_by_id("webhooks").value == 0


@pytest.mark.sqlite_only
@pytest.mark.parametrize(("body", "code", "text"), BAD_BODIES)
def test_it_refuses_bad_bodies_and_changes_nothing(admin: Api, body: bytes, code: int, text: str) -> None:
    answer = admin("POST", "/webhook/create", body)
    assert (answer.status_code, answer.json["code"]) == (400, code), answer.json
    assert text in answer.json["message"]
    assert Webhook.select().count() == 0


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": ""},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/x-ndjson"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Encoding": "gzip"},
    ],
)
def test_it_refuses_a_body_that_is_not_json(admin: Api, headers: dict[str, str]) -> None:
    answer = admin("POST", "/webhook/create", NEW, headers=headers)
    assert (answer.status_code, answer.json["code"]) == (415, 250119)
    assert stored() == []


@pytest.mark.parametrize("content_type", ["application/json; charset=UTF-8", "Application/JSON", "application/x+json"])
def test_it_takes_every_spelling_of_json(admin: Api, content_type: str) -> None:
    answer = admin("POST", "/webhook/create", NEW, headers={"Content-Type": content_type})
    assert answer.status_code == 200


@pytest.mark.sqlite_only
def test_it_refuses_a_body_over_a_mebibyte(admin: Api) -> None:
    answer = admin("POST", "/webhook/create", NEW | {"ignored": "x" * 1024 * 1024})
    assert (answer.status_code, answer.json["code"]) == (413, 250106)
    assert stored() == []


def test_messages_are_chinese_for_those_who_prefer_it(admin: Api) -> None:
    answer = admin("POST", "/webhook/create", changed(url=None), headers={"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"})
    assert answer.json["message"] == "缺少参数 url"
