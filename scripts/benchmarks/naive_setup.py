"""Prepares a run of the plain design: an empty Redis, an empty table, and messages waiting in the queue.

Standard input gives `{"messages": N, "urls": […]}`: N messages, for the URLs in turn.
"""

import json
import sys
from uuid import uuid4

from .events import PAYLOAD_SIZE, TRIGGER, make_event, repository
from .naive_worker import Attempt, broker, database, deliver


def main() -> None:
    """Do it."""
    given = json.loads(sys.stdin.read())
    urls = given["urls"]
    broker.client.flushdb()
    database.create_tables([Attempt])
    webhook_ids = [uuid4().hex for _ in urls]
    for number in range(given["messages"]):
        webhook = number % len(urls)
        payload = make_event(number, repository(webhook), PAYLOAD_SIZE).decode()
        deliver.send(webhook_ids[webhook], uuid4().hex, urls[webhook], TRIGGER, payload)
    database.close()


if __name__ == "__main__":
    main()
