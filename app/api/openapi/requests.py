"""What bodies may hold, by the limits of the modules that check them. Null is as good as left out."""

from typing import Annotated, Any, NotRequired, TypedDict

from msgspec import Meta

from app.cloudevents import SPEC_VERSION
from app.delivery_fields import MAX_BURST, MAX_DELAYS, MAX_RATE, MAX_TIMEOUT_S, ORDERINGS
from app.event_types import Event
from app.job_request import RESENDABLE
from app.payload_formats import FORMATS
from app.payload_templates import MAX_SOURCE
from app.permissions import PROJECT, REPO, SYSTEM
from app.rotation import MAX_OVERLAP_HOURS
from app.schema_hints import choice, said
from app.signing import SCHEMES
from app.urls import MAX_URL
from app.webhook_fields import (
    DROP,
    MAX_HEADER_VALUE,
    MAX_HEADERS,
    MAX_ID_PART,
    MAX_PATTERN,
    MAX_TOKEN,
    RELEASE,
)
from app.webhooks import OVERLAP_HOURS

DURATION = "^ *[0-9]{1,9}(ms|s|m|h|d) *$"

Url = Annotated[
    str, Meta(pattern="^[hH][tT][tT][pP][sS]?://", max_length=MAX_URL, examples=["https://ci.example.com/hook"])
]
Triggers = Annotated[list[str], Meta(min_length=1, description="Event types, see GET /webhook/api/event/types")]
AssociationType = Annotated[str, choice(SYSTEM, PROJECT, REPO)]
AssociationId = Annotated[
    str, Meta(max_length=2 * MAX_ID_PART + 1, description="None for SYSTEM, `p` for PROJECT, `p:r` for REPO")
]
WebhookId = Annotated[str, Meta(min_length=1, max_length=64)]
Seconds = Annotated[float, Meta(ge=0, le=MAX_TIMEOUT_S, description="Of an attempt; 0 is what the settings say")]
Delay = Annotated[str, Meta(pattern=DURATION, examples=["5m"])]
DateOrAge = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        description="A local date-time in the zone of TIMEZONE, or how long ago, such as 10m",
        examples=["2025-03-03T08:00:00.000"],
    ),
]


class WebhookSettings(TypedDict, total=False):
    """The fields of a webhook that need not be given."""

    associationType: AssociationType | None
    associationId: AssociationId | None
    association_type: Annotated[AssociationType | None, said("The seed document's name of associationType")]
    association_id: Annotated[AssociationId | None, said("The seed document's name of associationId")]
    token: Annotated[str, Meta(description='Sent as X-TOKEN; "" for none', max_length=MAX_TOKEN)] | None
    headers: (
        Annotated[
            dict[str, Annotated[str, Meta(max_length=MAX_HEADER_VALUE)]],
            Meta(max_length=MAX_HEADERS, description="Headers of your own"),
        ]
        | None
    )
    resourceKeyPattern: (
        Annotated[str, Meta(max_length=MAX_PATTERN, description='RE2, for the whole resourceKey; "" for every key')]
        | None
    )
    filter: Annotated[dict[str, Any] | None, said("Conditions on the event, see docs/filters.md; {} for none")]
    payloadFormat: Annotated[Annotated[str, choice(*FORMATS)] | None, said("What the receiver gets")]
    payloadTemplate: (
        Annotated[
            str, Meta(max_length=MAX_SOURCE, description="Jinja; required by the format `template`, and of it alone")
        ]
        | None
    )
    enabled: bool | None
    pending: Annotated[
        Annotated[str, choice(RELEASE, DROP)] | None,
        said("With `enabled: true`: what becomes of the deliveries that were held"),
    ]
    timeout: Seconds | None
    retrySchedule: Annotated[list[Delay], Meta(max_length=MAX_DELAYS, description="[] is what the settings say")] | None
    rateLimit: Annotated[int, Meta(ge=0, le=MAX_RATE, description="Requests a second; 0 is no limit")] | None
    rateBurst: Annotated[int, Meta(ge=0, le=MAX_BURST, description="Requests at once; 0 is a tenth")] | None
    ordering: Annotated[str, choice(*ORDERINGS)] | None
    signing: Annotated[str, choice(*SCHEMES)] | None
    clientCertificate: Annotated[str | None, said('PEM: the chain and the key; "" for none')]


class NewWebhook(WebhookSettings):
    """A webhook to be made."""

    url: Url
    triggers: Triggers


class WebhookChanges(WebhookSettings):
    """A webhook's id, and what is to change of it."""

    id: Annotated[str, Meta(min_length=1)]
    url: NotRequired[Url | None]
    triggers: NotRequired[Triggers | None]


class Rotation(TypedDict, total=False):
    """How to give a webhook a new secret."""

    overlapHours: (
        Annotated[
            int,
            Meta(ge=0, le=MAX_OVERLAP_HOURS, description=f"How long the old one signs too; {OVERLAP_HOURS} by default"),
        ]
        | None
    )
    secret: Annotated[str | None, said("Your own, with v1 only: whsec_ and the base64 of 24 to 64 bytes")]


class Resend(TypedDict):
    """What to send again of what failed."""

    webHookId: WebhookId
    startDate: NotRequired[Annotated[DateOrAge | None, said("Of the deliveries' creation")]]
    endDate: NotRequired[DateOrAge | None]
    state: NotRequired[Annotated[list[Annotated[str, choice(*RESENDABLE)]], Meta(min_length=1)] | None]
    triggeredEvent: NotRequired[str | None]


class Replay(TypedDict):
    """What to send that a webhook has missed."""

    webHookId: WebhookId
    startDate: DateOrAge
    endDate: NotRequired[DateOrAge | None]
    type: NotRequired[str | None]


class CloudEvent(TypedDict):
    """An event in the JSON format of CloudEvents 1.0, see docs/formats.md."""

    specversion: Annotated[str, choice(SPEC_VERSION)]
    id: Annotated[str, Meta(min_length=1, description="The eventId")]
    source: Annotated[str, Meta(min_length=1)]
    type: Annotated[str, Meta(min_length=1, description="The event type; it may begin with hookline.")]
    subject: NotRequired[Annotated[str | None, said("The resourceKey")]]
    time: NotRequired[str | None]
    datacontenttype: NotRequired[str | None]
    projectid: NotRequired[str | None]
    reponame: NotRequired[str | None]
    userid: NotRequired[str | None]
    data: NotRequired[Any]
    data_base64: NotRequired[str | None]


class PreviewOf(TypedDict, total=False):
    """What to preview: a format, a template and a filter on an event, the sample of a type or one that is given."""

    payloadFormat: Annotated[Annotated[str, choice(*FORMATS)] | None, said("By default `default`")]
    payloadTemplate: Annotated[str, Meta(max_length=MAX_SOURCE)] | None
    filter: dict[str, Any] | None
    eventType: Annotated[str | None, said("By default NODE_CREATED")]
    event: Event | None
