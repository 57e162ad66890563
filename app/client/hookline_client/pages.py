"""Lists that come in parts. Iterating over a part gives its records."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from hookline_client.record import Json, Record
from hookline_client.records import Log

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Record, Generic[R]):
    """A part of a list. `next_cursor` leads on; None is the end."""

    records: tuple[R, ...] = ()
    next_cursor: str | None = None

    def __iter__(self) -> Iterator[R]:
        return iter(self.records)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPage(Record):
    """A page of logs by its number, from 1."""

    page_number: int = 1
    page_size: int = 0
    total_records: int = 0
    total_pages: int = 0
    records: tuple[Log, ...] = ()

    def __iter__(self) -> Iterator[Log]:
        return iter(self.records)


def page_of(kind: type[R], raw: Json) -> Page[R]:
    """Return a page of records of `kind`."""
    records = tuple(kind.of(record) for record in raw["records"])
    return Page(raw=raw, records=records, next_cursor=raw.get("nextCursor"))
