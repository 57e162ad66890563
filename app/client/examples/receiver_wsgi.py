"""A receiver without a framework, on the standard library's WSGI server; see receiver_flask.py."""

import json
import os
from wsgiref.simple_server import WSGIRequestHandler, make_server

from hookline_client import VerificationError, verify, wsgi_headers
from inbox import Inbox

MOST_BYTES = 32 * 1024 * 1024
secrets = os.environ["HOOKLINE_SIGNING_SECRET"].split()
inbox = Inbox(os.environ.get("INBOX", "inbox.db"))


def application(environ, start_response):
    """Take a delivery."""
    size = int(environ.get("CONTENT_LENGTH") or 0)
    if environ["REQUEST_METHOD"] != "POST" or size > MOST_BYTES:
        start_response("400 Bad Request", [])
        return []
    body = environ["wsgi.input"].read(size)
    try:
        message = verify(wsgi_headers(environ), body, secrets)
    except VerificationError as error:
        start_response("401 Unauthorized", [("Content-Type", "text/plain")])
        return [str(error).encode()]
    inbox.put(message)
    start_response("204 No Content", [])
    return []


def handle(message_id, body):
    """Do the work, however long it takes."""
    payload = json.loads(body)
    print(message_id, payload["eventType"], payload.get("node", {}).get("fullPath"), flush=True)


class Quiet(WSGIRequestHandler):
    """Does not write a line for each request."""

    def log_message(self, *_):
        """Write nothing."""


if __name__ == "__main__":
    inbox.work(handle)
    make_server("127.0.0.1", int(os.environ.get("PORT", "5000")), application, handler_class=Quiet).serve_forever()
