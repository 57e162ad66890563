"""Walks lists from page to page."""

from collections.abc import Callable, Iterator
from datetime import datetime

from hookline_client.pages import LogPage, Page, R
from hookline_client.records import Log


def by_cursor(page: Callable[[str | None], Page[R]]) -> Iterator[R]:
    """Yield the records of all pages; `page` returns one by its cursor. Pages may be empty before the end."""
    cursor = None
    while True:
        found = page(cursor)
        yield from found.records
        cursor = found.next_cursor
        if cursor is None:
            return


def by_number(page: Callable[[int, datetime | None], LogPage]) -> Iterator[Log]:
    """Yield the logs of all pages, each once; `page` returns one by its number and the end of the time looked at.

    The newest log of the first page is that end: logs that are written meanwhile would move the others from page to
    page. Within one millisecond they still may, so what the page before had is passed over.
    """
    number, end, before = 1, None, frozenset[str]()
    while True:
        found = page(number, end)
        if end is None and found.records:
            end = found.records[0].request_time
        yield from (log for log in found.records if log.id not in before)
        before = frozenset(log.id for log in found.records)
        if number >= found.total_pages:
            return
        number += 1
