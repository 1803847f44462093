"""A real Prometheus scrapes the watcher: what it reads, graphs and alerts by, is what there is.

It is 90 MB, which no run of the suite pays for unasked: without it these are skipped, in CI as
elsewhere. `make prometheus-test` installs it and runs them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.parse
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from builders import on
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from hosts.namespace.wired_host import PATHS, WiredHost
from hosts.waiting import wait_until
from ocinet.picture import metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).parents[2]
_RULES = _ROOT / "packaging/prometheus/ocinet.rules.yml"
_DASHBOARD = _ROOT / "packaging/grafana/ocinet.json"
_TIMEOUT_S = 60
_PORT, _OWN_PORT = 9690, 9091
_CONFIG = f"""\
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{_RULES}]
scrape_configs:
  - job_name: ocinet
    static_configs: [{{targets: ["127.0.0.1:{_PORT}"]}}]
"""
# Of these there are no samples where all is well; the others have some.
_EMPTY = re.compile(r"> 0$")

pytestmark = [
    pytest.mark.skipif(
        not (shutil.which("prometheus") and shutil.which("promtool")),
        reason="prometheus and promtool are not installed: make prometheus-test",
    ),
    pytest.mark.timeout(300),  # it scrapes once a second, and two of each are waited for
]


@contextmanager
def _running(*words: str) -> Iterator[None]:
    environment = {
        **os.environ, "OCINET_CONFIG_DIR": PATHS.config, "OCINET_STATE_DIR": PATHS.state,
        "OCINET_RUN_DIR": PATHS.run,
    }  # fmt: skip
    # Where the test's own time is over, its process is killed: what it runs goes with it.
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", *words],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _fetch(url: str) -> str:
    """Return what is answered, or "" while nobody is there."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310  # our own
            return str(answer.read().decode())
    except OSError:
        return ""


def _query(expression: str) -> list[dict[str, Any]]:
    """Return what Prometheus finds; its error fails the test."""
    words = urllib.parse.urlencode({"query": expression})
    text = _fetch(f"http://127.0.0.1:{_OWN_PORT}/api/v1/query?{words}")
    assert text, f"{expression} is no expression, or nobody answers"
    answer = json.loads(text)
    assert answer["status"] == "success", (expression, answer)
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


def _value(expression: str) -> float:
    found = _query(expression)
    return float(found[0]["value"][1]) if found else -1.0


@contextmanager
def _scraped(host: WiredHost) -> Iterator[None]:
    """Have a Prometheus scrape the watcher, until it has done so twice."""
    os.makedirs("/run/prometheus")
    Path("/run/prometheus/config.yml").write_text(_CONFIG)
    with ExitStack() as stack:
        stack.enter_context(_running(
            sys.executable, "-m", "ocinet.cli.main", "watch",
            "--metrics", f"127.0.0.1:{_PORT}"))  # fmt: skip
        stack.enter_context(_running(
            "prometheus", "--config.file=/run/prometheus/config.yml",
            "--storage.tsdb.path=/run/prometheus/data",
            f"--web.listen-address=127.0.0.1:{_OWN_PORT}"))  # fmt: skip
        ready = f"http://127.0.0.1:{_OWN_PORT}/-/ready"
        wait_until(lambda: _fetch(ready), "it is ready", timeout_s=_TIMEOUT_S, interval_s=0.2)
        wait_until(
            lambda: _value('count_over_time(up{job="ocinet"}[1m]) > 1 and up == 1') > 0,
            "it has scraped", timeout_s=_TIMEOUT_S, interval_s=0.2,
        )  # fmt: skip
        yield


def _host() -> tuple[WiredHost, str]:
    host = WiredHost()
    record = host.up("web", on("lan"))
    return host, record.endpoints[0].host_ifname


def _told(host_end: str) -> int:
    (link,) = json.loads(run(f"ip -s -j link show dev {host_end}"))
    return int(link["stats64"]["rx"]["bytes"])


