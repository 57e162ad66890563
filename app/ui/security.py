"""What browsers are told of every page: nothing runs, loads or frames it that we did not send."""

from flask import Response, current_app, request

# Nothing inline, nothing from elsewhere. Pictures in Pico's style sheet are data: URLs.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
YEAR_S = 365 * 86_400
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def harden(answer: Response) -> Response:
    """Add the headers; pages are kept by nobody, since they hold secrets and what strangers sent."""
    answer.headers.extend(HEADERS)
    if current_app.config["SESSION_COOKIE_SECURE"]:
        answer.headers["Strict-Transport-Security"] = f"max-age={YEAR_S}"
    if request.endpoint != "static.send":
        answer.headers["Cache-Control"] = "no-store"
    return answer
