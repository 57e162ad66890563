"""Pages are sent gzipped, with some bytes of chance in them.

A page has what a stranger sent beside the viewer's token, and the size of what is compressed tells a little of both to
who can watch the line (BREACH). A file name of random length in gzip's header (RFC 1952 §2.3.1) drowns that.
"""

import gzip
import io
import secrets

from flask import Response, request

SMALLEST = 1_024  # bytes; less gains nothing
LEVEL = 5
MOST_CHANCE = 100  # bytes


def compress(answer: Response) -> Response:
    """Compress a page for a browser that takes it. For sections' after_request."""
    answer.vary.add("Accept-Encoding")
    if answer.mimetype != "text/html" or answer.is_streamed or answer.direct_passthrough:
        return answer
    body = answer.get_data()
    if len(body) >= SMALLEST and request.accept_encodings["gzip"] > 0:
        answer.set_data(_packed(body))
        answer.content_encoding = "gzip"
    return answer


def _packed(body: bytes) -> bytes:
    packed = io.BytesIO()
    name = secrets.token_hex(MOST_CHANCE)[: secrets.randbelow(MOST_CHANCE)]
    with gzip.GzipFile(name, "wb", LEVEL, packed, mtime=0) as file:
        file.write(body)
    return packed.getvalue()
