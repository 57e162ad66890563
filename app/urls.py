"""Which URLs a webhook may have, and how one is written for the wire."""

import ipaddress
import re
from functools import lru_cache
from urllib.parse import quote, urlsplit

MAX_URL = 2_048

_UNFIT = re.compile(r"[\s\\\x00-\x20\x7f-\xa0]")
_SCHEME = re.compile(r"(https?)://", re.IGNORECASE)
_NETLOC = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::(.*))?")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)
_MAX_HOST = 253  # RFC 1035 §2.3.4, without the length bytes


@lru_cache(maxsize=1024)
def url_fault(url: str) -> str | None:
    """Return why `url` can't be a webhook's, as a key of the message catalogue, or None where it can.

    It must be absolute, http or https, without userinfo, with a host (international names are fine) and a valid port.
    Where it leads is decided when it is dialled, not here.
    """
    if _UNFIT.search(url):
        return "url_characters"
    if not _SCHEME.match(url):
        return "url_scheme"
    try:
        netloc = urlsplit(url).netloc
    except ValueError:
        return "url_host"
    return "url_userinfo" if "@" in netloc else _netloc_fault(netloc)


def ascii_url(url: str) -> str:
    """Return a URL without a fault as it is sent: an international host in its ASCII form (RFC 3490), the rest
    percent-encoded in UTF-8 (RFC 3986 §2.5) where it is not ASCII."""
    if url.isascii():
        return url
    netloc = urlsplit(url).netloc
    host, port = _split(netloc)
    wire = host.encode("idna").decode() + ("" if port is None else f":{port}")
    start = url.index("//") + 2
    rest = quote(url[start + len(netloc) :], safe="".join(map(chr, range(0x21, 0x7F))))
    return url[:start] + wire + rest


def _split(netloc: str) -> tuple[str, str | None]:
    """Return host and port. Raises ValueError for what is neither."""
    found = _NETLOC.fullmatch(netloc)
    if found is None:
        raise ValueError(f"{netloc} is not host:port")
    return found[1], found[2]


def _netloc_fault(netloc: str) -> str | None:
    try:
        host, port = _split(netloc)
    except ValueError:
        return "url_host"
    if port and not (re.fullmatch("[0-9]{1,5}", port) and 1 <= int(port) <= 65_535):
        return "url_port"
    return None if _is_host(host) else "url_host"


def _is_host(host: str) -> bool:
    try:
        if host.startswith("["):
            return "%" not in host and ipaddress.IPv6Address(host[1:-1]) is not None
        labels = host.removesuffix(".").encode("idna").decode()
    except ValueError:
        return False
    return len(labels) <= _MAX_HOST and all(map(_LABEL.fullmatch, labels.split(".")))
