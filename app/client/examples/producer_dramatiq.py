"""A producer that hands events to Hookline by way of Redis, with Dramatiq; see docs/producers.md."""

import os
import sys
import uuid

import dramatiq
from dramatiq.brokers.redis import RedisBroker

dramatiq.set_broker(RedisBroker(url=os.environ["REDIS_URL"], namespace=os.environ.get("REDIS_NAMESPACE", "dramatiq")))


@dramatiq.actor(queue_name="events")
def publish_events(events):
    """Hookline's own workers do this; the name and the queue are what counts."""
    raise NotImplementedError


if __name__ == "__main__":
    event = {
        "eventId": str(uuid.uuid4()),
        "type": "NODE_CREATED",
        "projectId": "shop",
        "repoName": "android",
        "resourceKey": sys.argv[1],
        "userId": "ci-bot",
    }
    publish_events.send([event])
