"""The endpoints of webhooks."""

from typing import Annotated, Final

from app import answer_examples as shown
from app.api.openapi.endpoint import Endpoint, Parameter, data, json_body
from app.api.openapi.failures import MISSING_FIELD, NO_LOG, NO_WEBHOOK, NOT_ALLOWED
from app.api.openapi.requests import AssociationId, AssociationType, NewWebhook, PreviewOf, Rotation, WebhookChanges
from app.log_json import LogRecord
from app.payload_preview import PreviewRecord
from app.ready_templates import ReadyTemplate, ready_templates
from app.rotation import ShownSecrets
from app.schema_hints import said
from app.webhook_view import WebhookView

TAG = "Webhooks"

_NEW: NewWebhook = {
    "url": shown.URL,
    "triggers": [shown.EVENT_TYPE, "VERSION_CREATED"],
    "associationType": "REPO",
    "associationId": "shop:android",
    "resourceKeyPattern": r"/release/.*\.apk",
    "headers": {"X-Team": "mobile"},
    "token": "a token that receivers compare",
}
_CHANGES: WebhookChanges = {"id": shown.WEBHOOK_ID, "rateLimit": 50, "retrySchedule": ["5s", "5m", "2h"]}
_ENABLED: WebhookChanges = {"id": shown.WEBHOOK_ID, "enabled": True, "pending": "release"}
_ROTATION: Rotation = {"overlapHours": 48}
_OF_TYPE = "Give this, or by the seed document's name association_type"
_OF_ID = "By default all of the type that the caller may manage"
_PREVIEW: PreviewOf = {
    "payloadFormat": "template",
    "payloadTemplate": "{{ payload.node.name }} is there",
    "filter": {"payload.node.size": {"$gt": 1_048_576}},
    "eventType": shown.EVENT_TYPE,
}
_PREVIEWED: PreviewRecord = {"contentType": "text/plain; charset=utf-8", "body": "shop.apk is there", "matches": True}
_BY_GET = "GET is for clients of the seed document; it sends as well."

WEBHOOKS: Final = {
    "webhooks.create": Endpoint(
        operation="createWebhook",
        tag=TAG,
        body=json_body(NewWebhook, webhook=_NEW, ofTheSeedDocument=shown.SEED_WEBHOOK),
        answers=data(
            None,
            None,
            "It is made",
            X_Webhook_Id="The id of the webhook",
            Location="The path of the webhook",
        ),
        failures=(NOT_ALLOWED,),
        note="associationType is required, by one of its names; associationId is, unless that is SYSTEM.",
    ),
    "webhooks.update": Endpoint(
        operation="updateWebhook",
        tag=TAG,
        body=json_body(WebhookChanges, changes=_CHANGES, enabledAgain=_ENABLED),
        answers=data(None, None, "It is changed"),
        failures=(NOT_ALLOWED, NO_WEBHOOK),
        note="A mask sent back means unchanged. A change of signing makes a new secret.",
    ),
    "webhooks.delete": Endpoint(
        operation="deleteWebhook",
        tag=TAG,
        answers=data(None, None, "It is deleted"),
        failures=(NO_WEBHOOK,),
        note="What is still owed to it is cancelled; its logs stay.",
    ),
    "webhooks.get": Endpoint(
        operation="getWebhook",
        tag=TAG,
        answers=data(WebhookView, shown.WEBHOOK, "The webhook"),
        failures=(NO_WEBHOOK,),
    ),
    "webhooks.list_": Endpoint(
        operation="listWebhooks",
        tag=TAG,
        parameters=(
            Parameter("associationType", AssociationType, _OF_TYPE, "REPO"),
            Parameter("associationId", AssociationId, _OF_ID, "shop:android"),
            Parameter("association_type", AssociationType, "The seed document's name of associationType", "REPO"),
            Parameter("association_id", AssociationId, "The seed document's name of associationId", "shop:android"),
        ),
        answers=data(Annotated[list[WebhookView], said("Newest first")], [shown.WEBHOOK], "The webhooks"),
        failures=(MISSING_FIELD, NOT_ALLOWED),
    ),
    "webhooks.secret": Endpoint(
        operation="getWebhookSecret",
        tag=TAG,
        answers=data(ShownSecrets, shown.SECRETS, "What verifies its deliveries"),
        failures=(NO_WEBHOOK,),
    ),
    "webhooks.rotate": Endpoint(
        operation="rotateWebhookSecret",
        tag=TAG,
        body=json_body(Rotation, required=False, rotation=_ROTATION),
        answers=data(ShownSecrets, shown.SECRETS, "The new secret, and the one before"),
        failures=(NO_WEBHOOK,),
    ),
    "webhooks.test": Endpoint(
        operation="testWebhook",
        tag=TAG,
        answers=data(LogRecord, shown.TEST_LOG, "The log of the attempt"),
        failures=(NO_WEBHOOK,),
        note=_BY_GET,
    ),
    "formats.templates": Endpoint(
        operation="listTemplates",
        tag=TAG,
        answers=data(list[ReadyTemplate], ready_templates()[:1], "The templates that come with the service"),
    ),
    "formats.preview_": Endpoint(
        operation="previewPayload",
        tag=TAG,
        body=json_body(PreviewOf, ofAType=_PREVIEW),
        answers=data(PreviewRecord, _PREVIEWED, "What a receiver would get"),
    ),
    "webhooks.retry": Endpoint(
        operation="retryLog",
        tag=TAG,
        answers=data(LogRecord, shown.LOG, "The new log"),
        failures=(NO_LOG, NO_WEBHOOK),
        note=f"It goes to the webhook's present URL. {_BY_GET}",
    ),
}
