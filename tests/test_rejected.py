"""Rejected events as administrators look at them."""

import pytest

from app.errors import NotFound
from app.ingest import keep_rejected, rejected_row
from app.models import RejectedEvent
from app.rejected import SHOWN, discard, find_rejected, page_of_rejected, position_of
from app.services import Services


def reject(number: int, at: int, value: object = None) -> str:
    row = rejected_row(f"message-{number}", 0, "type: missing", {} if value is None else value, now=at)
    keep_rejected([row])
    return str(row[0])


def test_pages_give_each_once_the_newest_first(services: Services) -> None:
    ids = [reject(number, 1_000 + number // 4) for number in range(10)]
    found: list[str] = []
    given: dict[str, str] = {}
    while True:
        page = page_of_rejected(3, position_of(given))
        found += [row.id for row in page.rows]
        if page.following is None:
            break
        given = {"cursor": page.following}
    assert sorted(found) == sorted(ids)
    assert [number // 4 for number in (ids.index(each) for each in found)] == [2, 2, 1, 1, 1, 1, 0, 0, 0, 0]


def test_of_a_long_one_the_beginning_is_shown_with_its_length(services: Services) -> None:
    reject(1, 5, {"é": "é" * SHOWN})
    [row] = page_of_rejected(5).rows
    assert (len(row.beginning), row.length) == (SHOWN, SHOWN + 8)
    assert (row.message_id, row.place, row.reason, row.received_at) == ("message-1", 0, "type: missing", 5)


def test_one_is_found_and_discarded(services: Services) -> None:
    kept, gone = reject(1, 5), reject(2, 6)
    discard(find_rejected(gone))
    assert [row.id for row in RejectedEvent.select()] == [kept]
    for unknown in (gone, "", "\0"):
        with pytest.raises(NotFound, match="rejected_not_found"):
            find_rejected(unknown)
