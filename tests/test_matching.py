"""Which webhooks an event goes to."""

import threading
import time
from typing import Any

import pytest

from app.event_types import Event
from app.matching import Webhook, WebhookIndex, is_skipped, scopes_of
from app.patterns import compile_pattern


def webhook(webhook_id: str = "w", association: str = "REPO p:r", **changes: Any) -> Webhook:
    kind, _, association_id = association.partition(" ")
    fields: dict[str, Any] = {
        "url": "http://a",
        "token": None,
        "headers": None,
        "secret": "sealed",
        "triggers": frozenset({"NODE_CREATED"}),
        "resource_key_pattern": None,
        "enabled": True,
    }
    return Webhook(id=webhook_id, association_type=kind, association_id=association_id, **fields | changes)


def event(project: str | None = "p", repo: str | None = "r", key: str | None = "/a/b.apk", **changes: Any) -> Event:
    fields: dict[str, Any] = {"type": "NODE_CREATED", "project_id": project, "repo_name": repo, "resource_key": key}
    return Event(**fields | changes)


def index_of(*webhooks: Webhook) -> WebhookIndex:
    index = WebhookIndex()
    for each in webhooks:
        index.put(each)
    return index


def matched(index: WebhookIndex, of: Event) -> set[str]:
    found = index.match(of, None)
    assert len({each.id for each in found}) == len(found)
    return {each.id for each in found}


ALL = index_of(
    webhook("all", "SYSTEM"),
    webhook("p", "PROJECT p"),
    webhook("p2", "PROJECT p2"),
    webhook("p:r", "REPO p:r"),
    webhook("p:r2", "REPO p:r2"),
    webhook("p2:r", "REPO p2:r"),
)


@pytest.mark.parametrize(
    ("project", "repo", "ids"),
    [
        ("p", "r", {"all", "p", "p:r"}),
        ("p", "r2", {"all", "p", "p:r2"}),
        ("p2", "r", {"all", "p2", "p2:r"}),
        ("p", None, {"all", "p"}),
        ("p", "R", {"all", "p"}),
        ("other", "r", {"all"}),
        (None, None, {"all"}),
        (None, "r", {"all"}),
        ("p:r", None, {"all"}),
        ("", "", {"all"}),
    ],
)
def test_an_association_covers_the_system_a_project_or_one_repository(
    project: str | None, repo: str | None, ids: set[str]
) -> None:
    assert matched(ALL, event(project, repo)) == ids


def test_the_scopes_of_an_event_go_from_wide_to_narrow() -> None:
    assert list(scopes_of(event("p", "r"))) == ["SYSTEM/", "PROJECT/p", "REPO/p:r"]
    assert list(scopes_of(event("p", None))) == ["SYSTEM/", "PROJECT/p"]
    assert list(scopes_of(event(None, "r"))) == ["SYSTEM/"]


def test_a_webhook_gets_only_its_triggers() -> None:
    index = index_of(webhook(triggers=frozenset({"NODE_CREATED", "NODE_DELETED"})))
    assert matched(index, event(type="NODE_CREATED")) == {"w"}
    assert matched(index, event(type="NODE_DELETED")) == {"w"}
    assert matched(index, event(type="NODE_MOVED")) == set()


@pytest.mark.parametrize(
    ("pattern", "key", "fits"),
    [
        (None, "/a/b.apk", True),
        ("", "/a/b.apk", True),
        (None, None, True),
        (r"/a/.*\.apk", "/a/b.apk", True),
        (r"/a/.*\.apk", "/a/b.apk.sha1", False),
        (r"/a/.*\.apk", "/x/a/b.apk", False),
        (r"\.apk", "/a/b.apk", False),
        (r"/a/b.apk|/c", "/c/d", False),
        (r"/a/b.apk$", "/a/b.apk\n", False),
        (r"/A/B\.APK", "/a/b.apk", False),
        (r"(?i)/A/B\.APK", "/a/b.apk", True),
        (r"/路/.", "/路/径", True),
        (r"/路/\p{Han}", "/路/径", True),
        (r".*", "", True),
        (r".+", None, False),
        (r".*", None, True),
    ],
)
def test_a_pattern_must_match_the_whole_key(pattern: str | None, key: str | None, fits: bool) -> None:
    index = index_of(webhook(resource_key_pattern=pattern))
    assert matched(index, event(key=key)) == ({"w"} if fits else set())


