"""The client: a method for each endpoint of the HTTP interface.

    with Client("http://127.0.0.1:8080", user="admin", password="…") as client:
        webhook_id = client.create(url="https://example.com/hook", triggers=["NODE_CREATED"], association_type="SYSTEM")
        client.publish([{"type": "NODE_CREATED", "projectId": "p", "repoName": "r", "resourceKey": "/a"}])

Calls that may be made twice without harm are repeated while the server is busy or away, as `retry` says: those that
read, `update`, `delete`, `publish` (each event has an `eventId`), `resend_failed` and `replay` (they have a key).
`create`, `rotate_secret`, `test`, `retry`, `resend` and `cancel_job` are made once: repeated, they could do it twice.
"""

from typing import Self

from hookline_client.connection import PREFIX, Connection, Options, authorization_of
from hookline_client.delivery_calls import DeliveryCalls
from hookline_client.event_calls import EventCalls
from hookline_client.retrying import Retry
from hookline_client.service_calls import ServiceCalls
from hookline_client.webhook_calls import WebhookCalls


class Client(WebhookCalls, EventCalls, DeliveryCalls, ServiceCalls):
    """Calls one server as one caller. Threads may share it; a forked process has connections of its own.

    Give `password` for Basic authentication, or `access_key` and `secret_key` for a platform that acts for `user`.
    `timeout_s` is how long the server may take to accept a connection, and to send the next part of its answer.
    `retry` says how calls are repeated that may be; `NO_RETRY` for never. With `use_proxy`, a proxy that the
    environment names is used. `ca_file` is a PEM file of the authorities to trust, in place of the usual ones.

    Every method raises ClientError: Refused where the service refuses, ConnectError where it can't be reached, and
    NotHookline where something else answers. Names of keywords may also be the interface's own (`associationType`).
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
        ca_file: str | None = None,
        retry: Retry | None = None,
    ) -> None:
        authorization = authorization_of(user, password, access_key, secret_key)
        options = Options(timeout_s=timeout_s, use_proxy=use_proxy, ca_file=ca_file, retry=retry or Retry())
        self._connection = Connection(server, authorization, options)

    @property
    def base(self) -> str:
        """The address of the interface: the server's, and `/webhook/api`."""
        return self._connection.server + PREFIX

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()
