"""The endpoints of logs, deliveries and jobs."""

from typing import Annotated, Final

from msgspec import Meta

from app import answer_examples as shown
from app.api.openapi.endpoint import Answer, Endpoint, Parameter, data, json_body
from app.api.openapi.failures import INVALID_FIELD, NO_LOG, NO_WEBHOOK, NOWHERE
from app.api.openapi.parameters import CURSOR_PAGE, KEY, PAGE_SIZE, RANGE, WEBHOOK, event_type, of_event
from app.api.openapi.requests import Resend
from app.delivery_query import STATES, DetailedDelivery, ListedDelivery
from app.job_control import JobRecord
from app.log_json import LogRecord, SeedRow, Status
from app.log_query import MAX_PAGE_NUMBER, MAX_TEXT
from app.logs import NEWEST
from app.schema_hints import CursorPage, NumberedPage, choice

_PAGE = {
    "pageNumber": 1,
    "pageSize": 20,
    "totalRecords": 1,
    "totalPages": 1,
    "records": [shown.LOG],
}
_RESEND: Resend = {"webHookId": shown.WEBHOOK_ID, "startDate": shown.DATE, "state": ["DEAD"]}

LOGS: Final = {
    "logs.get": Endpoint(
        operation="getLog",
        tag="Logs",
        answers=data(LogRecord, shown.LOG, "The log"),
        failures=(NO_LOG,),
    ),
    "logs.list_": Endpoint(
        operation="listLogs",
        tag="Logs",
        parameters=(
            Parameter("pageNumber", Annotated[int, Meta(ge=1, le=MAX_PAGE_NUMBER)], "Which page, from 1", 1),
            PAGE_SIZE,
            *RANGE,
            Parameter("status", Status, "What came of the attempt", "FAIL"),
            event_type("triggeredEvent"),
            of_event("eventId", "The event that was delivered", shown.EVENT_ID),
            Parameter("q", Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)], "Text in payload or answer", "apk"),
        ),
        answers=(
            Answer(
                list[SeedRow] | NumberedPage[LogRecord],
                {"page": _PAGE, "list": [shown.SEED_ROW]},
                "Without parameters a list of rows in the seed document's form, with any a page",
            ),
        ),
        failures=(NO_WEBHOOK,),
        note=f"Newest first; at most {NEWEST} without parameters. By default a page covers three months.",
    ),
}

DELIVERIES: Final = {
    "deliveries.get": Endpoint(
        operation="getDelivery",
        tag="Deliveries",
        answers=data(DetailedDelivery, shown.DETAILED_DELIVERY, "The delivery"),
        failures=(NOWHERE,),
    ),
    "deliveries.list_": Endpoint(
        operation="listDeliveries",
        tag="Deliveries",
        parameters=(
            WEBHOOK,
            Parameter("state", Annotated[str, choice(*STATES)], "Only deliveries in this state", "DEAD"),
            event_type("triggeredEvent"),
            *RANGE,
            *CURSOR_PAGE,
        ),
        answers=data(
            CursorPage[ListedDelivery],
            {"records": [shown.LISTED_DELIVERY], "nextCursor": shown.CURSOR},
            "What is owed or was given up, oldest first",
        ),
        failures=(NO_WEBHOOK,),
    ),
    "deliveries.resend_one": Endpoint(
        operation="resendDelivery",
        tag="Deliveries",
        answers=data(DetailedDelivery, shown.DETAILED_DELIVERY, "The delivery as it is now"),
        failures=(INVALID_FIELD, NOWHERE, NO_WEBHOOK),
        note="It keeps its id. One that is in flight or waits for its turn stays as it is.",
    ),
    "deliveries.resend_many": Endpoint(
        operation="resendDeliveries",
        tag="Deliveries",
        parameters=(KEY,),
        body=json_body(Resend, resend=_RESEND),
        answers=data(JobRecord, shown.RESEND, "The job that does it", 202),
        failures=(NO_WEBHOOK,),
    ),
    "deliveries.job": Endpoint(
        operation="getJob",
        tag="Jobs",
        answers=data(JobRecord, shown.RESEND, "The job"),
        failures=(NOWHERE,),
    ),
    "deliveries.jobs": Endpoint(
        operation="listJobs",
        tag="Jobs",
        parameters=(WEBHOOK, *CURSOR_PAGE),
        answers=data(CursorPage[JobRecord], {"records": [shown.RESEND], "nextCursor": None}, "Newest first"),
        failures=(NO_WEBHOOK,),
    ),
    "deliveries.cancel": Endpoint(
        operation="cancelJob",
        tag="Jobs",
        answers=data(JobRecord, {**shown.RESEND, "state": "CANCELLED", "finishedDate": shown.LATER}, "The job"),
        failures=(INVALID_FIELD, NOWHERE),
        note="It stops before its next batch; where it has ended already the answer is 400.",
    ),
}
