"""doctor and explain name the cause of each fault of the bench's list, before it is repaired."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from builders import network, on, tcp
from faults import FAULTS, FAULTS_OF_IPV6
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from hosts.namespace.uplinked_host import NEIGHBOUR, UplinkedHost
from hosts.namespace.wired_host import PATHS
from ocinet.cli.console import Console, Streams
from ocinet.cli.main import main
from ocinet.watcher.bulletin import Bulletin

_ENVIRONMENT = {
    "OCINET_CONFIG_DIR": PATHS.config,
    "OCINET_STATE_DIR": PATHS.state,
    "OCINET_RUN_DIR": PATHS.run,
}
_IN, _OUT, _BESIDE = ("outside", "host:8081"), ("web", NEIGHBOUR), ("db", "web:80")
_BESIDE_6, _LOCAL, _OWN = ("db", "web:80", "-6"), ("host", "127.0.0.1:8080"), ("web", "web:80")
# The way that each of them closes; those that are not here close none that can be walked.
_CLOSES = {
    "ruleset flushed": _IN,
    "table deleted": _IN,
    "chain flushed": _OUT,
    "rule added": _OUT,
    "element gone": _IN,
    "set flushed": _BESIDE,
    "bridge down": _BESIDE,
    "bridge deleted": _BESIDE,
    "bridge renamed": _BESIDE,
    "bridge without its address": _OUT,
    "bridge without its route": _OUT,
    "host end down": _BESIDE,
    "host end off the bridge": _BESIDE,
    "host end deleted": _BESIDE,
    "host end disabled": _BESIDE,
    "host end renamed": _BESIDE,
    "host end moved": _BESIDE,
    "ip_forward off": _OUT,
    "route_localnet off": _LOCAL,
    "address gone inside": _BESIDE,
    "route gone inside": _OUT,
    "lo down inside": _OWN,
    "eth0 down inside": _BESIDE,
    "eth0 with another MAC inside": _BESIDE,
    "IPv6 off inside": _BESIDE_6,
}


def _told(*words: str) -> Any:
    """Run a command as a person does, and return its JSON."""
    out = io.StringIO()
    streams = Streams(io.StringIO(), out, io.StringIO())
    main([*words, "--format", "json"], Console(_ENVIRONMENT, streams=streams, is_root=True))
    return json.loads(out.getvalue())


@pytest.mark.timeout(120)
@pytest.mark.parametrize("fault", [*FAULTS, *FAULTS_OF_IPV6])
@in_namespaces
def test_doctor_and_explain_name_the_cause_before_it_is_repaired(fault: str) -> None:
    """And with it what helps; a way that is open all the same is told so."""
    broken = {**FAULTS, **FAULTS_OF_IPV6}[fault]
    with UplinkedHost() as host:
        Bulletin(PATHS.run).ready()
        with host.engine() as engine:
            engine.records.networks.add(network("six", "10.7.0.0/24", "fd00:7::/64"))
        host.up("db", on("six"))
        wish = on("six", publish=(tcp(8080, 80), tcp(8081, 80)))
        record = host.up_serving("web", wish, bounded=True)
        # Neighbours by now: where nothing is flooded, the first question alone finds nobody.
        assert host.pings("db", str(record.endpoints[0].addresses[0].address))
        assert _told("doctor") == []
        way = _CLOSES.get(fault)

        pid = host.sleepers["web"].pid if broken.inside else None
        run("sh", "-c", broken.command_on(record), pid=pid)

        wanted = broken.told_of(record)
        explained = _told("explain", *(way or _BESIDE))
        assert explained["ok"] is (way is None)
        cause = next(hop for hop in explained["hops"] if wanted in hop["what"])
        assert (cause["ok"], cause["remedy"][:21]) == (way is None, "ocinet check --repair")
        cause = next(each for each in _told("doctor") if wanted in each["what"])
        assert cause["remedy"].startswith("ocinet check --repair")
