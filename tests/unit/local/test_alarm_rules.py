"""Every alarm looks at a metric that exists and names a runbook that speaks of it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

from salur.common import telemetry

ROOT = Path(__file__).parents[3]
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy" / "prometheus" / "salur.rules.yml").read_text(encoding="utf-8"))[
        "groups"
    ]
    for rule in group["rules"]
]
BACKLOG = (ROOT / "services/payments/src/salur/payments/sql/operations.sql").read_text(encoding="utf-8")


def exposed() -> set[str]:
    """The names of all samples our metrics give."""
    assert telemetry.BACKLOG
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
    return {metric.name + suffix for metric in REGISTRY.collect() for suffix in suffixes.get(metric.type, ("",))}


def waits() -> set[str]:
    """What the backlog can name."""
    named = set(re.findall(r"SELECT '([a-z-]+)',", BACKLOG))
    return named | {"instructed", "unknown", "list-locked", "list-submitted"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alarm_has_its_metric_its_runbook_and_who_must_act(rule: dict[str, Any]) -> None:
    metrics = set(re.findall(r"salur_\w+", rule["expr"]))
    assert metrics
    assert metrics <= exposed()
    for matched in re.findall(r'what=~?"([^"]+)"', rule["expr"]):
        assert set(matched.split("|")) <= waits()
    assert rule["labels"].keys() == {"severity", "who"}
    assert f"`{rule['alert']}`" in (ROOT / rule["annotations"]["runbook"]).read_text(encoding="utf-8")


def test_what_must_not_wait_unseen_has_an_alarm() -> None:
    """Stuck, a bank that lags, unknown, put aside, breaks: the ones money hangs on."""
    watched = {
        name for rule in RULES for found in re.findall(r'what=~?"([^"]+)"', rule["expr"]) for name in found.split("|")
    }
    assert watched >= {"instructed", "unknown", "suspense", "break", "recall", "failed", "money-case", "day-close"}
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
