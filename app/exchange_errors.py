"""What a failed exchange is called in `errorMsg`: plain words, the same ones each time. Pure.

libcurl's own texts name bytes, times and versions that differ from run to run. docs/networks.md lists these.
"""

import errno
import os
import re
from typing import NamedTuple

import pycurl

# Not among pycurl's names.
_HTTP2_STREAM = 92
_PROXY_HANDSHAKE = 97
_TOO_LARGE = 100

_CERTIFICATE = "TLS: the webhook's client certificate can't be used"
_CUT = "connection lost: the receiver closed the connection before its answer was complete"
_NOT_HTTP = "not HTTP: the receiver's answer can't be understood"
_NOT_HTTP2 = "HTTP/2: the receiver ended the connection or broke the protocol"
_RESET = "connection lost: the receiver reset the connection"
_SILENT = "no answer: the receiver closed the connection without one"
_NO_PROXY = "proxy: the connection to it failed (see OUTBOUND_PROXY)"

_CODES = {
    pycurl.E_PARTIAL_FILE: _CUT,
    pycurl.E_FTP_WEIRD_SERVER_REPLY: _NOT_HTTP,  # CURLE_WEIRD_SERVER_REPLY, by its older name
    pycurl.E_BAD_CONTENT_ENCODING: _NOT_HTTP,  # a Transfer-Encoding that was not asked for
    pycurl.E_SSL_CERTPROBLEM: _CERTIFICATE,
    pycurl.E_COULDNT_RESOLVE_PROXY: "proxy: its name does not resolve (see OUTBOUND_PROXY)",
    _PROXY_HANDSHAKE: "proxy: it refused the connection to the receiver, or the credentials (see OUTBOUND_PROXY)",
}

_LOST = (pycurl.E_RECV_ERROR, pycurl.E_SEND_ERROR, pycurl.E_GOT_NOTHING, pycurl.E_HTTP2)

# OpenSSL's verdicts on a certificate (x509_vfy.h).
_VERDICTS = {
    9: "the certificate is not valid yet",
    10: "the certificate has expired",
    18: "the certificate is self-signed",
    19: "the certificate's authority is not trusted (see CA_BUNDLE)",
    20: "the certificate's authority is not trusted (see CA_BUNDLE)",
    21: "the certificate's authority is not trusted (see CA_BUNDLE)",
}


class Failure(NamedTuple):
    """What libcurl tells of a transfer that failed. Numbers are 0 where there is nothing to tell."""

    code: int
    text: str
    url: str
    answered: bool = False  # something of an answer had come
    errno: int = 0  # of the system call that failed
    verdict: int = 0  # OpenSSL's, on the receiver's certificate
    via_proxy: bool = False
    connect_status: int = 0  # the proxy's answer to CONNECT
    proxy_verdict: int = 0  # OpenSSL's, on the proxy's certificate


def describe(failure: Failure) -> str:
    """Return the text for `failure`."""
    if failure.via_proxy and (text := _of_the_proxy(failure)):
        return text
    if failure.code == pycurl.E_COULDNT_RESOLVE_HOST:
        return f"DNS: the name {_host(failure.url)} does not resolve"
    if failure.code == pycurl.E_COULDNT_CONNECT:
        return _unconnected(failure.errno)
    if failure.code in _LOST:
        return _lost(failure)
    if failure.code == pycurl.E_PEER_FAILED_VERIFICATION:
        return f"TLS: {_unverified(failure.text, failure.verdict)}"
    if failure.code == pycurl.E_SSL_CONNECT_ERROR:
        return f"TLS: {_no_handshake(failure)}"
    return _CODES.get(failure.code) or _other(failure)


def credentials_wanted(status: int) -> str:
    """Return the text for an answer 407: it is the proxy's, whatever was asked for (RFC 9110 §15.5.8)."""
    return f"proxy: it answered {status} and wants credentials (see OUTBOUND_PROXY)"


