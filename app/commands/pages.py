"""Lists that the database gives page by page, read to their end."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Row = TypeVar("Row")
Place = TypeVar("Place")


def every(page: Callable[[Place], tuple[Sequence[Row], Place | None]], start: Place) -> Iterator[Row]:
    """Yield the rows of all pages; `page` returns those after a place, and the place where it broke off, None for the
    end. Pages may be empty before that."""
    after: Place | None = start
    while after is not None:
        rows, after = page(after)
        yield from rows
