"""Metrics for tests: opened for one, and read as Prometheus reads them."""

from prometheus_client.parser import text_string_to_metric_families

from app import metrics
from app.metrics_page import metrics_page
from app.services import Services


def scraped(text: str) -> dict[str, float]:
    """Return the samples of a page: `name` or `name{label="value",…}`, labels in order, and the value."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def counted(services: Services) -> dict[str, float]:
    """Return the samples of this process."""
    return scraped(metrics_page(services, metrics.book()).body.decode())
