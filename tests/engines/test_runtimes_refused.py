"""An attach that can't be: the container does not start, and nothing has changed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from hosts.engine.hooked_runtime import (
    host_ends,
    in_sandbox,
    refused,
    register,
    start,
)
from hosts.engine.runtimes import each_runtime
from hosts.lab.machine import OUTSIDE_V4

if TYPE_CHECKING:
    from hosts.lab.machine import Lab

_LAN = "ocinet network create --subnet 10.9.0.0/24 lan"
_TINY = "ocinet network create --subnet 10.7.0.0/30 tiny"
_INNER = "ocinet network create --subnet 10.5.0.0/24 --internal inner"
_DUAL = "ocinet network create --subnet 10.4.0.0/24 --subnet fd00:4::/64 dual"
_SQUATTED = "ocinet network create --subnet 10.3.0.0/24 --bridge squatted squat"
_ADOPTED = (
    "ip link add br9 up type bridge",
    "ip address add 10.6.0.1/24 dev br9",
    "ocinet network create --bridge br9 --unmanaged adopted",
)


@dataclass(frozen=True)
class Wish:
    """A wish that can't be met.

    Attributes:
        words: for `hooks add`.
        told: a pattern of the one line that must tell what is wrong.
        given: commands that make it so.
        first: how a container that runs before is registered; empty: there is none.
    """

    words: str
    told: str
    given: tuple[str, ...] = (_LAN,)
    first: str = ""


WISHES = {
    "unknown network": Wish(
        "--net lam", r"cannot attach web: there is no network lam \(hint: did you mean lan\?\)"
    ),
    "second network unknown": Wish("--net lan --net nowhere", "there is no network nowhere"),
    "pool empty": Wish(
        "--net tiny", r"no address is free on tiny: 10\.7\.0\.0/30 has 1 to give, 1 are held",
        (_TINY,), "--net tiny",
    ),
    "address held": Wish(
        "--net tiny --ip 10.7.0.2", r"10\.7\.0\.2 is held by first", (_TINY,),
        "--net tiny",
    ),
    "address of another subnet": Wish(
        "--net lan --ip 10.7.0.9",
        r"10\.7\.0\.9 is not in network lan \(hint: its subnets are 10\.9\.0\.0/24\)",
    ),
    "gateway's address": Wish("--net lan --ip 10.9.0.1", r"10\.9\.0\.1 is .*gateway"),
    "port of a container": Wish(
        "--net lan -p 8080:80",
        r"the host's port 127\.0\.0\.1:8080/tcp is taken: container first \(first\) has it",
        (_LAN,), "--net lan -p 127.0.0.1:8080:80",
    ),
    "port of another address": Wish(
        f"--net lan -p {OUTSIDE_V4}:80:80", f"{OUTSIDE_V4} is no address of this host"
    ),
    "port of an internal network": Wish(
        "--net inner -p 80:80", "the network inner is internal: no port can be published",
        (_INNER,),
    ),
    "port on a network without IPv6": Wish(
        "--net lan -p [2001:db8:100::1]:80:80", "the container has no IPv6 address"
    ),
    "gateway of another family": Wish("--net lan --gateway fd00::1", "family that network lan"),
    "MTU too small for IPv6": Wish("--net dual --mtu 1000", "1000 is too small for IPv6", (_DUAL,)),
    "adopted bridge down": Wish(
        "--net adopted",
        r"the bridge br9 of network adopted is down \(hint: ip link set br9 up\)",
        (*_ADOPTED, "ip link set br9 down"),
    ),
    "adopted bridge gone": Wish(
        "--net adopted", "the bridge br9 of network adopted is not there",
        (*_ADOPTED, "ip link delete br9"),
    ),
    "bridge's name taken": Wish(
        "--net squat", "squatted is a veth link, no bridge",
        (_SQUATTED, "ip link add squatted type veth peer name squatter"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WISHES)
@each_runtime
def test_start_with_wish_that_cannot_be_met_changes_nothing(
    lab: Lab, runtime: str, case: str
) -> None:
    """One line says what is wrong; kernel and state are as before; the next start works."""
    wish = WISHES[case]
    for command in wish.given:
        first, *words = command.split()
        if first == "ocinet":
            lab.ocinet(*words)
        else:
            lab.run(first, *words)
    if wish.first:
        start(lab, runtime, "first", *wish.first.split())
    bundle = register(lab, "web", *wish.words.split())
    before = lab.snapshot()

    told = refused(lab, runtime, bundle)

    assert re.search(wish.told, told), told
    assert told.startswith("cannot attach web: ")
    lab.assert_unchanged(before)
    for ifname in ("br9", "squatted"):
        lab.run("ip", "link", "delete", ifname, check=False)


@each_runtime
def test_start_with_port_of_listening_process_names_the_process(lab: Lab, runtime: str) -> None:
    """Publishing the port of the admin's own service would lock the admin out."""
    lab.ocinet("network", "create", "--subnet", "10.9.0.0/24", "lan")
    server = lab.serve("tcp", 22)
    bundle = register(lab, "web", "--net", "lan", "-p", "22:22")
    before = lab.snapshot()

    told = refused(lab, runtime, bundle)

    assert "the host's port 22/tcp is taken" in told
    assert f"process {server.pid} (python3" in told
    lab.assert_unchanged(before)
    assert lab.outside.reaches("tcp", "198.51.100.1", 22)


