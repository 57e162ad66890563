"""What /metrics answers: in Prometheus' text format, or OpenMetrics to those who ask for it."""

import hmac
from collections.abc import Iterator
from typing import NamedTuple
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from app.metrics_book import Book
from app.metrics_state import Questions, StateCollector
from app.services import Services

TEXT = "text/plain; charset=utf-8"

_questions: WeakKeyDictionary[Book, Questions] = WeakKeyDictionary()


class Page(NamedTuple):
    """An answer: its status, what it is, and the bytes."""

    status: int
    headers: dict[str, str]
    body: bytes


def metrics_page(
    services: Services, book: Book | None, accept: str | None = None, authorization: str | None = None
) -> Page:
    """Return the metrics of all processes that share figures with this one.

    404 where nothing is counted, 401 where METRICS_TOKEN is set and `authorization` is not `Bearer` and that token.
    """
    if book is None:
        return _refusal(404, "metrics are off (see METRICS)")
    token = services.settings.metrics_token
    if token is not None and not _is_bearer(token, authorization):
        return _refusal(401, "the bearer token METRICS_TOKEN is wanted", {"WWW-Authenticate": "Bearer"})
    encode, content_type = choose_encoder(accept or "")
    return Page(200, {"Content-Type": content_type}, encode(everything(services, book)))


def everything(services: Services, book: Book) -> Collector:
    """Return what is counted, by the processes that share figures with this one, and what is asked for."""
    registry = CollectorRegistry()
    if book.slot is None:
        ProcessCollector(registry=registry)
    else:
        book.slot.drop_dead()
        MultiProcessCollector(registry, str(book.slot.directory))  # type: ignore[no-untyped-call]
    questions, is_alone = _questions.setdefault(book, Questions()), services.settings.redis_url is None
    registry.register(StateCollector(services.broker, questions, is_alone=is_alone))
    return _Together(registry, *([book.registry] if book.slot is None else []))


class _Together(Collector):
    """Several registries as one."""

    def __init__(self, *parts: CollectorRegistry) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        for part in self._parts:
            yield from part.collect()


def _is_bearer(token: str, authorization: str | None) -> bool:
    kind, _, given = (authorization or "").partition(" ")
    return kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())


def _refusal(status: int, text: str, headers: dict[str, str] | None = None) -> Page:
    return Page(status, {"Content-Type": TEXT, **(headers or {})}, f"{text}\n".encode())
