"""Clocks that are set, or differ, and a /run that outlived a boot: nobody alive loses anything."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from builders import on, tcp
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.keeping import ENVIRONMENT, Keeping
from hosts.namespace.looks import ip_json, run
from hosts.namespace.wired_host import PATHS, WiredHost, snapshot
from hosts.waiting import wait_until

WEB = on("lan", publish=(tcp(8080),))
DAY_S, HOUR_S = 86400, 3600
JUMPS_S = (-DAY_S, -HOUR_S, HOUR_S, DAY_S)


def ocinet(*words: str, since_boot_s: int = 0) -> str:
    """Run the command where the clocks that count from the boot say so much more."""
    shift = ("--boottime", str(since_boot_s), "--monotonic", str(since_boot_s))
    other = ("unshare", "--time", *shift, "--fork") if since_boot_s else ()
    done = subprocess.run([*other, sys.executable, "-m", "ocinet.cli.main", *words],
                          env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("since_boot_s", [-60, DAY_S])
@in_namespaces
def test_command_in_a_time_namespace_knows_who_lives(since_boot_s: int) -> None:
    """/proc tells the start of each process by another clock there: gc took everybody for dead."""
    with WiredHost() as host:
        record = host.up("web", WEB)
        before = snapshot()
        assert ocinet("gc", "--format=json", since_boot_s=since_boot_s) == "[]\n"
        assert "web" in ocinet("ps", since_boot_s=since_boot_s)
        ocinet("check", since_boot_s=since_boot_s)
        assert snapshot() == before
        # And the other way round: what is attached there is known to live here.
        words = (f"pid:{host.start('db').process.pid}", "--id=db-id", "--name=db", "--net=lan")  # type: ignore[union-attr]
        ocinet("attach", *words, since_boot_s=since_boot_s)
        assert host.gc() == []
        assert host.pings("db", str(record.endpoints[0].addresses[0].address))


def _shift_times(by: timedelta) -> int:
    """Have all on record have been written so much later; return how many times there are."""
    count = 0

    def shifted(value: object, key: str = "") -> object:
        nonlocal count
        if isinstance(value, dict):
            return {name: shifted(part, name) for name, part in value.items()}
        if isinstance(value, list):
            return [shifted(part) for part in value]
        if key == "time" and isinstance(value, str):
            count += 1
            return (datetime.fromisoformat(value) + by).isoformat().replace("+00:00", "Z")
        return value

    for path in [*Path(PATHS.run).rglob("*"), *Path(PATHS.config).rglob("*.json")]:
        if path.is_file() and not path.is_symlink() and path.parent.name not in ("locks", "pids"):
            lines = path.read_text().splitlines()  # of the log; else it is one
            if lines and lines[0][:1] == "{":
                path.write_text("\n".join(json.dumps(shifted(json.loads(line))) for line in lines))
    return count


@pytest.mark.parametrize("by_s", JUMPS_S)
@in_namespaces
def test_time_of_day_that_is_set_changes_nothing_but_ages(by_s: int) -> None:
    """Attach, detach, gc, check and the watcher, with records that are of another time."""
    with WiredHost() as host:
        web = host.start("web")
        record = host.attach(web, WEB)
        host.up("dead")
        Path(f"{PATHS.run}/ipam/lan/10.9.0.9").write_text("no lease")
        host.gc()
        host.sleepers.pop("dead").end()
        assert _shift_times(timedelta(seconds=-by_s)) > 5  # as where the clock is set by that
        assert host.attach(web, WEB) == host.attach(web, WEB)
        assert host.gc(dry_run=True) == host.gc() == [("attachment", "dead-id")]
        assert host.gc() == []
        other = host.up("other", on("lan"))
        held = {record.endpoints[0].addresses[0], other.endpoints[0].addresses[0]}
        assert len(held) == 2
        age = next(line for line in ocinet("ps").splitlines() if " web " in line).split()[-1]
        assert age == {DAY_S: "1d", HOUR_S: "1h"}.get(by_s, "0s")
        quarantined = json.loads(ocinet("ipam", "list", "--format=json"))
        assert "10.9.0.9" in json.dumps(quarantined)
        with Keeping() as keeping:
            run("nft flush ruleset")
            wait_until(lambda: keeping.told("repaired"), "it is repaired", timeout_s=4)
        assert host.poststop("web") is False, "it lives"
        assert host.stop("web")
        assert host.stop("other")


def _as_of_another_boot(processes: dict[int, int]) -> None:
    """Give what is in /run another boot's id, and processes that others have by now."""
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    for path in Path(PATHS.run).rglob("*"):
        if path.is_file() and not path.is_symlink() and path.parent.name != "locks":
            text = path.read_text().replace(boot_id, "11111111-2222-3333-4444-555555555555")
            for before, after in processes.items():
                text = text.replace(f'"pid": {before}', f'"pid": {after}')
            path.write_text(text)


@pytest.mark.parametrize("first", ["attach", "gc", "watcher"])
@in_namespaces
def test_run_directory_of_an_earlier_boot_is_the_deads(first: str) -> None:
    """Their addresses and ports are given anew, and what the live host has by those names stays."""
    with WiredHost() as host:
        record = host.up("web", WEB)
        end = host.up("db", on("lan", "dmz")).endpoints[0].host_ifname
        old = {sleeper.pid: os.getpid() for sleeper in host.sleepers.values()}
        shutil.copytree(PATHS.run, "/run/kept", symlinks=True)
        for name in ("web", "db"):
            host.stop(name)
        for link in ip_json("link show type bridge"):
            run(f"ip link del {link['ifname']}")
        run("nft flush ruleset")
        shutil.rmtree(PATHS.run)
        shutil.copytree("/run/kept", PATHS.run, symlinks=True)
        Path("/proc/sys/net/ipv4/ip_forward").write_text("0")
        _as_of_another_boot(old)  # pids are somebody else's by now: of one that lives
        # Somebody's own, by the names that are on record.
        run(f"ip link add {end} type bridge")
        os.symlink("/proc/1/ns/net", f"{PATHS.netns}/db")

        if first == "attach":
            now = host.up("web", WEB)
        elif first == "gc":
            assert ("attachment", "web-id") in host.gc()
            now = host.up("web", WEB)
        else:
            with Keeping():
                now = host.up("web", WEB)
        assert now.boot_id == record.boot_id
        host.up("new", on("lan", "dmz", publish=(tcp(8081),)))
        host.gc()
        assert host.gc() == []
        assert host.pings("web", "10.9.0.1")
        assert "8080" in run("nft list map inet ocinet publish4")
        assert end in [link["ifname"] for link in ip_json("link show type bridge")]
        assert os.readlink(f"{PATHS.netns}/db") == "/proc/1/ns/net"
        with host.engine() as engine:
            assert {each.container.name for each in engine.containers.all()} == {"web", "new"}
            assert engine.check() == ()
