"""What the environment says of the network: the company's own authorities, and the proxy on the way out."""

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
_PROXY = re.compile(
    r"((?:https?|socks5h)://)(?:([^\s/?#@:]*):([^\s/?#@]*)@)?((?:\[[0-9a-f:.]+\]|[^\s/?#@:\[\]]+):([0-9]{1,5}))/?", re.I
)


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy. Its credentials are not in `url`, nor in what is printed of it."""

    url: str
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)


def parse_proxy(raw: str) -> Proxy | None:
    """Return the proxy at `http://[user:password@]host:port`, or `https://` or `socks5h://`; None for no text.

    Raises ValueError, with nothing of a password in its text.
    """
    if not raw:
        return None
    found = _PROXY.fullmatch(raw)
    if found is None or not 1 <= int(found[5]) <= 65_535:
        raise ValueError(
            "give http://user:password@host:port, the credentials being optional, or the same with https or socks5h; "
            "where a password has / ? # or @ in it, percent-encode it"
        )
    return Proxy((found[1] + found[4]).lower(), unquote(found[2] or ""), unquote(found[3] or ""))


def read_certificates(raw: str) -> str | None:
    """Return the certificates in the PEM file at `raw`, one after the other; None for no text.

    Raises ValueError where the file can't be read, or holds no certificate, or one that is broken.
    """
    if not raw:
        return None
    try:
        text = Path(raw).read_bytes().decode("latin-1")
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from error
    found = _CERTIFICATE.findall(text)
    if not found:
        raise ValueError("no certificate is in that file; give one in PEM form")
    try:
        for pem in found:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError) as error:
        raise ValueError("a certificate in that file is broken") from error
    return "\n".join([*found, ""])
