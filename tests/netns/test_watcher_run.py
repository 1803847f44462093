"""The service as a whole, from its start to the signal that ends it, with no engine to watch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

from hosts.namespace.isolation import in_namespaces
from hosts.namespace.wired_host import PATHS

_ENVIRONMENT = {
    "OCINET_CONFIG_DIR": PATHS.config,
    "OCINET_STATE_DIR": PATHS.state,
    "OCINET_RUN_DIR": PATHS.run,
}
_WATCH = ("ocinet.cli.main", "watch", "--engine", "/run/nobody.sock", "--log-format", "json")


@in_namespaces
def test_service_runs_until_a_signal_ends_it() -> None:
    """It is ready without its engine, which it waits for, and ends with nothing to complain of."""
    lines = []
    with subprocess.Popen(
        [sys.executable, "-m", *_WATCH],
        env={**os.environ, **_ENVIRONMENT},
        stderr=subprocess.PIPE,
        text=True,
    ) as service:
        assert service.stderr
        for line in service.stderr:
            lines.append(line)
            if "watcher ready" in line:
                service.send_signal(signal.SIGTERM)

    assert service.returncode == 0, lines
    first, *amidst, last = (json.loads(line)["event"] for line in lines)
    assert (first, last) == ("watcher started", "watcher stops")
    assert sorted(amidst) == [
        "engine is not there yet", "no engine is there: what is attached is kept as it is",
        "watcher ready",
    ]  # fmt: skip
