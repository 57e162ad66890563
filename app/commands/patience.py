"""Going on while a server is away for a moment, restarted say."""

import time
from collections.abc import Callable
from typing import TypeVar

from hookline_client import ClientError
from hookline_client.retrying import is_passing

from app.commands.output import say

T = TypeVar("T")
Sleep = Callable[[float], object]

LONGEST_PAUSE_S = 10.0


def patiently(call: Callable[[], T], sleep: Sleep = time.sleep) -> T:
    """Return what `call`, which only reads, does, trying again for as long as the server is away or busy; that is told
    once. Raises any other ClientError."""
    pause_s, told = 0.5, False
    while True:
        try:
            found = call()
        except ClientError as error:
            if not is_passing(error):
                raise
            if not told:
                say(f"{error}; trying again until it answers …")
            told = True
            sleep(max(pause_s, error.retry_after_s or 0))
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            continue
        if told:
            say("It answers again.")
        return found
