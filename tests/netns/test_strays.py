"""What nobody claims of a real firewall, kernel and state, as kills and lost answers leave it."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from builders import on, tcp
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from hosts.namespace.wired_host import PATHS, WiredHost, records, snapshot
from ocinet.base.errors import NotFoundError, OcinetError

if TYPE_CHECKING:
    from collections.abc import Callable

PORT = tcp(8080)
KEPT = f"{PATHS.state}/reservations"


PORTS = """\
add element inet ocinet publish4 { tcp . 8081 : 10.9.0.77 . 80 }
add element inet ocinet publish4_at { udp . 127.0.0.1 . 8082 : 10.9.0.77 . 80 }
add element inet ocinet publish6 { sctp . 8083 : fd00:9::77 . 80 }
"""
NETWORK = """\
add element inet ocinet bridges { "ocbr-01234567" }
add element inet ocinet home4 { 10.7.0.0/16 . "ocbr-01234567" }
add element inet ocinet masquerade4 { 10.7.0.0/16 }
add element inet ocinet egress4 { 10.7.0.0/16 : 198.51.100.1 }
add element inet ocinet internal { "ocbr-01234567" }
"""


def lost_answer() -> None:
    """Leave ports that went in though nobody heard so, of both families and kinds."""
    run("nft", "-f", "-", given=PORTS)


def killed_removal() -> None:
    """Leave what a network had in the firewall, in the kernel and on disk."""
    run("nft", "-f", "-", given=NETWORK)
    run("ip rule add pref 1 iif ocbr-01234567 protocol kernel blackhole")
    run("ip -6 rule add pref 1 iif ocbr-01234567 protocol kernel blackhole")
    Path(f"{KEPT}/old").mkdir(parents=True)
    Path(f"{KEPT}/old/10.7.0.9=db").write_text("")


def kept() -> list[str]:
    """Return the networks that addresses are reserved on."""
    return sorted(set(os.listdir(KEPT)) - {"lock"}) if os.path.isdir(KEPT) else []


def rules() -> str:
    """Return the routing rules of both families."""
    return run("ip rule") + run("ip -6 rule")


@pytest.mark.parametrize("left", [lost_answer, killed_removal])
@in_namespaces
def test_gc_finds_what_nobody_claims(left: Callable[[], None]) -> None:
    """All of it goes, and the container that lives keeps what is its own."""
    with WiredHost() as host:
        host.up("web", on("lan", publish=(PORT,)))
        before = (snapshot(), kept(), rules())
        left()
        assert (snapshot(), kept(), rules()) != before
        assert host.gc(dry_run=True)

        assert host.gc()

        assert (snapshot(), kept(), rules()) == before
        assert host.gc() == []
        with host.engine() as engine:
            assert engine.check() == ()
        assert host.pings("web", "10.9.0.1")


@in_namespaces
def test_network_that_is_made_where_one_was_half_removed_works() -> None:
    """Neither is a subnet in its way, nor does it come with what was kept for others."""
    with WiredHost() as host:
        host.up("web", on("lan"))
        killed_removal()
        with host.engine() as engine:
            from ocinet.base.address import Subnet
            from ocinet.engine.plan.new_network import NetworkOptions

            engine.networks.create("old", NetworkOptions((Subnet.parse("10.7.1.0/24"),)))

        host.up("db", on("old"))

        assert kept() == []
        table = json.loads(run("nft -j list set inet ocinet home4"))
        assert "10.7.0.0" not in json.dumps(table)
        assert host.pings("db", "10.7.1.1")


CLAIMS = f"{PATHS.run}/ports/tcp-8064-8191"


@in_namespaces
def test_claims_that_make_no_sense_are_made_anew_by_gc() -> None:
    """Who lives keeps its ports, a dead one's are closed and free, and the file is kept aside."""
    with WiredHost() as host:
        host.up("web", on("lan", publish=(PORT,)))
        host.up("db", on("lan", publish=(tcp(8090),)))
        Path(CLAIMS).write_text("garbage")
        host.stop("web")
        with pytest.raises(OcinetError, match="can't be read"):
            host.up("new", on("lan", publish=(tcp(8100),)))

        found = host.gc()

        assert ("port", "tcp-8064-8191") in found
        assert host.gc() == []
        published = run("nft list map inet ocinet publish4")
        assert "8080" not in published
        assert "8090" in published
        assert [row["first"] for row in json.loads(Path(CLAIMS).read_text())] == [8090]
        assert Path(f"{PATHS.run}/ports/.corrupt-tcp-8064-8191").read_text() == "garbage"
        host.attach(host.container("new", host.sleepers["new"].pid), on("lan", publish=(PORT,)))


