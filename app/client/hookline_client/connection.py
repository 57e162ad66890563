"""One server and one caller: sends requests, and turns answers into data or errors."""

import base64
import os
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from hookline_client.errors import REFUSALS, AddressError, ClientError, NotHookline, NotSupported, Refused, ServerError
from hookline_client.failures import failure_of
from hookline_client.record import Json
from hookline_client.retrying import NO_RETRY, Retry, Wait, repeating, sleep

PREFIX = "/webhook/api"
AGENT = "hookline-client"


@dataclass(frozen=True, slots=True)
class Call:
    """A request to make. `ids` fill the `{}` of `path`; `repeat` says whether it may be made twice."""

    method: str
    path: str
    ids: tuple[str, ...] = ()
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    content: bytes | None = None  # in place of `body`
    headers: Mapping[str, str] = field(default_factory=dict)
    repeat: bool = False

    @property
    def names_something(self) -> bool:
        """Whether it is about a webhook, a log and so on that may not be there."""
        given = (self.query, self.body)
        return bool(self.ids) or any(isinstance(part, Mapping) and "webHookId" in part for part in given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to reach the server."""

    timeout_s: float
    use_proxy: bool
    ca_file: str | None
    retry: Retry


class Connection:
    """Calls one server as one caller; each thread and each process has HTTP connections of its own."""

    def __init__(self, server: str, authorization: Mapping[str, str], options: Options) -> None:
        self.server = _server_of(server)
        self._authorization = authorization
        self.timeout_s = options.timeout_s
        self._options = options
        self._local = threading.local()
        self._sessions: weakref.WeakSet[requests.Session] = weakref.WeakSet()
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            sessions = list(self._sessions)
        for session in sessions:
            session.close()

    def data(self, call: Call, *, retry: Retry | None = None, wait: Wait = sleep) -> Any:
        """Return the `data` of an answer that says success. Raises ClientError."""
        return self.send(call, retry=retry, wait=wait).json().get("data")

    def send(self, call: Call, *, retry: Retry | None = None, wait: Wait = sleep) -> requests.Response:
        """Return an answer in Hookline's envelope that says success. Raises ClientError."""
        policy = (retry or self._options.retry) if call.repeat else NO_RETRY
        return repeating(lambda: self.once(call), policy, wait)

    def once(self, call: Call) -> requests.Response:
        answer = self.raw(call)
        envelope = envelope_of(answer)
        if answer.ok and envelope is not None and envelope["code"] == 0:
            return answer
        raise error_of(call, answer, envelope, self.server)

    def raw(self, call: Call, *, stream: bool = False) -> requests.Response:
        """Return whatever answers, after one try. Raises ClientError where nothing does."""
        url = self.server + call.path.format(*(quote(part, safe="") for part in call.ids))
        try:
            return self._session().request(
                call.method,
                url,
                params=call.query,
                json=call.body,
                data=call.content,
                headers=call.headers,
                timeout=self._options.timeout_s,
                allow_redirects=False,
                stream=stream,
                verify=self._options.ca_file,  # a session's own gives way to what the environment says
            )
        except requests.RequestException as error:
            raise failure_of(error, url, self._options.timeout_s) from error
        except OSError as error:  # a file of certificates that is not there
            raise ClientError(str(error)) from error

    def _session(self) -> requests.Session:
        if getattr(self._local, "process", None) != os.getpid():  # after a fork, the parent's sockets are the parent's
            self._local.session = self._new_session()
            self._local.process = os.getpid()
        session: requests.Session = self._local.session
        return session

    def _new_session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = self._options.use_proxy
        session.headers["User-Agent"] = AGENT

        def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers.update(self._authorization)
            return request

        session.auth = authorize  # set as headers alone, they would give way to a .netrc
        with self._lock:
            self._sessions.add(session)
        return session


def authorization_of(
    user: str | None, password: str | None, access_key: str | None, secret_key: str | None
) -> dict[str, str]:
    """Return the headers that say who calls."""
    if access_key is not None:
        headers = {"X-BKREPO-UID": user} if user else {}
        return {**headers, "Authorization": "Platform " + _base64(f"{access_key}:{secret_key or ''}")}
    return {"Authorization": "Basic " + _base64(f"{user or ''}:{password or ''}")}


def envelope_of(answer: requests.Response) -> Json | None:
    """Return the envelope of an answer, None where it has none."""
    found = json_of(answer)
    return found if isinstance(found, dict) and isinstance(found.get("code"), int) else None


def json_of(answer: requests.Response) -> Any:
    """Return the JSON of an answer, None where it is something else."""
    try:
        return answer.json()
    except requests.JSONDecodeError:
        return None


def error_of(call: Call, answer: requests.Response, envelope: Json | None, server: str) -> ClientError:
    """Return the error to raise for an answer that is no success."""
    status = answer.status_code
    wait = answer.headers.get("Retry-After", "")
    retry_after_s = int(wait) if wait.isascii() and wait.isdigit() and len(wait) < 10 else None
    if envelope is None or (answer.ok and envelope["code"] == 0):
        reason = f"the answer of {server} is not Hookline's; is this the right server?"
        if answer.is_redirect:
            reason += f" It sends callers on to {answer.headers['Location']}"
        return NotHookline(reason, status, retry_after_s=retry_after_s)
    kind = ServerError if status >= 500 else REFUSALS.get(status, Refused)
    message = str(envelope.get("message"))
    if status == 405 or (status == 404 and not call.names_something):
        kind = NotSupported
        message = f"this server has no {call.method} {call.path}; it is of another version than the client"
    traced = envelope.get("traceId")
    return kind(message, status, envelope["code"], retry_after_s=retry_after_s, trace_id=traced and str(traced))


def _server_of(address: str) -> str:
    """Return the address without what follows the server's own part. Raises AddressError."""
    try:
        parts = urlsplit(address.strip())
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or parts.query or parts.fragment or parts.username is not None:
        raise AddressError(f"the address of a server is like https://hooks.example.com, not {address!r}")
    return address.strip().rstrip("/").removesuffix(PREFIX)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
