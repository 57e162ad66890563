"""Why an attempt failed, as one of a few words: what metrics can count by. Pure."""

from app.models import ERROR, SUCCESS

OTHER = "other"
_ANSWERED = {3: "answered_3xx", 4: "answered_4xx", 5: "answered_5xx"}

# How the texts of app.exchange and app.exchange_errors begin, up to the first colon.
_BEGINNINGS = {
    "time-out": "time_out",
    "DNS": "dns",
    "TLS": "tls",
    "connection refused": "connection",
    "connection lost": "connection",
    "no connection": "connection",
    "no answer": "connection",
    "not HTTP": "protocol",
    "HTTP/2": "protocol",
    "proxy": "proxy",
    "blocked address": "blocked",
    "answer too large": "too_large",
    "bad URL": "unsendable",
    "the request can't be sent": "unsendable",
}

# All that `reason_of` returns, by the status that it goes with.
REASONS = {
    SUCCESS: ("answered_2xx",),
    "FAIL": tuple(dict.fromkeys([*_ANSWERED.values(), *_BEGINNINGS.values(), OTHER])),
    ERROR: ("payload",),
}


def reason_of(status: str, answer: int | None, error: str | None) -> str:
    """Return why an attempt of `status` (SUCCESS, FAIL, ERROR) ended as it did.

    `answer` is the status of the receiver's answer, `error` what the log says. An answer that was cut counts by what
    cut it.
    """
    if status == SUCCESS:
        return "answered_2xx"
    if status == ERROR:
        return "payload"
    if error is None or error.startswith("the receiver answered"):
        return _ANSWERED.get((answer or 0) // 100, OTHER)
    return _BEGINNINGS.get(error.partition(":")[0], OTHER)
