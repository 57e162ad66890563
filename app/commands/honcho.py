"""What `honcho start` needs: it starts every line of the Procfile at once, and ends all when one of them ends."""

import os
import signal
import threading
import time
from collections.abc import Callable

PATIENCE_S = 60.0
LOOK_S = 0.2


def is_under_honcho() -> bool:
    """Return whether this process is one that honcho started."""
    return "HONCHO_PROCESS_NAME" in os.environ


def stay() -> None:
    """Wait for a signal to end."""
    asked = threading.Event()
    for number in signal.SIGTERM, signal.SIGINT:
        signal.signal(number, lambda *_: asked.set())
    asked.wait()


def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so, which the release brings about that was started at the same time; not for ever."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so() and time.monotonic() < deadline:
        time.sleep(LOOK_S)