ANNOTATIONS = {
    "typo in a key": (
        {"ocinet.nett": "lan"},
        r"annotation 'ocinet\.nett': there is no such key \(hint: did you mean net\?\)",
    ),
    "bad address": (
        {"ocinet.net": "lan", "ocinet.ip": "10.9.0.256"},
        r"ocinet\.ip: .*10\.9\.0\.256",
    ),
    "bad port": ({"ocinet.publish": "80:http"}, r"ocinet\.publish: .*http"),
    "option unknown": ({"ocinet.net": "lan:ipp=10.9.0.5"}, "did you mean ip or ip6?"),
    "interface twice": ({"ocinet.net": "lan:ifname=e0;dmz:ifname=e0"}, "interface e0 comes twice"),
    "publish with none": (
        {"ocinet.net": "none", "ocinet.publish": "80:80"},
        "ocinet.publish: it does not go with ocinet.net=none",
    ),
    "host in a sandbox of its own": (
        {"ocinet.net": "host"},
        r"a network namespace of its own.* \(hint: ocinet hooks add BUNDLE --net host\)",
    ),
    "nobody's sandbox": ({"ocinet.net": "container:nobody"}, "no container nobody is known"),
}


@pytest.mark.parametrize("case", ANNOTATIONS)
@each_runtime
def test_start_with_bad_annotation_names_it_and_changes_nothing(
    lab: Lab, runtime: str, case: str
) -> None:
    """What was written into `config.json` after `hooks add` is judged at the start."""
    annotations, pattern = ANNOTATIONS[case]
    bundle = register(lab, "web")
    bundle.edit(lambda config: config["annotations"].pop("ocinet.net"))
    bundle.edit(lambda config: config["annotations"].update(annotations))
    before = lab.snapshot()

    told = refused(lab, runtime, bundle)

    assert re.search(pattern, told), told
    lab.assert_unchanged(before)


@each_runtime
def test_start_in_sandbox_with_taken_ifname_changes_nothing(lab: Lab, runtime: str) -> None:
    """The sandbox has an eth0 already: it stays, and the host's end is gone again."""
    box = lab.make_netns("box")
    box.run("ip", "link", "add", "eth0", "type", "bridge")
    lab.ocinet("network", "create", "--subnet", "10.9.0.0/24", "lan")
    bundle = register(lab, "web", "--net", "lan")
    in_sandbox(bundle, "/run/netns/box")
    before = lab.snapshot()

    told = refused(lab, runtime, bundle)

    assert "the sandbox has an interface eth0 already" in told
    lab.assert_unchanged(before)
    assert box.links()["eth0"]["linkinfo"]["info_kind"] == "bridge"
    lab.run("ip", "netns", "delete", "box")


@each_runtime
def test_start_with_host_ends_name_taken_changes_nothing(lab: Lab, runtime: str) -> None:
    """A link of somebody else that has our host end's name stays as it is."""
    lab.make_netns("box")
    lab.ocinet("network", "create", "--subnet", "10.9.0.0/24", "lan")
    target = ("netns:/run/netns/box", "--id", "web", "--net", "lan")
    planned = lab.ocinet("plan", *target).stdout
    (name,) = set(re.findall(r"\boc[0-9a-f]{13}\b", planned))
    lab.run("ip", "link", "add", name, "type", "bridge")
    bundle = register(lab, "web", "--net", "lan")
    in_sandbox(bundle, "/run/netns/box")
    before = lab.snapshot()

    told = refused(lab, runtime, bundle)

    assert name in told
    lab.assert_unchanged(before)
    lab.run("ip", "link", "delete", name)
    lab.run("ip", "netns", "delete", "box")


@each_runtime
def test_start_with_broken_settings_tells_file_and_key(lab: Lab, runtime: str) -> None:
    """A typo in the settings stops the start, and names itself."""
    bundle = register(lab, "web")
    lab.run(
        "sh", "-c", "mkdir -p /etc/ocinet; echo 'mange_sysctls = false' >/etc/ocinet/ocinet.toml"
    )
    before = lab.snapshot()

    told = refused(lab, runtime, bundle)

    assert "ocinet.toml" in told
    assert "mange_sysctls" in told
    assert "did you mean manage_sysctls?" in told
    lab.assert_unchanged(before)


@each_runtime
def test_refused_start_is_followed_by_good_one_under_the_same_id(lab: Lab, runtime: str) -> None:
    """Nothing of a refused start is in the way of the next."""
    lab.ocinet("network", "create", "--subnet", "10.9.0.0/24", "lan")
    bad = register(lab, "web", "--net", "lan", "-p", "8080:80", "--net", "nowhere")
    refused(lab, runtime, bad)

    container = start(lab, runtime, "web", "--net", "lan", "-p", "8080:80")

    assert container.namespace.addresses("eth0") == ["10.9.0.2/24"]
    assert len(host_ends(lab)) == 1
    done = [event["event"] for event in lab.all_events() if event["event"] != "host changed"]
    assert done == ["attach failed", "attached"]
