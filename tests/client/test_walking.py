"""Walking lists from page to page."""

from datetime import datetime

import pytest
from hookline_client import Client, EventRecord, Log, LogPage, Page
from hookline_client.walking import by_cursor, by_number

from tests.client.scripted import OK, Server

pytestmark = pytest.mark.sqlite_only

MORNING = datetime(2021, 12, 27, 8)


def test_cursors_are_followed_over_empty_pages_to_the_end() -> None:
    pages = {
        None: Page(records=(EventRecord(id="a"),), next_cursor="1"),
        "1": Page(next_cursor="2"),
        "2": Page(records=(EventRecord(id="b"),)),
    }
    assert [event.id for event in by_cursor(pages.__getitem__)] == ["a", "b"]


def test_numbers_are_followed_and_logs_that_move_meanwhile_come_once() -> None:
    logs = [Log(id=str(number), request_time=MORNING) for number in range(6)]
    ends: list[datetime | None] = []

    def page(number: int, end: datetime | None) -> LogPage:
        ends.append(end)
        if number == 2:
            logs.insert(0, Log(id="new", request_time=MORNING))
        return LogPage(records=tuple(logs[2 * number - 2 : 2 * number]), total_pages=-(-len(logs) // 2))

    assert [log.id for log in by_number(page)] == ["0", "1", "2", "3", "4", "5"]
    assert ends == [None, MORNING, MORNING, MORNING]


def test_no_logs_are_no_pages() -> None:
    assert list(by_number(lambda number, end: LogPage())) == []


def test_logs_are_asked_for_up_to_the_newest_of_the_first_page(server: Server, client: Client) -> None:
    for number in (1, 2):
        record = {"id": str(number), "requestTime": f"2021-12-27T08:00:0{3 - number}.500"}
        server.script.append((200, {}, {**OK, "data": {"records": [record], "totalPages": 2}}))
    assert [log.id for log in client.iter_logs("w", status="FAIL")] == ["1", "2"]
    assert [seen.path.partition("?")[2] for seen in server.seen] == [
        "pageNumber=1&pageSize=100&status=FAIL",
        "pageNumber=2&pageSize=100&status=FAIL&endDate=2021-12-27T08%3A00%3A02.500",
    ]


@pytest.mark.parametrize("walk", ["iter_events", "iter_deliveries", "iter_jobs"])
def test_lists_with_cursors_are_walked(server: Server, client: Client, walk: str) -> None:
    key = {"iter_deliveries": "deliveryId"}.get(walk, "id")
    for following in ("c", None):
        data = {"records": [{key: str(following)}], "nextCursor": following}
        server.script.append((200, {}, {**OK, "data": data}))
    arguments = () if walk == "iter_events" else ("w",)
    assert [found[key] for found in getattr(client, walk)(*arguments)] == ["c", "None"]
    assert "cursor" not in server.seen[0].path
    assert "cursor=c" in server.seen[1].path


def test_webhooks_of_every_kind_are_walked(server: Server, client: Client) -> None:
    server.gives([{"id": "w"}])
    assert [webhook.id for webhook in client.iter_webhooks()] == ["w"] * 3
    assert [seen.path.rpartition("=")[2] for seen in server.seen] == ["SYSTEM", "PROJECT", "REPO"]
