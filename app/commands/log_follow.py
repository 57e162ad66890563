"""Logs as they come, read from pages: in order, each once, over restarts of the server.

A log's id is stamped with the start of its request, and the log is there when that has ended, up to a minute later: it
may appear among older ones. So a look goes back over that minute, and passes over what it has seen. Looking at all of a
busy minute is for every tenth second; in between a look ends at the first page that brings nothing new.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from hookline_client import Client, Log, LogPage
from hookline_client.fields import LogFilters

from app.commands.patience import Sleep, patiently

OVERLAP_S = 65  # a minute (app.attempts.LATEST_MS), and some time for looking itself
DEEP_S = 10.0
INTERVAL_S = 1.0
EACH_S = 0.1  # of many webhooks no more than ten a second are asked about
REFRESH_S = 30.0
PAGE = 100
DEEP_PAGE = 1_000

Clock = Callable[[], float]


class Feed:
    """The logs of one webhook as they come; `clock` gives seconds."""

    def __init__(self, client: Client, webhook_id: str, filters: LogFilters, clock: Clock = time.monotonic) -> None:
        self._client = client
        self._webhook_id = webhook_id
        self._filters = filters
        self._clock = clock
        self._looked = self._deep = clock()
        self._seen: set[str] = set()

    def begin(self, last: int) -> list[Log]:
        """Return the newest `last` logs; those before them count as seen. Raises ClientError."""
        at = self._clock()
        self._remember(list(self._pages(OVERLAP_S, DEEP_PAGE)))
        shown = list(self._page(1, page_size=last)) if last else []
        self._remember(shown)
        self._looked = self._deep = at
        return shown

    def look(self) -> list[Log]:
        """Return what is new. Raises ClientError; then the next look makes up for this one."""
        at = self._clock()
        is_deep = at - self._deep >= DEEP_S
        back_s = math.ceil(at - self._looked) + OVERLAP_S
        pages = self._pages(back_s, DEEP_PAGE if is_deep else PAGE, until_known=not is_deep)
        found = {log.id: log for log in pages if log.id not in self._seen}
        self._looked = at
        self._deep = at if is_deep else self._deep
        self._remember(found.values())
        return list(found.values())

    def _pages(self, back_s: int, size: int, *, until_known: bool = False) -> Iterator[Log]:
        """Yield the logs of the last `back_s` seconds, newest first; some may come twice where others are written."""
        number = 1
        while True:
            page = self._page(number, start_date=f"{back_s}s", page_size=size)
            yield from page
            is_known = all(log.id in self._seen for log in page)
            if number >= page.total_pages or (until_known and is_known):
                return
            number += 1

    def _page(self, number: int, **more: Any) -> LogPage:
        filters: dict[str, Any] = {**self._filters, **more}
        return self._client.log_page(self._webhook_id, number, **filters)

    def _remember(self, found: Iterable[Log]) -> None:
        self._seen.update(log.id for log in found)
        newest = max(self._seen, default="")
        if newest:
            floor_ms = int(newest[:12], 16) - OVERLAP_S * 1000  # of a UUIDv7 the first 48 bits are the time
            self._seen = {log_id for log_id in self._seen if int(log_id[:12], 16) >= floor_ms}


def follow(
    open_feed: Callable[[str], Feed], ids: Callable[[], Sequence[str]], last: int, sleep: Sleep = time.sleep
) -> Iterator[Log]:
    """Yield the newest `last` logs, and then those that come, for ever; `ids` says of which webhooks.

    Among those of one look the oldest comes first. While the server is away it waits. Raises ClientError for anything
    else.
    """
    feeds = {webhook_id: open_feed(webhook_id) for webhook_id in patiently(ids, sleep)}
    begun = [log for feed in feeds.values() for log in patiently(partial(feed.begin, last), sleep)]
    yield from sorted(begun, key=_age)[-last:] if last else ()
    slept_s = 0.0
    while True:
        pause_s = max(INTERVAL_S, EACH_S * len(feeds))
        sleep(pause_s)
        slept_s += pause_s
        if slept_s >= REFRESH_S:
            feeds |= {each: open_feed(each) for each in patiently(ids, sleep) if each not in feeds}
            slept_s = 0.0
        found = [log for feed in feeds.values() for log in patiently(feed.look, sleep)]
        yield from sorted(found, key=_age)


def _age(log: Log) -> str:
    return log.id
