"""A receiver in Flask: it verifies, keeps what is new, answers, and does the work afterwards.

HOOKLINE_SIGNING_SECRET holds the secret of the webhook (`whsec_…`), several with spaces between during a rotation.
"""

import json
import os

from flask import Flask, request
from hookline_client import VerificationError, verify
from inbox import Inbox

app = Flask(__name__)
secrets = os.environ["HOOKLINE_SIGNING_SECRET"].split()
inbox = Inbox(os.environ.get("INBOX", "inbox.db"))


@app.post("/hook")
def receive():
    """Take a delivery. The signature is of the body as it came, so it is read before it is parsed."""
    try:
        message = verify(request.headers, request.get_data(), secrets)
    except VerificationError as error:
        return str(error), 401
    inbox.put(message)
    return "", 204


def handle(message_id, body):
    """Do the work, however long it takes."""
    payload = json.loads(body)
    print(message_id, payload["eventType"], payload.get("node", {}).get("fullPath"), flush=True)


if __name__ == "__main__":
    inbox.work(handle)
    app.run(port=int(os.environ.get("PORT", "5000")))
