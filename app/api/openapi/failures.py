"""The errors of contract §1, each with an example."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from app.api import errors
from app.api.body import UNSUPPORTED
from app.authentication import TOO_MANY, UNAUTHENTICATED
from app.delivery import LOG_NOT_FOUND
from app.event_query import NOT_FOUND
from app.fields import EMPTY, INVALID, MISSING
from app.json_reader import MALFORMED
from app.messages import text_of
from app.permissions import FORBIDDEN
from app.webhooks import WEBHOOK_NOT_FOUND

TRACE_ID: Final = "4bf92f3577b34da6a3ce929d0e0e4736"


class Failure(NamedTuple):
    """An error: its status and code, when it comes, and what its message says for example."""

    name: str
    status: int
    code: int
    when: str
    reason: str
    params: Mapping[str, Any] = {}

    @property
    def example(self) -> dict[str, Any]:
        """An answer."""
        message = text_of(self.reason, "en", self.params)
        return {"code": self.code, "message": message, "data": None, "traceId": TRACE_ID}


MISSING_FIELD = Failure("Missing", 400, MISSING, "A required parameter is missing", "missing", {"field": "url"})
EMPTY_FIELD = Failure("Empty", 400, EMPTY, "A parameter is empty", "empty", {"field": "triggers"})
INVALID_FIELD = Failure(
    "Invalid",
    400,
    INVALID,
    "A parameter is invalid",
    "trigger_unknown",
    {"field": "triggers[0]", "value": '"NODE_CRATED"'},
)
UNREADABLE_BODY = Failure(
    "Malformed", 400, MALFORMED, "The body is not valid JSON, or not an object", "body_not_object", {"field": "body"}
)
NOT_AUTHENTICATED = Failure(
    "Unauthenticated", 401, UNAUTHENTICATED, "No credentials, or wrong ones", "credentials_missing"
)
NOT_ALLOWED = Failure("Forbidden", 403, FORBIDDEN, "The caller may not do this", "publish_forbidden")
NOWHERE = Failure("NotFound", 404, NOT_FOUND, "No such address, event, delivery or job", "resource_not_found")
NO_WEBHOOK = Failure(
    "WebhookNotFound", 404, WEBHOOK_NOT_FOUND, "No such webhook, or not the caller's", "webhook_not_found"
)
NO_LOG = Failure("LogNotFound", 404, LOG_NOT_FOUND, "No such log, or not the caller's", "log_not_found")
WRONG_METHOD = Failure(
    "MethodNotAllowed", 405, errors.REFUSED[405][0], "The address knows other methods, see Allow", "method_not_allowed"
)
NO_LENGTH = Failure("LengthRequired", 411, errors.REFUSED[411][0], "NDJSON without Content-Length", "length_required")
TOO_LARGE = Failure("TooLarge", 413, errors.REFUSED[413][0], "The body is over the limit", "body_too_large")
WRONG_TYPE = Failure("UnsupportedType", 415, UNSUPPORTED, "The body is not JSON", "body_type")
TOO_MANY_CALLS = Failure(
    "TooManyRequests",
    429,
    TOO_MANY,
    "Wait as long as Retry-After says",
    "too_many_failures",
    {"retry_after": 30},
)
UNEXPECTED = Failure(
    "Unexpected", 500, errors.UNEXPECTED, "Our fault; the log has the details under the trace id", "unexpected"
)
UNAVAILABLE = Failure("Unavailable", 503, errors.UNEXPECTED, "The database is away; try again", "unavailable")

FAILURES: Final = (
    *(MISSING_FIELD, EMPTY_FIELD, INVALID_FIELD, UNREADABLE_BODY, NOT_AUTHENTICATED, NOT_ALLOWED),
    *(NOWHERE, NO_WEBHOOK, NO_LOG, WRONG_METHOD, NO_LENGTH, TOO_LARGE, WRONG_TYPE),
    *(TOO_MANY_CALLS, UNEXPECTED, UNAVAILABLE),
)

OF_CALLERS = (NOT_AUTHENTICATED, TOO_MANY_CALLS)
OF_BODIES = (MISSING_FIELD, EMPTY_FIELD, INVALID_FIELD, UNREADABLE_BODY, TOO_LARGE, WRONG_TYPE)
OF_PARAMETERS = (EMPTY_FIELD, INVALID_FIELD)
OF_ANYBODY = (UNEXPECTED, UNAVAILABLE)