@in_namespaces
def test_detach_that_can_not_open_a_file_can_be_repeated() -> None:
    """Without descriptors nothing is judged: neither a lease set aside, nor a port left open."""
    with WiredHost() as host:
        host.up("web", on("lan", publish=(PORT,)))
        usual = resource.getrlimit(resource.RLIMIT_NOFILE)
        refused = 0
        for more in range(60):
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest() + more, usual[1]))
            try:
                with host.engine() as engine:
                    engine.detach("web-id")
            except OcinetError:
                refused += 1
            else:
                break
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, usual)
            assert "ipam/lan/corrupt/10.9.0.2" not in records()
        assert refused
        host.sleepers.pop("web").end()  # as long as it runs, its address is kept
        host.gc()
        assert "8080" not in run("nft list map inet ocinet publish4")
        assert not [name for name in records() if name.startswith(("attach", "ipam", "ports"))]


def lowest() -> int:
    """Return the number that the next descriptor would have."""
    descriptor = os.dup(0)
    os.close(descriptor)
    return descriptor


@in_namespaces
def test_without_the_capability_it_is_named_at_once() -> None:
    """nfnetlink answers the first message of several, and nobody waits for the others."""
    words = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
    command = [*words, sys.executable, "-m", "ocinet.cli.main", "network", "create", "lan"]
    environment = {**os.environ, "OCINET_CONFIG_DIR": "/run/test/etc"}
    before = time.monotonic()
    told = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert told.returncode == 1
    assert "CAP_NET_ADMIN is missing" in told.stderr
    assert time.monotonic() - before < 5  # what it takes where answers are waited for


@in_namespaces
def test_sandbox_of_a_dead_container_is_not_opened_by_its_name() -> None:
    """The name shows a process's id, which is another one's by then."""
    with WiredHost() as host:
        host.up("web")
        other = host.start("other").process
        host.sleepers.pop("web").end()
        assert other
        name = Path(f"{PATHS.netns}/web")
        name.unlink()
        name.symlink_to(f"/proc/{other.pid}/ns/net")
        with host.engine() as engine:
            record = engine.containers.find("web")
            engine.records.attachments.put(record.replace(sandbox=""))
            with pytest.raises(NotFoundError, match="no process of web is alive"):
                engine.open_sandbox(engine.containers.find("web"))


@pytest.mark.parametrize("collects", [False, True])
@in_namespaces
def test_address_of_a_living_container_is_not_given_again_once_its_records_are_gone(
    collects: bool,
) -> None:
    """Somebody has removed /run/ocinet; the kernel still knows who has which."""
    with WiredHost() as host:
        host.up("web", on("lan", publish=(PORT,)))
        host.up("db")
        shutil.rmtree(PATHS.run)
        if collects:
            host.gc()

        host.up("new")

        taken = {name: host.addresses(name) for name in ("web", "db", "new")}
        assert len(set(map(tuple, taken.values()))) == 3, taken
        assert host.pings("web", "10.9.0.1")
        host.gc()
        assert host.pings("db", "10.9.0.1")
        assert "8080" in run("nft list map inet ocinet publish4")
        host.sleepers.pop("web").end()
        host.sleepers.pop("db").end()
        host.gc()
        assert [name for name in records() if name.startswith("ipam/lan/10")] == [
            f"ipam/lan/{taken['new'][0].partition('/')[0]}"
        ]
        assert "8080" not in run("nft list map inet ocinet publish4")
