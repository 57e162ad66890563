"""Every exception the service raises on purpose, typed by what the caller does with it.

HooklineError
├── BadRequest            answer 4xx: the caller sent something wrong (code, field, reason)
│   ├── NotFound, Forbidden, Conflict, Unauthenticated, TooManyRequests   with statuses of their own
│   └── AccountError      an OperatorError too: a text at a field of a form, or one line on the command line
├── ServiceUnavailable    answer 503 / exit: a server that we need is away; try again later
│   ├── DatabaseUnavailable
│   │   └── DatabaseConflict   the transaction lost against another: run it again
│   └── QueueUnavailable  never fails a publish: the sweeper enqueues later
├── Outdated              a commit relied upon what has changed meanwhile: look again
└── OperatorError         print one line and exit non-zero: configuration or command line
"""

from typing import Any

from app.messages import text_of


class HooklineError(Exception):
    """Base of all exceptions that the service raises on purpose."""


class BadRequest(HooklineError):
    """The caller's request is at fault.

    `code` is a number of contract §1, `reason` a key of the message catalogue and `params` what its text names.
    """

    status = 400

    def __init__(self, code: int, reason: str, **params: Any) -> None:
        super().__init__(reason, params)
        self.code = code
        self.reason = reason
        self.params = params


class NotFound(BadRequest):
    """Nothing there, or nothing that this caller may know of (contract §2)."""

    status = 404


class Forbidden(BadRequest):
    """The caller is known and may not do this."""

    status = 403


class Conflict(BadRequest):
    """What the caller would change is not any more as the caller saw it; nothing was written."""

    status = 409


class Unauthenticated(BadRequest):
    """The caller gave no valid credentials."""

    status = 401


class TooManyRequests(BadRequest):
    """The caller must wait; `params["retry_after"]` is in seconds."""

    status = 429


class ServiceUnavailable(HooklineError):
    """A server that we depend on is away; nothing was accepted."""


class DatabaseUnavailable(ServiceUnavailable):
    """The database can't be reached."""


class DatabaseConflict(DatabaseUnavailable):
    """The database gave this transaction up in favour of another; the same again may succeed."""


class Outdated(HooklineError):
    """What a commit relied upon has changed; nothing was written."""


class QueueUnavailable(ServiceUnavailable):
    """The queue took no message; the rows wait for the sweeper."""


class OperatorError(HooklineError):
    """One clear line for the operator, naming what to change."""


class AccountError(BadRequest, OperatorError):
    """A user, a right or an access key can't be as asked for; `params["field"]` names what is at fault."""

    def __str__(self) -> str:
        return text_of(self.reason, "en", self.params)
