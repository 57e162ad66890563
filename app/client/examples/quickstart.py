"""Registers a webhook, publishes an event, and reads what became of it.

HOOKLINE_SERVER, HOOKLINE_USER and HOOKLINE_PASSWORD say where and as whom; the argument is the receiver's URL.
"""

import os
import sys
import time

from hookline_client import Client, ClientError

server = os.environ.get("HOOKLINE_SERVER", "http://127.0.0.1:8080")
user = os.environ.get("HOOKLINE_USER", "admin")


def main():
    """Do it all, and leave nothing behind."""
    with Client(server, user=user, password=os.environ["HOOKLINE_PASSWORD"]) as client:
        webhook_id = client.create(
            url=sys.argv[1], triggers=["NODE_CREATED"], association_type="REPO", association_id="quick:start"
        )
        event = {"type": "NODE_CREATED", "projectId": "quick", "repoName": "start", "resourceKey": "/a", "userId": user}
        published = client.publish(event)
        print(f"{published.accepted} event accepted, {published.matched} delivery made")
        while not (deliveries := client.event(published.event_ids[0]).deliveries) or not deliveries[0].attempts:
            time.sleep(0.1)
        for log in client.iter_logs(webhook_id):
            print(log.status, log.response_status, log.error_msg or "")
        client.delete(webhook_id)


if __name__ == "__main__":
    try:
        main()
    except ClientError as error:
        sys.exit(str(error))
