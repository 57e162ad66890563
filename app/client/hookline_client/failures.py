"""Turns what `requests` raises into errors that name the server and the reason."""

import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import requests

from hookline_client.errors import (
    AddressError,
    CertificateError,
    ClientError,
    ConnectError,
    ConnectionRefused,
    NameNotFound,
    TimedOut,
)

_NO_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNEXPECTED_MESSAGE", "RECORD_LAYER_FAILURE"}


def failure_of(error: requests.RequestException, url: str, timeout_s: float) -> ClientError:
    """Return the error to raise for one that `requests` raised while it called `url`."""
    parts = urlsplit(url)
    server = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    causes = list(_causes(error))
    if isinstance(error, requests.Timeout):
        return TimedOut(f"{server} gave no answer within {timeout_s:g} s")
    if isinstance(error, requests.exceptions.ProxyError):
        return ConnectError(f"the proxy on the way to {server} can't be used: {_reason(causes)}")
    if isinstance(error, requests.exceptions.SSLError):
        return CertificateError(f"{server}: {_tls_reason(causes)}")
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return NameNotFound(f"{server}: there is no host {parts.hostname}, or its name can't be looked up now")
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return ConnectionRefused(f"{server} can't be reached: nothing listens there")
    if isinstance(error, requests.exceptions.InvalidURL):
        return AddressError(f"{server}: {error}")
    return ConnectError(f"{server} can't be reached: {_reason(causes)}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield `error` and what it wraps, the outermost first; urllib3 keeps some in `reason`, others in `args`."""
    left: list[BaseException] = [error]
    seen: set[int] = set()
    while left:
        found = left.pop(0)
        if id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        wrapped = (getattr(found, "reason", None), *found.args, found.__cause__, found.__context__)
        left.extend(cause for cause in wrapped if isinstance(cause, BaseException))


def _tls_reason(causes: list[BaseException]) -> str:
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError) and cause.reason in _NO_TLS:
            return "it does not speak TLS; is its address http://…?"
    return f"TLS failed: {_reason(causes)}"


def _reason(causes: list[BaseException]) -> str:
    for cause in causes:
        if isinstance(cause, requests.RequestException):
            continue
        if isinstance(cause, ConnectionError):
            return "it closed the connection without an answer"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return str(causes[-1]) or type(causes[-1]).__name__
