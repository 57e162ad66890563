"""Tracing is there where it is asked for, and can neither stop nor hold up the service.

What is recorded is in tests/workers/test_tracing.py.
"""

import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import SpanProcessor

from app import tracing
from app.errors import OperatorError
from app.event_types import Event
from app.origin import Origin
from app.tracing_spans import Spans
from config.settings import load_settings

pytestmark = pytest.mark.sqlite_only

ON = replace(load_settings({}), tracing=True)


def test_it_is_off_unless_asked_for_and_by_the_sdks_own_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    tracing.open_tracing(load_settings({}), "serve")
    assert tracing.serving("GET", None, "/", None) is None
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    tracing.open_tracing(ON, "serve")
    assert tracing.serving("GET", None, "/", None) is None


def test_off_it_loads_nothing_of_opentelemetry() -> None:
    # redis-py loads OpenTelemetry's interface where it finds it.
    names = ("app.tracing_spans", "opentelemetry.sdk.trace", "opentelemetry.exporter")
    program = f"import sys, workers.serve, workers.web; print([name for name in {names} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_missing_packages_are_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(OperatorError, match=r"pip install 'hookline\[tracing\]'"):
        tracing.open_tracing(ON, "serve")
    tracing.require_packages(load_settings({}))


def test_a_variable_of_opentelemetry_that_is_no_good_is_an_error_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-3")
    with pytest.raises(OperatorError, match="OTEL_"):
        tracing.open_tracing(ON, "serve")


def test_a_collector_that_does_not_answer_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stuck(SpanProcessor):
        def __init__(self) -> None:
            self.released = threading.Event()

        def shutdown(self) -> None:
            self.released.wait(10.0)

    stuck = Stuck()
    monkeypatch.setattr("app.tracing_spans.FLUSH_S", 0.05)
    tracing.record_with(Spans(stuck, "serve"))
    began = time.monotonic()
    tracing.close_tracing()
    tracing.close_tracing()
    assert time.monotonic() - began < 1.0
    stuck.released.set()


def test_a_publishing_that_fails_ends_its_spans() -> None:
    ended: list[str] = []

    class Seeing(SpanProcessor):
        def on_end(self, span: object) -> None:
            ended.append(span.attributes["error.type"])  # type: ignore[attr-defined]

    tracing.record_with(Spans(Seeing(), "serve"))
    try:
        publishing = tracing.publishing([Event(type="NODE_CREATED")], Origin("http"))
        publishing.failed(ValueError("x"))
    finally:
        tracing.close_tracing()
    assert ended == ["ValueError"]
