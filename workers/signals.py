"""Being told that the process is asked to end, whoever handles its signals."""

import signal
import socket
import threading
from collections.abc import Callable

ENDING = frozenset({signal.SIGTERM, signal.SIGINT})


def on_ending(call: Callable[[], object]) -> None:
    """Have `call` called, in a thread, whenever SIGTERM or SIGINT comes. For the main thread, once a process.

    Granian sets handlers of its own when it starts, and then waits for all answers under way; those that go on until
    they are told to stop have to be told by someone. Python writes each signal to the wakeup descriptor as well, in
    whichever process has set one.
    """
    heard, told = socket.socketpair()
    told.setblocking(False)
    signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_listen, args=(heard, told, call), name="signals", daemon=True).start()


def _listen(heard: socket.socket, told: socket.socket, call: Callable[[], object]) -> None:
    with heard, told:  # both stay open as long as the process: more signals may come
        while True:
            if ENDING.intersection(heard.recv(64)):
                call()
