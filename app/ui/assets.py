"""Static files: read once, named with a digest so that browsers may keep them for good, and sent gzipped."""

import gzip
import hashlib
import mimetypes
from pathlib import Path
from typing import NamedTuple

from flask import Blueprint, Response, abort, request, url_for

from app.ui.section import open_section

STATIC = Path(__file__).parent / "static"
FOREVER = "public, max-age=31536000, immutable"
_TEXTUAL = (".css", ".js", ".svg")


class Asset(NamedTuple):
    """A file as it is sent. `packed` is gzipped, None where that gains nothing."""

    body: bytes
    packed: bytes | None
    type: str
    digest: str


class Assets:
    """The files under `static/`."""

    def __init__(self) -> None:
        files = (path for path in STATIC.rglob("*") if path.is_file())
        self._assets = {path.relative_to(STATIC).as_posix(): _read(path) for path in files}

    def url(self, name: str) -> str:
        """Return the URL of a file; it changes with the file. Raises KeyError where there is none of that name."""
        return url_for("static.send", name=name, v=self._assets[name].digest)

    def blueprint(self) -> Blueprint:
        """Return the views that send the files."""
        static = open_section("static", __name__, "/static")
        static.add_url_rule("/<path:name>", "send", self._send)
        return static

    def _send(self, name: str) -> Response:
        asset = self._assets.get(name)
        if asset is None:
            abort(404)
        packed = asset.packed if request.accept_encodings["gzip"] > 0 else None
        answer = Response(packed or asset.body, mimetype=asset.type)
        if packed is not None:
            answer.content_encoding = "gzip"
        answer.headers["Cache-Control"] = FOREVER if request.args.get("v") == asset.digest else "no-cache"
        answer.set_etag(f"{asset.digest}{'-gzip' if packed else ''}")
        answer.make_conditional(request)
        return answer


def _read(path: Path) -> Asset:
    body = path.read_bytes()
    packed = gzip.compress(body, 9, mtime=0) if path.suffix in _TEXTUAL else None
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return Asset(body, packed, kind, hashlib.sha256(body).hexdigest()[:16])
