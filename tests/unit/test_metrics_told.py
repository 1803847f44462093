"""What is said of metrics elsewhere is what is told: the page, the dashboard, the alerts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ocinet.engine.plan.repair_kinds import KINDS
from ocinet.picture.counts import CAUSES, DOORS, Counts
from ocinet.picture.exposition import COUNTER, HISTOGRAM, render
from ocinet.picture.metrics import METRICS, Watching, families, short_id
from ocinet.picture.values import RUNNING, STATES, UP, Container, Figures, Interface, Picture

_ROOT = Path(__file__).parents[2]
_ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*) \|$", re.MULTILINE)
_WORD = re.compile(r"\b((?:ocinet|process)_\w+)\b")
_NAMES = {metric.name for metric in METRICS}


def _base(name: str) -> str:
    """Return a metric's name by that of a series of its."""
    plain = re.sub(r"_(?:bucket|sum|count)$", "", name)
    return plain if plain in _NAMES else name


def test_page_has_each_metric_with_its_kind_and_labels() -> None:
    """And no other."""
    rows = {name: (kind, labels) for name, kind, labels, _says in
            _ROW.findall((_ROOT / "docs/metrics.md").read_text())}  # fmt: skip
    assert rows == {
        metric.name: (metric.kind, ", ".join(f"`{label}`" for label in metric.labels) or "-")
        for metric in METRICS
    }


@pytest.mark.parametrize(
    "path", ["packaging/grafana/ocinet.json", "packaging/prometheus/ocinet.rules.yml"]
)
def test_expressions_ask_for_what_is_told(path: str) -> None:
    """A name that was mistyped finds nothing, and nobody is woken."""
    text = (_ROOT / path).read_text()
    if path.endswith(".json"):
        board = json.loads(text)
        asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
        asked += [
            item["definition"] for item in board["templating"]["list"] if "definition" in item
        ]
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"]) > 15
    else:
        asked = re.findall(r"^ +expr: (.*)$", text, re.MULTILINE)
        assert len(asked) == len(re.findall(r"^ +summary: ", text, re.MULTILINE)) > 8
    found = {name for expression in asked for name in _WORD.findall(expression)}
    assert found
    assert {_base(name) for name in found} <= _NAMES


def test_names_are_as_prometheus_has_them() -> None:
    """prometheus.io/docs/practices/naming: base units, and `_total` of what only grows."""
    for metric in METRICS:
        assert re.fullmatch(r"(ocinet|process)_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == COUNTER), metric.name
        assert metric.kind != HISTOGRAM or metric.name.endswith("_seconds")
        assert not re.search(r"_(ms|kb|mb|milliseconds|minutes)\b", metric.name)
        assert metric.says.endswith((".", "0 if none is."))
    assert len(_NAMES) == len(METRICS)


def test_what_alerts_ask_the_increase_of_begins_with_zero() -> None:
    """A series that begins with 1 has no increase, and nobody is woken by the first failure."""
    told = {
        (metric.name, *words): count
        for metric, samples in families(Picture("", "host"), Counts(), Watching(), ("1", "3"))
        for words, count in samples.items()
    }
    for door in DOORS:
        for cause in CAUSES:
            assert told["ocinet_failures_total", "attach", door, cause] == 0
    assert {told["ocinet_repairs_total", kind] for kind in KINDS} == {0}
    assert told["ocinet_events_total", "container not served"] == 0


def test_count_is_told_in_the_place_of_its_zero() -> None:
    """Twice the same series, and Prometheus refuses all."""
    counts = Counts()
    counts.add([{"event": "attach failed", "door": "hook", "cause": "busy"}])
    text = render(families(Picture("", "host"), counts, Watching(), ("1", "3")))
    series = 'ocinet_failures_total{operation="attach",door="hook",cause="busy"}'
    assert re.findall(re.escape(series) + " (.*)", text) == ["1"]


def _container(name: str, container_id: str) -> Container:
    figures = Figures(1, 2, 3, 4, 5, 6)
    own = Interface("eth0", "oc1", "lan", "02:00:00:00:00:01", (), UP, figures)
    return Container(container_id, name, "hook", "bridge", RUNNING, "", "", "", (own,))


def test_two_of_one_name_are_two_series() -> None:
    """As of two engines: Prometheus refuses all where a sample comes twice."""
    ids = ("a" * 64, "b" * 64, "container-one", "container-two")
    picture = Picture("", "host", containers=tuple(_container("web", each) for each in ids))
    text = render(families(picture, Counts(), Watching(), ("1", "3")))
    samples = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(samples) == len(set(samples))
    assert sum(each.startswith("ocinet_endpoint_receive_bytes_total") for each in samples) == 4
    assert [short_id(each) for each in ids] == ["a" * 12, "b" * 12, *ids[2:]]
    assert "refused" not in "".join(line for line in samples if "endpoint" in line)


def test_each_state_is_told_though_nobody_is_in_it() -> None:
    """An alert can't be raised by what is not there."""
    text = render(families(Picture("", "host"), Counts(), Watching(), ("1", "3")))
    assert all(f'ocinet_containers{{state="{state}"}} 0' in text for state in STATES)
    assert "ocinet_watcher_up 0" in text
