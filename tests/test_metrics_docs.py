"""docs/metrics.md, the dashboard and the alert rules name metrics that are there, and promtool finds no fault."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.core import Metric

from app import metrics
from app.failure_reasons import REASONS
from app.metrics_page import everything, metrics_page
from app.models import RunningProcess
from app.presence import SERVE
from app.services import Services
from tests.database_clock import database_now

pytestmark = pytest.mark.sqlite_only

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "metrics.md").read_text()
RULES = DOCS / "alerts" / "hookline.rules.yml"
DASHBOARD = json.loads((DOCS / "grafana" / "hookline.json").read_text())
ROW = re.compile(r"^\| `(hookline_\w+)` \| (\w+) \|([^|]*)\|", re.M)
SUFFIXES = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}
VARIABLES = {"$__rate_interval": "5m", "$job": ".*", "$instance": ".*"}
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None and os.environ.get("REQUIRE_SERVICES") != "1", reason="promtool is not here"
)


@pytest.fixture
def exported(services: Services) -> Iterator[dict[str, Metric]]:
    """The metrics of the service by name, each with a sample."""
    metrics.open_metrics(services.settings, SERVE)
    at = database_now()
    RunningProcess.insert(id="a", role=SERVE, host="h", pid=1, version="0", started_at=at, seen_at=at).execute()
    metrics.requested("GET", "/healthz", 200, 0.1)
    book = metrics.book()
    assert book is not None
    yield {family.name: family for family in everything(services, book).collect() if family.name.startswith("hookline")}
    metrics.close_metrics()


def series(exported: dict[str, Metric]) -> set[str]:
    """Return the names that queries can have."""
    return {f"{family.name}{suffix}" for family in exported.values() for suffix in SUFFIXES[family.type]}


def labels_of(family: Metric) -> set[str]:
    return {label for sample in family.samples for label in sample.labels} - {"le"}


def expressions() -> list[str]:
    """Return what the dashboard asks for, its variables filled in."""
    targets = [target for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
    found = [target["expr"] for target in targets]
    for name, value in VARIABLES.items():
        found = [expression.replace(name, value) for expression in found]
    return found


def promtool(*words: str | Path, **options: Any) -> str:
    """Run promtool, and return what it says. Raises AssertionError where it finds fault."""
    done = subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True, timeout=60, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_page_lists_every_metric_with_its_type_and_labels(exported: dict[str, Metric]) -> None:
    documented = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in ROW.findall(PAGE)}
    assert documented == {
        f"{family.name}{'_total' if family.type == 'counter' else ''}": (family.type, labels_of(family))
        for family in exported.values()
    }


def test_the_page_lists_every_reason_and_every_alert() -> None:
    table = PAGE.split("| status | reasons |")[1].split("\n\n")[0]
    for status, reasons in REASONS.items():
        [row] = [line for line in table.splitlines() if line.startswith(f"| `{status}`")]
        assert set(re.findall(r"`(\w+)`", row)) - {status} == set(reasons)
    alerts = re.findall(r"- alert: (\w+)", RULES.read_text())
    assert re.findall(r"^\| `(Hookline\w+)`", PAGE, re.M) == alerts


def test_the_dashboard_and_the_rules_name_metrics_that_are_exported(exported: dict[str, Metric]) -> None:
    rules = "".join(line for line in RULES.read_text().splitlines() if not line.startswith("#"))
    asked = " ".join([*expressions(), json.dumps(DASHBOARD["templating"]), rules])
    named = set(re.findall(r"\bhookline_\w+", asked))
    assert named - series(exported) == set()
    shown = set(re.findall(r"\bhookline_\w+", " ".join(expressions())))
    unseen = {name for name, family in exported.items() if not any(name in each for each in shown)}
    assert unseen == {"hookline_deliveries_cut"}


def test_the_dashboard_takes_any_data_source_and_its_panels_do_not_overlap() -> None:
    assert DASHBOARD["templating"]["list"][0]["type"] == "datasource"
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}
    places = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(places) == len(set(places))
    assert max(x for x, _ in places) < 24
    assert all(panel["description"] for panel in panels)


@needs_promtool
def test_promtool_finds_no_fault_in_a_scrape(services: Services, exported: dict[str, Metric]) -> None:
    page = metrics_page(services, metrics.book())
    assert promtool("check", "metrics", input=page.body.decode()) == ""


@needs_promtool
def test_each_alert_fires_when_it_should_and_none_without_need() -> None:
    assert "SUCCESS: 13 rules found" in promtool("check", "rules", RULES)
    assert "SUCCESS" in promtool("test", "rules", "hookline.test.yml", cwd=RULES.parent)
    tested = (RULES.parent / "hookline.test.yml").read_text()
    fired = set(re.findall(r'alertname="(\w+)"', tested))
    assert fired == set(re.findall(r"- alert: (\w+)", RULES.read_text()))


@needs_promtool
def test_promtool_understands_what_the_dashboard_asks_for(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(expressions())]
    file = tmp_path / "dashboard.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"SUCCESS: {len(rules)} rules found" in promtool("check", "rules", file)
