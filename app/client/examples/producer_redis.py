"""A producer that hands events to Hookline by way of Redis, with a Redis client alone; see docs/producers.md."""

import json
import os
import sys
import time
import uuid

import redis

namespace = os.environ.get("REDIS_NAMESPACE", "dramatiq")


def publish(client, events):
    """Put a message on the queue, whole or not at all."""
    message_id = str(uuid.uuid4())
    message = {
        "queue_name": "events",
        "actor_name": "publish_events",
        "args": [events],
        "kwargs": {},
        "options": {"redis_message_id": message_id},
        "message_id": message_id,
        "message_timestamp": int(time.time() * 1000),
    }
    with client.pipeline(transaction=True) as multi:
        multi.hset(f"{namespace}:events.msgs", message_id, json.dumps(message))
        multi.rpush(f"{namespace}:events", message_id)
        multi.execute()


if __name__ == "__main__":
    event = {
        "eventId": str(uuid.uuid4()),
        "type": "NODE_CREATED",
        "projectId": "shop",
        "repoName": "android",
        "resourceKey": sys.argv[1],
        "userId": "ci-bot",
    }
    publish(redis.Redis.from_url(os.environ["REDIS_URL"]), [event])
