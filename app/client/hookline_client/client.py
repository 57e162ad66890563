"""A client of the HTTP interface, on `requests`.

    client = Client("http://127.0.0.1:8080", user="admin", password="…")
    webhook_id = client.create(url="https://example.com/hook", triggers=["NODE_CREATED"], associationType="SYSTEM")
    client.publish([{"type": "NODE_CREATED", "projectId": "p", "repoName": "r", "resourceKey": "/a"}])

It never repeats a call by itself: an event with an `eventId` can be published again safely, so its producer decides.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast
from urllib.parse import quote

import requests

Json = dict[str, Any]
Event = Mapping[str, Any]


class ClientError(Exception):
    """The service refused a call, or what answered is not the service.

    `code` is the number of the error table, 0 where the answer had none. `status` is the HTTP status.
    `retry_after_s` is how long to wait before the next try, where the service said so.
    """

    def __init__(self, code: int, message: str, status: int, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"HTTP {self.status}: {self.message}" + (f" ({self.code})" if self.code else "")


class Published(NamedTuple):
    """What became of a call of `publish`."""

    accepted: int
    duplicates: int
    matched: int  # deliveries made
    event_ids: list[str]


class Client:
    """Calls one server as one caller. Not safe to share between threads.

    Give `password` for Basic authentication, or `access_key` and `secret_key` for a platform that acts for `user`.
    Every method raises ClientError where the service refuses, and requests.RequestException where it can't be
    reached or takes longer than `timeout_s`. With `use_proxy`, a proxy that the environment names is used.
    """

    def __init__(
        self,
        server: str,
        *,
        user: str | None = None,
        password: str | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
        timeout_s: float = 60.0,
        use_proxy: bool = True,
    ) -> None:
        self.base = server.rstrip("/") + "/webhook/api"
        self._timeout_s = timeout_s
        self._session = requests.Session()
        self._session.trust_env = use_proxy
        headers = _credentials(user, password, access_key, secret_key)

        def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers.update(headers)
            return request

        self._session.auth = authorize  # set as headers alone, they would give way to a .netrc

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def create(self, **webhook: Any) -> str:
        """Register a webhook, given by the names of the interface, and return its id."""
        return self._send("POST", "/webhook/create", json=webhook).headers["X-Webhook-Id"]

    def update(self, webhook_id: str, **changes: Any) -> None:
        """Change what `changes` names; the rest stays as it is."""
        self._send("PUT", "/webhook/update", json={"id": webhook_id, **changes})

    def delete(self, webhook_id: str) -> None:
        """Delete a webhook; what is still owed to it is cancelled."""
        self._send("DELETE", f"/webhook/delete/{webhook_id}")

    def get(self, webhook_id: str) -> Json:
        """Return a webhook."""
        return cast(Json, self._data("GET", f"/webhook/{webhook_id}"))

    def list(self, association_type: str, association_id: str | None = None) -> Sequence[Json]:
        """Return the webhooks of SYSTEM, of projects or of repositories, newest first."""
        query = {"associationType": association_type, "associationId": association_id}
        return cast(Sequence[Json], self._data("GET", "/webhook/list", params=query))

    def secret(self, webhook_id: str) -> str:
        """Return what verifies deliveries to the webhook: its secret, or its public key where `signing` is v1a."""
        shown = self._data("GET", f"/webhook/secret/{webhook_id}")
        return cast(str, shown["secret"] or shown["publicKey"])

    def test(self, webhook_id: str) -> Json:
        """Send a WEBHOOK_TEST now and return the log of it."""
        return cast(Json, self._data("POST", f"/webhook/test/{webhook_id}"))

    def retry(self, log_id: str) -> Json:
        """Send the payload of a log again, now, and return the new log."""
        return cast(Json, self._data("POST", f"/webhook/retry/{log_id}"))

    def logs(self, webhook_id: str) -> Sequence[Json]:
        """Return the latest logs of a webhook, newest first, 1000 at most."""
        return cast(Sequence[Json], self._data("GET", f"/log/list/{webhook_id}"))

    def log_page(self, webhook_id: str, page: int = 1, **filters: Any) -> Json:
        """Return a page of the logs: `totalRecords`, `records` and so on; `filters` as the interface names them."""
        return cast(Json, self._data("GET", f"/log/list/{webhook_id}", params={"pageNumber": page, **filters}))

    def publish(self, events: Sequence[Event]) -> Published:
        """Publish `events`, all or none. When it returns, they and their deliveries are durable."""
        data = self._data("POST", "/event/publish", json=list(events))
        return Published(data["accepted"], data["duplicates"], data["matched"], data["eventIds"])

    def event(self, event_id: str) -> Json:
        """Return an event, and its `deliveries` to the webhooks that the caller may manage."""
        return cast(Json, self._data("GET", f"/event/{quote(event_id, safe='')}"))

    def events(self, **filters: Any) -> Json:
        """Return a page of events, newest first: `records`, and `nextCursor`, to be given as `cursor` for the next."""
        return cast(Json, self._data("GET", "/event/list", params=filters))

    def deliveries(self, webhook_id: str, **filters: Any) -> Json:
        """Return a page of what is owed to a webhook or was given up, oldest first; see `events`."""
        return cast(Json, self._data("GET", "/delivery/list", params={"webHookId": webhook_id, **filters}))

    def delivery(self, delivery_id: str) -> Json:
        """Return a delivery."""
        return cast(Json, self._data("GET", f"/delivery/{delivery_id}"))

    def resend(self, delivery_id: str) -> Json:
        """Have a delivery sent again, and return it."""
        return cast(Json, self._data("POST", f"/delivery/resend/{delivery_id}"))

    def resend_failed(self, webhook_id: str, key: str | None = None, **filters: Any) -> Json:
        """Have what failed sent again, and return the job. The same `key` asks for the same job."""
        return self._start("/delivery/resend", key, {"webHookId": webhook_id, **filters})

    def replay(self, webhook_id: str, start_date: str, key: str | None = None, **filters: Any) -> Json:
        """Have the events that a webhook missed sent to it, and return the job; see `resend_failed`."""
        return self._start("/event/replay", key, {"webHookId": webhook_id, "startDate": start_date, **filters})

    def job(self, job_id: str) -> Json:
        """Return a job: its `state`, and how much is `done`."""
        return cast(Json, self._data("GET", f"/delivery/job/{job_id}"))

    def jobs(self, webhook_id: str, **page: Any) -> Json:
        """Return a page of a webhook's jobs, newest first; see `events`."""
        return cast(Json, self._data("GET", "/delivery/job/list", params={"webHookId": webhook_id, **page}))

    def cancel_job(self, job_id: str) -> Json:
        """Cancel a job that has not ended, and return it."""
        return cast(Json, self._data("POST", f"/delivery/job/cancel/{job_id}"))

    def _start(self, path: str, key: str | None, body: Json) -> Json:
        return cast(Json, self._data("POST", path, json=body, headers={"Idempotency-Key": key} if key else {}))

    def _data(self, method: str, path: str, **options: Any) -> Any:
        return self._send(method, path, **options).json()["data"]

    def _send(self, method: str, path: str, **options: Any) -> requests.Response:
        answer = self._session.request(
            method, self.base + path, timeout=self._timeout_s, allow_redirects=False, **options
        )
        envelope = _envelope(answer)
        if answer.ok and envelope is not None and envelope["code"] == 0:
            return answer
        raise _error(answer, envelope)


def _credentials(
    user: str | None, password: str | None, access_key: str | None, secret_key: str | None
) -> dict[str, str]:
    """Return the headers of contract §2."""
    headers = {"X-BKREPO-UID": user} if access_key is not None and user else {}
    if access_key is not None:
        return {**headers, "Authorization": "Platform " + _base64(f"{access_key}:{secret_key or ''}")}
    return {"Authorization": "Basic " + _base64(f"{user or ''}:{password or ''}")}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _envelope(answer: requests.Response) -> Json | None:
    try:
        found = answer.json()
    except requests.JSONDecodeError:
        return None
    return found if isinstance(found, dict) and isinstance(found.get("code"), int) else None


def _error(answer: requests.Response, envelope: Json | None) -> ClientError:
    wait = answer.headers.get("Retry-After", "")
    retry_after_s = int(wait) if wait.isascii() and wait.isdigit() else None
    if envelope is None:
        return ClientError(
            0, "the answer is not Hookline's; is this the right server?", answer.status_code, retry_after_s
        )
    return ClientError(envelope["code"], str(envelope.get("message")), answer.status_code, retry_after_s)
