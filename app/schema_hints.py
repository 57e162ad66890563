"""What types say of a value besides its type, for the schemas that are made of them."""

from typing import Annotated, Generic, TypedDict, TypeVar

from msgspec import Meta

Record = TypeVar("Record")


def choice(*values: str) -> Meta:
    """Return the hint that a string is one of `values`."""
    return Meta(extra_json_schema={"enum": list(values)})


def said(description: str) -> Meta:
    """Return the hint that describes a value."""
    return Meta(description=description)


Id = Annotated[str, Meta(pattern="^[0-9a-f]{32}$", examples=["019565b2c5a07d3e8f1a2b3c4d5e6f70"])]
EventId = Annotated[str, Meta(max_length=128, examples=["019565b2c5a07d3e8f1a2b3c4d5e6f71"])]
Date = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}$",
        description="A local date-time in the zone of TIMEZONE",
        examples=["2025-03-03T08:00:00.000"],
    ),
]


class CursorPage(TypedDict, Generic[Record]):
    """A page, and where the next one begins; null is the end."""

    records: list[Record]
    nextCursor: str | None


class NumberedPage(TypedDict, Generic[Record]):
    """A page by its number, and how many records there are on all pages."""

    pageNumber: int
    pageSize: int
    totalRecords: int
    totalPages: int
    records: list[Record]
