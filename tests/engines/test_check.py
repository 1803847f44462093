"""`ocinet check` on runc and crun containers: what it prints, and what it leaves alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hosts.engine.hooked_runtime import start
from hosts.engine.runtimes import each_runtime
from hosts.lab.machine import LAB_V4

if TYPE_CHECKING:
    from hosts.lab.machine import Lab


@each_runtime
def test_check_tells_by_status_and_json_and_repairs(lab: Lab, runtime: str) -> None:
    """0: all is well; 1: something is not; and after the repair the port answers again."""
    container = start(lab, runtime, "web", "-p", "8080:80")
    container.namespace.serve("tcp", 80)
    assert lab.ocinet("check").stdout == ""
    lab.run("ip", "link", "set", "ocinet0", "down")
    lab.run("nft", "flush", "chain", "inet", "ocinet", "prerouting")
    assert not lab.outside.reaches("tcp", LAB_V4, 8080, timeout_s=0.3)

    told = lab.ocinet("check", "--format", "json", check=False)
    assert told.status == 1
    assert [(each["container"], each["repaired"]) for each in told.json()] == 2 * [("", False)]
    shown = lab.ocinet("check", "web", "--repair").stdout
    assert "the bridge ocinet0 is down" in shown
    assert "chain prerouting has been changed" in shown
    assert lab.outside.ask("tcp", LAB_V4, 8080).server == "web"
    assert lab.ocinet("check").stdout == ""


@each_runtime
def test_check_mends_inside_of_who_cannot_have_changed_it(lab: Lab, runtime: str) -> None:
    """A container without CAP_NET_ADMIN: somebody entered its namespace from the host."""
    container = start(lab, runtime, "web")
    inside = container.namespace
    before = inside.addresses("eth0")
    inside.run("ip", "address", "flush", "dev", "eth0")
    told = lab.ocinet("check", check=False)
    assert told.status == 1
    assert "in the sandbox, eth0 lacks 10.72.0.2/24" in told.stdout
    lab.ocinet("check", "--repair")
    assert inside.addresses("eth0") == before
    assert inside.pings("10.72.0.1")


@each_runtime
def test_reload_of_a_network_puts_right_all_that_is_on_it(lab: Lab, runtime: str) -> None:
    """Of the networks that are named; the table is made anew whatever is in it."""
    lab.make_network("lan", "10.9.0.0/24")
    web = start(lab, runtime, "web", "--net", "lan", "-p", "8080:80")
    other = start(lab, runtime, "other", "-p", "8081:80")
    for container in (web, other):
        container.namespace.serve("tcp", 80)
    [lan] = lab.ocinet("network", "inspect", "lan").json()
    lab.run("nft", "flush", "ruleset")
    lab.run("ip", "link", "del", lan["device"])
    lab.run("ip", "link", "set", "ocinet0", "down")

    told = lab.ocinet("network", "reload", "lan", "--format", "json").json()
    assert [(each["what"], each["repaired"]) for each in told] == [
        (f"the bridge {lan['device']} is gone", True)
    ]
    assert lab.outside.ask("tcp", LAB_V4, 8080).server == "web"
    assert not lab.outside.reaches("tcp", LAB_V4, 8081, timeout_s=0.3)
    assert "the bridge ocinet0 is down" in lab.ocinet("network", "reload").stdout
    assert lab.outside.ask("tcp", LAB_V4, 8081).server == "other"
    assert lab.ocinet("network", "reload").stdout == ""
    assert lab.ocinet("network", "reload", "lam", check=False).status == 3


@each_runtime
def test_gc_names_damage_in_a_dry_run_and_repairs_it_else(lab: Lab, runtime: str) -> None:
    """Beside what it removes."""
    container = start(lab, runtime, "web", "-p", "8080:80")
    container.namespace.serve("tcp", 80)
    lab.run("nft", "flush", "ruleset")
    lab.run("ip", "link", "set", "ocinet0", "down")
    for words, removed in ((("--dry-run",), False), ((), True)):
        told = lab.ocinet("gc", "--json", *words).json()
        assert {(each["kind"], each["name"], each["removed"]) for each in told} == {
            ("damage", "-", removed)
        }
        assert {each["why"] for each in told} == {
            "the table inet ocinet is gone", "the bridge ocinet0 is down"
        }  # fmt: skip
    assert lab.outside.ask("tcp", LAB_V4, 8080).server == "web"
    assert lab.ocinet("gc").stdout == ""
