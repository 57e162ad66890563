"""What the Dramatiq command line loads: `dramatiq workers.main`. `hookline worker` runs just that, after a check."""

import os
import signal
import sys
import time
from types import FrameType
from typing import cast

import dramatiq

from app.errors import HooklineError
from app.metrics import open_metrics
from app.presence import WORKER
from app.schema import require_current
from app.services import Services, open_services
from app.tracing import open_tracing
from config.logs import configure_logging
from config.settings import SettingsError, load_settings
from workers.actors import consume_in_batches, declare_actors
from workers.collector import spare_the_collector
from workers.metrics_port import answer_at_port
from workers.presence import PresenceMiddleware

ONE_MOMENT_S = 5.0


def _open() -> Services:
    """Open everything, or end the process with one line: Dramatiq would print a traceback, and go on with others."""
    try:
        settings = load_settings(os.environ)
        configure_logging(settings, WORKER)
        open_tracing(settings, WORKER)
        services = open_services(settings)
        require_current()
    except (HooklineError, SettingsError) as error:
        sys.exit(f"hookline worker: {error}")
    return services


def _heed_once() -> None:
    """Take the signals that come within a moment for one.

    Platforms and `honcho` signal every process, and Dramatiq's master passes its own on. Dramatiq takes the second for
    impatience, and would end without draining.
    """
    heed, heeded_at = signal.getsignal(signal.SIGTERM), [float("-inf")]  # Dramatiq's, for SIGHUP too

    def once(number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - heeded_at[0] > ONE_MOMENT_S:
            heeded_at[0] = now
            if callable(heed):
                heed(number, frame)

    if callable(heed):
        signal.signal(signal.SIGTERM, once)
        signal.signal(signal.SIGHUP, once)


services = _open()
_heed_once()
open_metrics(services.settings, WORKER)
answer_at_port(services)
declare_actors(services)
consume_in_batches(services)
cast(dramatiq.Broker, services.broker).add_middleware(PresenceMiddleware())
spare_the_collector()