def _of_the_proxy(failure: Failure) -> str | None:
    status = failure.connect_status
    if status == 407:
        return credentials_wanted(status)
    if status >= 300:
        return f"proxy: it answered {status} instead of connecting to the receiver"
    if failure.code == pycurl.E_PEER_FAILED_VERIFICATION and failure.proxy_verdict:
        return f"proxy: TLS: {_unverified(failure.text, failure.proxy_verdict)}"
    if failure.code == pycurl.E_SSL_CONNECT_ERROR and failure.proxy_verdict:  # not 0 until its certificate is verified
        return "proxy: TLS: the handshake failed (see OUTBOUND_PROXY)"
    if failure.code == pycurl.E_COULDNT_CONNECT or (not status and "CONNECT" in failure.text):
        return _NO_PROXY
    return None


def _host(url: str) -> str:
    found = re.match(r"[^/]*//([^/?#:]*)", url)
    return found[1] if found else url


def _unconnected(number: int) -> str:
    if number == errno.ECONNREFUSED:
        return "connection refused: nothing listens at the receiver's address and port"
    if number == errno.ECONNRESET:
        return _RESET
    return f"no connection: {os.strerror(number) if number else 'the receiver could not be reached'}"


def _lost(failure: Failure) -> str:
    text = failure.text
    if "alert certificate required" in text:
        return "TLS: the receiver asks for a client certificate"
    if alert := re.search(r"alert ([a-z ]+)", text):
        return f"TLS: the receiver refused the connection: {alert[1].strip()}"
    if re.search("chunk|hex", text):
        return _NOT_HTTP
    if failure.code == pycurl.E_GOT_NOTHING or "unexpected eof" in text:
        return _CUT if failure.answered else _SILENT
    if "times before giving up" in text:  # libcurl's own, where a receiver declares that it did nothing with a request
        return "connection lost: the receiver dropped the request each time"
    if re.search("reset by peer|Broken pipe|errno (104|32)", text):
        return _RESET
    if failure.code == pycurl.E_HTTP2 or re.search("HTTP/?2|nghttp2", text):
        return _NOT_HTTP2
    return "connection lost: nothing came back any more" if "timed out" in text else "connection lost: it broke"


def _unverified(text: str, verdict: int) -> str:
    if "subject name" in text:
        return "the certificate is for another host name"
    return _VERDICTS.get(verdict, f"the certificate is not accepted (OpenSSL's verdict {verdict})")


def _no_handshake(failure: Failure) -> str:
    reason = failure.text.rpartition("::")[2]
    if "alert " in reason:
        return f"the receiver refused the handshake: {reason.partition('alert ')[2]}"
    if reason in ("wrong version number", "packet length too long", "http request"):
        return "the receiver does not speak TLS"
    if reason == "unexpected eof while reading":
        return "the receiver closed the connection during the handshake"
    if failure.errno == errno.ECONNRESET:
        return "the receiver reset the connection during the handshake"
    return f"the handshake failed: {reason}"


def _other(failure: Failure) -> str:
    code, text = failure.code, failure.text
    if "private key" in text:
        return _CERTIFICATE
    if code == _TOO_LARGE:
        return f"answer too large: {'too many headers' if 'many' in text else 'a header is too long'}"
    if code == _HTTP2_STREAM:
        reason = re.search(r"([A-Z0-9_]+)\)$", text)
        return f"HTTP/2: the receiver reset the stream ({reason[1]})" if reason else _NOT_HTTP2
    if code == pycurl.E_UNSUPPORTED_PROTOCOL and "HTTP" in text:
        return _NOT_HTTP  # an answer without a status line counts as HTTP/0.9
    if code in (pycurl.E_URL_MALFORMAT, pycurl.E_UNSUPPORTED_PROTOCOL):
        return f"bad URL: {text}"
    return f"failed: {text or f'libcurl gives the number {code}'}"
