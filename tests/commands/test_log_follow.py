"""Following logs: in order, each once, over a restart of the server."""

import json
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hookline_client import ConnectError, Log, LogPage

from app.commands.log_follow import DEEP_S, OVERLAP_S, Feed, follow
from app.ids import id_at
from tests.receiver import Receiver
from tests.server import PASSWORD, eventually, serving

pytestmark = pytest.mark.sqlite_only

AT = 1_640_563_200_000


class Pages:
    """A client whose pages of logs are those of a list; keeps what was asked for."""

    def __init__(self) -> None:
        self.logs: list[Log] = []
        self.asked: list[dict[str, Any]] = []
        self.now = 0.0
        self.away = 0

    def write(self, at_s: float) -> Log:
        log = Log(id=id_at(AT + round(at_s * 1000)))
        self.logs.append(log)
        return log

    def log_page(self, _: str, page: int, *, page_size: int, start_date: str | None = None, **more: Any) -> LogPage:
        if self.away:
            self.away -= 1
            raise ConnectError("the server is away")
        self.asked.append({"page": page, "page_size": page_size, "start_date": start_date, **more})
        back_s = 1e6 if start_date is None else int(start_date.rstrip("s"))
        found = sorted(
            (log for log in self.logs if int(log.id[:12], 16) >= AT + (self.now - back_s) * 1000),
            key=lambda log: log.id,
            reverse=True,
        )
        records = tuple(found[(page - 1) * page_size : page * page_size])
        return LogPage(total_pages=-(-len(found) // page_size), records=records)


@pytest.fixture
def pages() -> Pages:
    return Pages()


@pytest.fixture
def feed(pages: Pages) -> Feed:
    client: Any = pages
    return Feed(client, "w", {}, clock=lambda: pages.now)


def test_it_begins_with_the_newest_and_never_shows_those_before(pages: Pages, feed: Feed) -> None:
    old, first, second = pages.write(-3), pages.write(-2), pages.write(-1)
    assert feed.begin(2) == [second, first]
    assert feed.look() == []
    new = pages.write(0)
    assert feed.look() == [new]
    assert feed.look() == []
    assert old not in feed.look()


def test_without_any_it_shows_only_what_comes(pages: Pages, feed: Feed) -> None:
    pages.write(-1)
    assert feed.begin(0) == []
    new = pages.write(0)
    assert feed.look() == [new]


def test_a_slow_attempt_that_appears_among_older_ones_is_shown(pages: Pages, feed: Feed) -> None:
    for number in range(500):
        pages.write(30 + number / 1000)
    pages.now = 31
    feed.begin(1)
    late = pages.write(1)  # its request took half a minute
    pages.now += DEEP_S
    assert feed.look() == [late]


def test_a_quick_look_ends_at_the_first_page_that_brings_nothing_new(pages: Pages, feed: Feed) -> None:
    for number in range(1_000):
        pages.write(number / 1000)
    pages.now = 1
    feed.begin(1)
    pages.asked.clear()
    new = pages.write(1.001)
    assert feed.look() == [new]
    assert [asked["page"] for asked in pages.asked] == [1, 2]


def test_many_at_once_are_all_shown(pages: Pages, feed: Feed) -> None:
    feed.begin(10)
    made = [pages.write(number / 1000) for number in range(350)]
    pages.now = 1
    assert {log.id for log in feed.look()} == {log.id for log in made}


def test_after_a_time_without_answers_it_looks_back_over_that_time(pages: Pages, feed: Feed) -> None:
    feed.begin(10)
    missed = pages.write(5)
    pages.now = 600
    assert feed.look() == [missed]
    assert pages.asked[-1]["start_date"] == f"{600 + OVERLAP_S}s"


def test_what_it_remembers_is_bounded_by_the_overlap(pages: Pages, feed: Feed) -> None:
    feed.begin(10)
    for second in range(1, 500):
        pages.now = second
        pages.write(second)
        feed.look()
    assert len(feed._seen) <= OVERLAP_S + 1


def test_following_goes_on_when_the_server_is_back_and_tells_once(
    pages: Pages, feed: Feed, capsys: pytest.CaptureFixture[str]
) -> None:
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pages.now += seconds
        pauses.append(seconds)
        if len(pauses) == 1:
            pages.write(pages.now)
            pages.write(pages.now - 0.5)
            pages.away = 3

    logs = follow(lambda _: feed, lambda: ["w"], 10, sleep)
    first, second = next(logs), next(logs)
    assert first.id < second.id
    assert pauses == [1.0, 0.5, 1.0, 2.0]
    assert capsys.readouterr().err.splitlines() == [
        "the server is away; trying again until it answers …",
        "It answers again.",
    ]


@pytest.mark.slow
def test_a_restart_of_the_server_loses_and_doubles_nothing(tmp_path: Path) -> None:
    receiver = Receiver()
    with serving(tmp_path / "data") as server, server.client() as client:
        made = client.create(url=receiver.url, triggers=["NODE_CREATED"], association_type="SYSTEM")
        address = f"http://127.0.0.1:{server.port}"
        environ = {"HOOKLINE_SERVER": address, "HOOKLINE_USER": "admin", "HOOKLINE_PASSWORD": PASSWORD, "NO_PROXY": "*"}
        command = [sys.executable, "-m", "app.cli", "logs", made, "--follow", "--json"]
        seen: list[str] = []
        with subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            reader = threading.Thread(target=_read, args=(process, seen))
            reader.start()
            client.test(made)
            eventually(partial(_has, seen, 1), 20)
            server.stop()
            server.start()
            expected = [client.test(made).id for _ in range(3)]
            eventually(partial(_has, seen, 4), 20)
            process.terminate()
            reader.join()
    receiver.close()
    assert seen[1:] == expected


def _has(seen: list[str], count: int) -> bool:
    return len(seen) >= count


def _read(process: "subprocess.Popen[str]", seen: list[str]) -> None:
    assert process.stdout is not None
    seen.extend(json.loads(line)["id"] for line in process.stdout)
