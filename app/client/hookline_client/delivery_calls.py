"""Deliveries, and the jobs that send many again."""

import uuid
from collections.abc import Iterator
from typing import Unpack

from hookline_client.calls import Calls
from hookline_client.fields import DeliveryFilters, ResendFilters
from hookline_client.pages import Page, page_of
from hookline_client.records import Delivery, Job
from hookline_client.walking import by_cursor


class DeliveryCalls(Calls):
    """`/webhook/api/delivery`."""

    def deliveries(
        self, webhook_id: str, cursor: str | None = None, **filters: Unpack[DeliveryFilters]
    ) -> Page[Delivery]:
        """Return a page of what is owed to a webhook or was given up, oldest first."""
        query = {"webhook_id": webhook_id, "cursor": cursor, **filters}
        return page_of(Delivery, self._get("/delivery/list", query=query))

    def iter_deliveries(self, webhook_id: str, **filters: Unpack[DeliveryFilters]) -> Iterator[Delivery]:
        """Yield what is owed to a webhook or was given up, oldest first, from page to page."""
        return by_cursor(lambda cursor: self.deliveries(webhook_id, cursor, **filters))

    def delivery(self, delivery_id: str) -> Delivery:
        """Return a delivery."""
        return Delivery.of(self._get("/delivery/{}", delivery_id))

    def resend(self, delivery_id: str) -> Delivery:
        """Have a delivery sent again, and return it."""
        return Delivery.of(self._post("/delivery/resend/{}", delivery_id))

    def resend_failed(self, webhook_id: str, key: str | None = None, **filters: Unpack[ResendFilters]) -> Job:
        """Have what failed sent again, and return the job. The same `key` asks for the same job.

        Without a key it is given one, so that the call can be repeated.
        """
        body = {"webhook_id": webhook_id, **filters}
        return Job.of(self._post("/delivery/resend", body=body, key=key or uuid.uuid4().hex))

    def job(self, job_id: str) -> Job:
        """Return a job: its `state`, and how much is `done`."""
        return Job.of(self._get("/delivery/job/{}", job_id))

    def jobs(self, webhook_id: str, cursor: str | None = None, *, page_size: int | None = None) -> Page[Job]:
        """Return a page of a webhook's jobs, newest first."""
        query = {"webhook_id": webhook_id, "cursor": cursor, "page_size": page_size}
        return page_of(Job, self._get("/delivery/job/list", query=query))

    def iter_jobs(self, webhook_id: str) -> Iterator[Job]:
        """Yield a webhook's jobs, newest first, from page to page."""
        return by_cursor(lambda cursor: self.jobs(webhook_id, cursor))

    def cancel_job(self, job_id: str) -> Job:
        """Cancel a job that has not ended, and return it."""
        return Job.of(self._post("/delivery/job/cancel/{}", job_id))
