"""What can go wrong. Each error says it in one line, fit for a log or a terminal.

HooklineError
├── ClientError                a call failed
│   ├── AddressError           the address of the server is no http or https URL
│   ├── ConnectError           no answer came
│   │   ├── NameNotFound       there is no such host
│   │   ├── ConnectionRefused  nothing listens there
│   │   ├── CertificateError   TLS failed: a certificate that is not trusted, say
│   │   └── TimedOut           it took too long
│   ├── NotHookline            what answered is not Hookline
│   └── Refused                Hookline said no; `code` and `message` say why
│       ├── Unauthenticated    401: a wrong user, password or key
│       ├── Forbidden          403: the caller may not do this
│       ├── NotFound           404: there is no such thing, or the caller may not see it
│       ├── NotSupported       the server has no such endpoint: it is of another version
│       ├── Busy               429: too many requests
│       └── ServerError        5xx: it can't at the moment, or has a fault
├── BufferFull                 a Publisher holds as much as it may
├── PublisherClosed            an event came after `close`
├── VerificationError          a delivery can't be trusted
│   ├── HeaderError            a header is missing or malformed
│   ├── TimestampError         it is too old, or from the future
│   ├── SignatureError         no signature fits
│   └── PayloadError           it is genuine, but its body is not the JSON that it is said to be
└── SecretError                what was given to verify by is no secret, or needs a package that is not installed
"""


class HooklineError(Exception):
    """Any error of this package."""


class ClientError(HooklineError):
    """A call failed.

    `status` is the HTTP status and `code` the number of the error table, 0 where there was none. `retry_after_s` is
    how long the server asks to wait. `trace_id` finds the call in the server's log. `tried` is how often it was made.
    """

    tried: int = 1
    status: int = 0
    code: int = 0
    retry_after_s: int | None = None
    trace_id: str | None = None

    def __init__(self, message: str) -> None:
        self.message = one_line(message)
        super().__init__(self.message)


class AddressError(ClientError):
    """The address of the server is no http or https URL."""


class ConnectError(ClientError):
    """No answer came: the server can't be reached, or the connection broke. Whether it did the call is not known."""


class NameNotFound(ConnectError):
    """There is no host of that name."""


class ConnectionRefused(ConnectError):
    """Nothing listens at that address."""


class CertificateError(ConnectError):
    """TLS failed: the certificate is not trusted, is for another name, or there is no TLS on that port."""


class TimedOut(ConnectError):
    """There was no answer in time."""


class AnswerError(ClientError):
    """An answer came, with a `status`, and it is no success."""

    def __init__(self, message: str, status: int, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


class NotHookline(AnswerError):
    """What answered is not Hookline: another service, or a proxy in front of it."""

    def __str__(self) -> str:
        return f"HTTP {self.status}: {self.message}"


class Refused(AnswerError):
    """Hookline refused the call, and says why."""

    hint = ""

    def __init__(
        self,
        message: str,
        status: int,
        code: int = 0,
        *,
        retry_after_s: int | None = None,
        trace_id: str | None = None,
    ) -> None:
        super().__init__(message, status, retry_after_s=retry_after_s)
        self.code = code
        self.trace_id = trace_id

    def __str__(self) -> str:
        return f"HTTP {self.status}: {self.hint}{self.message}" + (f" ({self.code})" if self.code else "")


class Unauthenticated(Refused):
    """The server does not know the caller: a wrong user, password or key."""

    hint = "the user, password or key is wrong: "


class Forbidden(Refused):
    """The caller may not do this."""


class NotFound(Refused):
    """There is no such thing, or the caller may not see it."""


class NotSupported(Refused):
    """The server has no such endpoint: it is older than this client, or newer."""


class Busy(Refused):
    """Too many requests; `retry_after_s` says how long to wait."""


class ServerError(Refused):
    """The server can't at the moment (503), or has a fault; `trace_id` finds it in its log."""


class BufferFull(HooklineError):
    """A Publisher holds as much as it may, and could not pass it on in time. The event was not taken."""


class PublisherClosed(HooklineError):
    """The Publisher was closed before. The event was not taken."""


class VerificationError(HooklineError, ValueError):
    """A delivery can't be trusted. Answer it with 401 or 400, and do nothing else with it."""


class HeaderError(VerificationError):
    """A header of Standard Webhooks is missing or malformed."""


class TimestampError(VerificationError):
    """The delivery is too old, or from the future: it may be an old one that is played back."""


class SignatureError(VerificationError):
    """No signature fits: another secret signed it, or the body was changed on the way."""


class PayloadError(VerificationError):
    """The delivery is genuine, but its body is not the JSON that it is said to be."""


class SecretError(HooklineError, ValueError):
    """What was given to verify by is no secret and no public key, or needs a package that is not installed."""


REFUSALS: dict[int, type[Refused]] = {401: Unauthenticated, 403: Forbidden, 404: NotFound, 429: Busy}

_MOST = 500


def one_line(text: str) -> str:
    """Return `text` on one line of 500 characters at most; strangers' control characters would command a terminal."""
    line = "".join(character if character.isprintable() else "?" for character in " ".join(text.split()))
    return line if len(line) <= _MOST else line[: _MOST - 1] + "…"
