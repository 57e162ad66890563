"""Who vouches for receivers' certificates: the authorities that certifi lists, and the operator's own beside them."""

import os
from pathlib import Path

import certifi


class Authorities:
    """A file of certificates for libcurl, which keeps what it has read of a file, but not of a text, for a day.

    With authorities of the operator's own the file is one in memory: it needs no directory to write to and leaves
    nothing behind.
    """

    def __init__(self, own: str | None) -> None:
        self._fd: int | None = None
        self.path = certifi.where()  # the wheel's libcurl has no list of its own
        if own is not None:
            known = Path(self.path).read_bytes()
            self._fd = os.memfd_create("authorities", os.MFD_CLOEXEC)
            with open(self._fd, "wb", closefd=False) as file:
                file.write(known + b"\n" + own.encode())
            self.path = f"/proc/self/fd/{self._fd}"

    def close(self) -> None:
        """Let the file go. Again is fine."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
