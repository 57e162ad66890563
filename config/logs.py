"""Logging: one line a record on standard error."""

import logging

FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


def configure_logging(level: str) -> None:
    """Send records of `level` and above to standard error."""
    logging.basicConfig(level=level, format=FORMAT, force=True)
