"""What the methods of every resource share."""

from collections.abc import Mapping
from typing import Any

from hookline_client.connection import PREFIX, Call, Connection
from hookline_client.fields import on_wire

KEY_HEADER = "Idempotency-Key"


class Calls:
    """Makes calls of the API; see `Client` for what they raise."""

    _connection: Connection

    def _get(self, path: str, *ids: str, query: Mapping[str, Any] | None = None) -> Any:
        """Return the data of a call that reads. Query parameters that are None are left out."""
        given = on_wire(query or {})
        return self._connection.data(Call("GET", PREFIX + path, ids, query=given, repeat=True))

    def _post(self, path: str, *ids: str, body: Mapping[str, Any] | None = None, key: str | None = None) -> Any:
        """Return the data of a call that does something: made once, unless `key` tells the server of a repetition."""
        headers = {} if key is None else {KEY_HEADER: key}
        given = None if body is None else on_wire(body)
        return self._connection.data(
            Call("POST", PREFIX + path, ids, body=given, headers=headers, repeat=key is not None)
        )
