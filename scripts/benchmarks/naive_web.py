"""The plain design's way in: an endpoint that looks the webhooks up in a list, sends a message for each, and answers.

The environment gives NAIVE_WEBHOOKS: JSON, `[[webhook id, repository, url], …]`. See `naive_worker` for the rest.
"""

import json
import os
from uuid import uuid4

from flask import Flask, Response, request

from .naive_worker import deliver

app = Flask(__name__)
webhooks = json.loads(os.environ["NAIVE_WEBHOOKS"])


@app.post("/publish")
def publish() -> Response:
    """Send one message for each webhook that looks at the event's repository."""
    event = json.loads(request.get_data())
    payload = json.dumps(event)
    for webhook_id, repo_name, url in webhooks:
        if repo_name == event["repoName"]:
            deliver.send(webhook_id, uuid4().hex, url, event["type"], payload)
    return Response('{"code": 0}', 202, content_type="application/json")