def test_webhooks_that_share_a_pattern_share_the_verdict_and_others_have_their_own() -> None:
    index = index_of(
        webhook("a", resource_key_pattern="/a/.*"),
        webhook("b", resource_key_pattern="/a/.*"),
        webhook("c", resource_key_pattern="/c/.*"),
        webhook("d", "SYSTEM", resource_key_pattern="/c/.*"),
    )
    assert matched(index, event(key="/a/1")) == {"a", "b"}
    assert matched(index, event(key="/c/1")) == {"c", "d"}


@pytest.mark.parametrize("pattern", ["(", "[a", "a{2,1}", "*", r"(?=a)b", r"(?<!a)b", r"(a)\1", "a{1001}", r"\p{Nope}"])
def test_a_pattern_that_the_engine_cannot_take_is_refused_with_a_reason(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        compile_pattern(pattern)


def test_a_pattern_that_needs_too_much_memory_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\w"):
        compile_pattern("((a{100}){100}){100}")


def test_a_pattern_made_to_explode_takes_linear_time() -> None:
    pattern = compile_pattern("(a|aa|a?)*(a*)*b")
    started = time.perf_counter()
    assert pattern.fullmatch(b"a" * 4_096) is None
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize(
    ("globs", "skipped"),
    [
        ((), False),
        (("p:r",), True),
        (("x:y", "p:r"), True),
        (("p:*",), True),
        (("*:r",), True),
        (("p:?",), True),
        (("p:[qr]",), True),
        (("p",), False),
        (("P:r",), False),
        (("p:rr",), False),
        (("p:",), False),
    ],
)
def test_globs_drop_the_events_of_a_repository(globs: tuple[str, ...], skipped: bool) -> None:
    assert is_skipped(event(), globs) is skipped


def test_a_glob_may_drop_events_without_a_repository() -> None:
    assert is_skipped(event("p", None), ("p:",))
    assert is_skipped(event(None, None), (":",))
    assert not is_skipped(event("p", "r"), ("p:", ":"))


def test_a_filter_is_asked_about_what_the_pattern_and_the_rest_leave() -> None:
    index = index_of(
        webhook("all"),
        webhook("large", filter='{"payload.node.size":{"$gt":10}}'),
        webhook("small", filter='{"payload.node.size":{"$lte":10}}', resource_key_pattern=".*"),
        webhook("bot", filter='{"userId":"bot"}'),
        webhook("elsewhere", "REPO p:s", filter='{"payload.node.size":11}'),
        webhook("apk", filter='{"payload.node.size":11}', resource_key_pattern="apk"),
    )
    for payload in ({"node": {"size": 11}}, '{"node": {"size": 11}}'):
        assert [each.id for each in index.match(event(), payload)] == ["all", "large"]
    assert [each.id for each in index.match(event(user_id="bot"), {})] == ["all", "bot"]
    assert [each.id for each in index.match(event(), None)] == ["all", "large", "small"]
    assert [each.id for each in index.candidates(event())] == ["all", "large", "small", "bot"]


def test_a_webhook_that_is_put_again_is_replaced_whole() -> None:
    index = index_of(webhook())
    index.put(webhook(association="PROJECT q", triggers=frozenset({"NODE_MOVED"}), url="http://b"))
    assert matched(index, event()) == set()
    assert [each.url for each in index.match(event("q", "x", type="NODE_MOVED"), None)] == ["http://b"]


def test_a_disabled_webhook_is_known_and_matches_nothing() -> None:
    index = index_of(webhook(enabled=False))
    found = index.get("w")
    assert found is not None
    assert not found.enabled
    assert matched(index, event()) == set()
    index.put(webhook())
    assert matched(index, event()) == {"w"}
    index.put(webhook(enabled=False))
    assert matched(index, event()) == set()


def test_a_removed_webhook_is_forgotten() -> None:
    index = index_of(webhook("a"), webhook("b"))
    index.remove("a")
    assert index.get("a") is None
    assert matched(index, event()) == {"b"}
    index.remove("b")
    assert matched(index, event()) == set()


def test_removing_what_is_unknown_or_disabled_is_fine() -> None:
    index = index_of(webhook(enabled=False))
    index.remove("w")
    index.remove("w")
    index.remove("nobody")
    assert index.get("w") is None


def test_an_event_meets_the_old_or_the_new_form_of_a_changing_webhook() -> None:
    index = index_of(webhook())
    counts: set[int] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            counts.add(len(index.match(event(), None)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(2_000):
        index.put(webhook(url=f"http://{number}"))
    stop.set()
    watcher.join()
    assert counts <= {1}
