"""All endpoints, by the names that Flask has for their views."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from app.api.openapi.deliveries import DELIVERIES, LOGS
from app.api.openapi.endpoint import Endpoint
from app.api.openapi.events import EVENTS
from app.api.openapi.service import SERVICE
from app.api.openapi.webhooks import WEBHOOKS

ENDPOINTS: Final[Mapping[str, Endpoint]] = MappingProxyType({**WEBHOOKS, **EVENTS, **DELIVERIES, **LOGS, **SERVICE})

TAGS: Final = {
    "Webhooks": "Who gets which events, where and how",
    "Events": "What happened: published, found, replayed, read along",
    "Deliveries": "Events on their way to webhooks",
    "Jobs": "Many deliveries sent again in the background",
    "Logs": "The history of attempts",
    "Service": "The process itself. These paths have no envelope",
}
