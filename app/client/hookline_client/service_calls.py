"""The service itself: its health, and the description of its interface."""

from hookline_client.calls import Calls
from hookline_client.connection import Call, envelope_of, error_of, json_of
from hookline_client.record import Json
from hookline_client.records import Health


class ServiceCalls(Calls):
    """What lies outside the prefix of the API."""

    def alive(self) -> Health:
        """Return what the process says of itself."""
        return Health.of(self._plain("/healthz", "status"))

    def ready(self) -> Health:
        """Return whether the service can work, and which of its parts can't."""
        return Health.of(self._plain("/readyz", "status"))

    def openapi(self) -> Json:
        """Return the OpenAPI document of the server's interface."""
        return self._plain("/openapi.json", "openapi")

    def _plain(self, path: str, mark: str) -> Json:
        """Return the JSON object with the key `mark` that answers, whatever the status."""
        call = Call("GET", path)
        answer = self._connection.raw(call)
        found = json_of(answer)
        if isinstance(found, dict) and mark in found:
            return found
        raise error_of(call, answer, envelope_of(answer), self._connection.server)
