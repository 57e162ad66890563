"""JSON Schemas (2020-12) of what receivers get, by event type, made from the types that build it. Pure."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Final, NamedTuple, TypedDict

import msgspec

from app import operational
from app import payload_types as types
from app.event_types import (
    DELIVERY_EXHAUSTED,
    EVENT_TYPES,
    WEBHOOK_DISABLED,
    WEBHOOK_FAILING,
    WEBHOOK_RECOVERED,
    WEBHOOK_TEST,
)
from app.webhook_view import WebhookView

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
EXTRA: Final = "An event of a type that the settings add"
_REF: Final = "#/$defs/{name}"

Json = dict[str, Any]


class AnyEvent(TypedDict):
    """What the payload of every event has."""

    eventType: Annotated[str, msgspec.Meta(description="The type of the event, the same as in X-BKREPO-EVENT")]
    user: types.User


class WebhookTested(TypedDict):
    """The webhook under test, as the API shows it."""

    webHook: WebhookView


class OperationalEvent(TypedDict):
    """What every event about a webhook has."""

    webHook: types.TroubledWebhook


# Type -> what its payload has besides that of every event.
_OTHERS: Final[Mapping[str, tuple[Any, ...]]] = MappingProxyType(
    {
        "PROJECT_CREATED": (types.ProjectEvent,),
        "REPO_CREATED": (types.RepositoryEvent,),
        "REPO_UPDATED": (types.RepositoryEvent,),
        "REPO_DELETED": (types.RepositoryDeleted,),
        "NODE_CREATED": (types.NodeEvent,),
        "NODE_DOWNLOADED": (types.NodeEvent,),
        "NODE_RENAMED": (types.NodeRenamed,),
        "NODE_MOVED": (types.NodeTransferred,),
        "NODE_COPIED": (types.NodeTransferred,),
        "NODE_DELETED": (types.NodeDeleted,),
        "METADATA_SAVED": (types.MetadataSaved,),
        "METADATA_DELETED": (types.MetadataDeleted,),
        "VERSION_CREATED": (types.VersionEvent,),
        "VERSION_UPDATED": (types.VersionEvent,),
        "VERSION_DELETED": (types.VersionDeleted,),
        "SCAN_TRIGGERED": (types.ScanEvent,),
        "SCAN_FINISHED": (types.ScanEvent,),
        WEBHOOK_TEST: (WebhookTested,),
        WEBHOOK_DISABLED: (OperationalEvent, operational.Disabled),
        WEBHOOK_FAILING: (OperationalEvent, operational.Failing),
        WEBHOOK_RECOVERED: (OperationalEvent, operational.Recovered),
        DELIVERY_EXHAUSTED: (OperationalEvent, operational.Exhausted),
    }
)


class Parts(NamedTuple):
    """A schema, and the definitions that it refers to, by name."""

    schema: Json
    definitions: dict[str, Json]


@cache
def schema_of(event_type: str) -> Json:
    """Return the schema of the payload of a type; one that EVENT_TYPES does not have is of EXTRA_EVENT_TYPES.

    Keys that it does not name may be there. The schema is everybody's: leave it as it is.
    """
    schema, definitions = schema_parts(event_type, _REF)
    return {"$schema": DIALECT, **schema, "$defs": definitions}


def schema_parts(event_type: str, ref_template: str) -> Parts:
    """Return what `schema_of` does in parts; `ref_template` says where the definitions will be: `#/$defs/{name}`."""
    parts = (AnyEvent, *_OTHERS.get(event_type, (types.OtherEvent,)))
    refs, definitions = msgspec.json.schema_components(parts, ref_template=ref_template)
    mine = [definitions.pop(ref["$ref"].removeprefix(ref_template.format(name=""))) for ref in refs]
    properties = {name: schema for part in mine for name, schema in part["properties"].items()}
    properties["eventType"] = {**properties["eventType"], "const": event_type}
    kind = EVENT_TYPES.get(event_type)
    schema = {
        "title": event_type,
        "description": EXTRA if kind is None else kind.description,
        "type": "object",
        "properties": properties,
        "required": [name for part in mine for name in part["required"]],
    }
    return Parts(schema, definitions)