@in_namespaces
def test_rates_that_prometheus_tells_are_those_of_the_link() -> None:
    """What a container sent within the time that Prometheus looked at, and all of it."""
    host, host_end = _host()
    with _scraped(host):
        pid = str(host.sleepers["web"].pid)
        code = (
            "import socket, time; s = socket.socket(2, 2)\n"
            "for _ in range(3000): s.sendto(b'x' * 1000, ('10.9.0.1', 9)); time.sleep(0.001)"
        )
        run("nsenter", "-n", "-t", pid, sys.executable, "-c", code)
        sent = _told(host_end)
        assert sent > 3_000_000
        own = 'ocinet_endpoint_transmit_bytes_total{container="web",network="lan"}'
        wait_until(lambda: _value(own) == sent, "all is told", timeout_s=_TIMEOUT_S, interval_s=0.3)
        # From the first sample to the last: what Prometheus takes a rate by, without its guess at
        # what came before the first and after the last one.
        (series,) = _query(f"{own}[5m]")
        (first_s, first), (last_s, last) = series["values"][0], series["values"][-1]
        grown = _value(f"increase({own}[5m])")
        exact = float(last) - float(first)
        assert exact > 3_000_000
        assert exact * 0.9 < grown < exact * 1.6, (exact, grown)
        assert last_s > first_s
        assert exact * 0.9 < _value(f"rate({own}[5m])") * 300 < exact * 1.6


@in_namespaces
def test_what_is_scraped_graphed_and_alerted_by_is_there() -> None:
    """promtool finds nothing to say; each expression is one, and finds what it asks for."""
    host, _host_end = _host()
    with _scraped(host):
        text = _fetch(f"http://127.0.0.1:{_PORT}/metrics")
        told = subprocess.run(
            ["promtool", "check", "metrics"],
            input=text,
            text=True,
            capture_output=True,
            check=False,
        )
        assert (told.returncode, told.stdout + told.stderr) == (0, "")
        known = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
        assert known <= {metric.name for metric in metrics.METRICS}
        for panel in json.loads(_DASHBOARD.read_text())["panels"]:
            for target in panel["targets"]:
                expression = (
                    target["expr"].replace("$instance", ".*").replace("$network", ".*")
                    .replace("$__rate_interval", "1m")
                )  # fmt: skip
                found = _query(expression)
                assert found or _EMPTY.search(expression), expression
        alerts = json.loads(_fetch(f"http://127.0.0.1:{_OWN_PORT}/api/v1/rules"))
        rules = alerts["data"]["groups"][0]["rules"]
        assert {rule["health"] for rule in rules} <= {"ok", "unknown"}, rules
        assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []
        run("ip", "link", "set", "br-lan", "down")  # before it is put right, or after: both ends
        wait_until(
            lambda: _value('ocinet_repairs_total{kind="bridge"}') >= 1,
            "the repair is told", timeout_s=_TIMEOUT_S, interval_s=0.3,
        )  # fmt: skip


def test_rules_are_taken_by_promtool() -> None:
    """And each has a summary, and says what tells more."""
    told = subprocess.run(
        ["promtool", "check", "rules", str(_RULES)], text=True, capture_output=True, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr


def _series(name: str, values: str) -> str:
    return f"{{series: '{name}', values: '{values}'}}"


@pytest.mark.parametrize(
    ("name", "values", "alert"),
    [
        ('ocinet_failures_total{operation="attach",door="hook"}', "0 0 1 1 1", "AttachesFail"),
        ('ocinet_failures_total{operation="detach",door="hook"}', "0 0 1 1 1", ""),
        ('ocinet_failures_total{operation="attach",door="watcher"}', "0 0 1 1 1", ""),
        ('ocinet_events_total{event="container not served"}', "0 0 1 1 1", "ContainersNotServed"),
        ('ocinet_events_total{event="attach failed"}', "0 0 1 1 1", ""),
    ],
)
def test_first_failure_alerts_unless_it_is_tried_again(
    tmp_path: Path, name: str, values: str, alert: str
) -> None:
    """The watcher's own tries may fail and be mended; what it gives up does not."""
    names = ("AttachesFail", "ContainersNotServed")
    checks = "".join(
        f"          - expr: count(ALERTS{{alertname='Ocinet{each}'}})\n"
        f"            eval_time: 4m\n"
        f"            exp_samples: {[{'labels': '{}', 'value': 1}] if each == alert else []}\n"
        for each in names
    )
    (tmp_path / "test.yml").write_text(
        f"rule_files: [{_RULES}]\nevaluation_interval: 1m\ntests:\n"
        f"      - interval: 1m\n        input_series: [{_series(name, values)}]\n"
        f"        promql_expr_test:\n{checks}"
    )
    told = subprocess.run(
        ["promtool", "test", "rules", str(tmp_path / "test.yml")],
        text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout + told.stderr
