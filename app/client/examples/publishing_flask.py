"""A Flask app that publishes an event for each file it is given, without waiting for Hookline.

HOOKLINE_SERVER, HOOKLINE_ACCESS_KEY and HOOKLINE_ACCESS_SECRET say where to publish and as whom. The key needs the
scope `event:publish`.
"""

import logging
import os

from flask import Flask, request
from hookline_client import BufferFull, Client, Publisher

app = Flask(__name__)
client = Client(
    os.environ.get("HOOKLINE_SERVER", "http://127.0.0.1:8080"),
    access_key=os.environ["HOOKLINE_ACCESS_KEY"],
    secret_key=os.environ["HOOKLINE_ACCESS_SECRET"],
)


def keep(error, events):
    """Write down what could not be published: `hookline publish` takes this file later."""
    logging.error("%d events not published: %s", len(events), error)
    with open("unpublished.ndjson", "a") as file:
        file.writelines(f"{app.json.dumps(event)}\n" for event in events)


publisher = Publisher(client, interval_s=0.2, on_error=keep)


@app.put("/<project>/<repo>/<path:path>")
def upload(project, repo, path):
    """Take a file, and tell of it."""
    event = {
        "type": "NODE_CREATED",
        "projectId": project,
        "repoName": repo,
        "resourceKey": f"/{path}",
        "userId": request.headers.get("X-User", "anonymous"),
        "data": {"node": {"size": len(request.get_data())}},
    }
    try:
        publisher.add(event, wait_s=0.5)
    except BufferFull as error:
        keep(error, [event])
    return "", 201


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "5001")))
