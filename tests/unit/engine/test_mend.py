"""What others have changed since an attach, on a host in memory: seen, and put right."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from builders import network, on, tcp
from fakes.world import World, check
from ocinet.base.address import Address
from ocinet.base.errors import KernelError, NotFoundError, OcinetError
from ocinet.engine.plan.repair_kinds import KINDS, OTHER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fakes.namespace import FakeLink
    from ocinet.engine.model.attachment import Container

DEVICE = "br-lan"
PORTS = (tcp(8080), tcp(8081).replace(host_address=Address.parse("127.0.0.1")))
REQUEST = on("lan", publish=PORTS)


@pytest.fixture
def world() -> Iterator[World]:
    """Return a host with a network of both families."""
    with World(network("lan", "10.9.0.0/24", "fd00:9::/64"), network("dmz", "10.8.0.0/24")) as made:
        made.host.add_bridge("other")
        yield made


def _link(world: World, ifname: str) -> FakeLink:
    return world.host.namespace.links[ifname]


def _host_end(world: World) -> FakeLink:
    record = world.attachments.get("web-id")
    assert record
    return _link(world, record.endpoints[0].host_ifname)


def _eth0(world: World) -> FakeLink:
    peer = _host_end(world).peer
    assert peer
    return peer


def delete_bridge(world: World) -> None:
    """As `ip link del` does."""
    world.host.delete_link(DEVICE)


def set_bridge_down(world: World) -> None:
    """As a link manager that does not know it."""
    world.host.set_down(DEVICE)


def flush_bridge(world: World) -> None:
    """As networkd with a catch-all .network file."""
    _link(world, DEVICE).addresses.clear()


def set_host_end_down(world: World) -> None:
    """It stays a port."""
    _host_end(world).up = False


def take_host_end_off(world: World) -> None:
    """It stays up."""
    _host_end(world).master = None


def move_host_end(world: World) -> None:
    """Have it be a port of another bridge."""
    _host_end(world).master = _link(world, "other")


def delete_host_end(world: World) -> None:
    """Its other end goes with it."""
    world.host.namespace.remove(_host_end(world))


def flush_inside(world: World) -> None:
    """As Docker does to IPv6, and what entered the sandbox."""
    _eth0(world).addresses.clear()


def set_inside_down(world: World) -> None:
    """The routes go with it."""
    _eth0(world).up = False


def set_loopback_down(world: World) -> None:
    """Of the sandbox."""
    _eth0(world).namespace.links["lo"].up = False


def drop_inside_routes(world: World) -> None:
    """All that were set."""
    _eth0(world).namespace.routes.clear()


def stop_forwarding(world: World) -> None:
    """As `sysctl --system` may."""
    world.host.namespace.sysctls["net/ipv4/ip_forward"] = "0"


def stop_forwarding_6(world: World) -> None:
    """Of IPv6 alone."""
    world.host.namespace.sysctls["net/ipv6/conf/all/forwarding"] = "0"


def close_loopback(world: World) -> None:
    """A port at 127.0.0.1 is not reached then."""
    world.host.namespace.sysctls[f"net/ipv4/conf/{DEVICE}/route_localnet"] = "0"


def take_advertisements(world: World) -> None:
    """A container could give the host a route then."""
    world.host.namespace.sysctls[f"net/ipv6/conf/{DEVICE}/accept_ra"] = "1"


def shrink_bridge(world: World) -> None:
    """As a link manager that knows better."""
    _link(world, DEVICE).mtu = 1280


def shrink_host_end(world: World) -> None:
    """What the container sends is larger."""
    _host_end(world).mtu = 1280


def shrink_inside(world: World) -> None:
    """From the host, by who entered its namespace."""
    _eth0(world).mtu = 1280


def change_mac_inside(world: World) -> None:
    """Likewise; its port's guard drops all that it sends then."""
    _eth0(world).mac = "02:fc:00:00:00:01"


def drop_hairpin(world: World) -> None:
    """Its own port is not reached then, where bridged packets pass the firewall."""
    _host_end(world).hairpin = False


def drop_name(world: World) -> None:
    """As `ip netns del` does."""
    world.host.names_taken.clear()


def drop_table(world: World) -> None:
    """As `nft flush ruleset` does."""
    world.host.drop_table()


def change_rules(world: World) -> None:
    """As `nft insert rule` does, into a chain of ours."""
    world.host.firewall.change_rules()


def delete_port(world: World) -> None:
    """One element of our table."""
    record = world.attachments.get("web-id")
    assert record
    world.host.firewall.close(record.ports[:1])


FAULTS = (
    delete_bridge, set_bridge_down, flush_bridge, set_host_end_down, take_host_end_off,
    move_host_end, delete_host_end, flush_inside, set_inside_down, set_loopback_down,
    drop_inside_routes, stop_forwarding, stop_forwarding_6, close_loopback, drop_table, delete_port,
    shrink_bridge, shrink_host_end, shrink_inside, change_mac_inside, drop_hairpin,
    drop_name, take_advertisements,
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_attach_again_puts_right_what_others_changed(
    world: World, fault: Callable[[World], None]
) -> None:
    """With the addresses and ports of before; and a third one finds nothing to do."""
    web = world.up("web", REQUEST)
    assert world.host.names_taken
    before, wired, routes = world.attachments.get("web-id"), world.state(), _inside(world)
    fault(world)
    assert (world.state(), _inside(world)) != (wired, routes)
    after = world.attach(web, REQUEST)
    assert before
    assert (after.endpoints[0].addresses, after.ports) == (
        before.endpoints[0].addresses,
        before.ports,
    )
    _check(world)
    again = world.state()
    assert {**again, "records": ()} == {**wired, "records": ()}
    (repaired,) = world.told("repaired")
    assert set(repaired["kinds"]) <= {*KINDS} - {OTHER}  # type: ignore[call-overload]
    done = len(world.trace.acts)
    assert world.attach(web, REQUEST) == after
    assert world.trace.acts[done:] == []
    assert len(world.told("repaired")) == 1


def _inside(world: World) -> object:
    record = world.attachments.get("web-id")
    assert record
    assert record.container.process
    space = world.host.processes.home(record.container.process)
    assert space
    links = [
        (name, link.up, link.mtu, link.mac if name == "eth0" else "", list(link.addresses))
        for name, link in space.links.items()
    ]
    return links, [(link.ifname, route) for link, route in space.routes]


def _check(world: World) -> None:
    """Assert what an attach promises, in the kernel."""
    check(world)
    record = world.attachments.get("web-id")
    assert record
    [endpoint] = record.endpoints
    host_end, eth0 = _host_end(world), _eth0(world)
    assert (host_end.hairpin, host_end.ifindex) == (True, endpoint.host_ifindex)
    assert (eth0.up, eth0.namespace.links["lo"].up, eth0.mac) == (True, True, endpoint.mac)
    assert set(endpoint.routes) <= set(eth0.namespace.routes_of(eth0))
    bridge = _link(world, DEVICE)
    assert bridge.up
    assert {"10.9.0.1/24", "fd00:9::1/64"} <= set(map(str, bridge.addresses))
    sysctls = world.host.namespace.sysctls
    assert sysctls["net/ipv4/ip_forward"] == "10"
    assert sysctls["net/ipv6/conf/all/forwarding"] == "10"
    assert sysctls[f"net/ipv4/conf/{DEVICE}/route_localnet"] == "2"


def test_all_at_once_is_put_right_in_one_go(world: World) -> None:
    """Whatever depends on whatever else."""
    web = world.up("web", REQUEST)
    for fault in (flush_inside, take_host_end_off, delete_bridge, stop_forwarding, drop_table):
        fault(world)
    world.attach(web, REQUEST)
    _check(world)


@pytest.mark.parametrize("fault", [delete_bridge, drop_table, change_rules])
def test_next_attach_on_the_network_mends_it_for_all(
    world: World, fault: Callable[[World], None]
) -> None:
    """The bridge is made anew, and whoever was on it is on it again, with its flags."""
    web = world.up("web", REQUEST)
    world.up("other", on("lan", "dmz"))
    fault(world)
    world.up("third", on("lan"))
    _check(world)
    assert not world.told("repair failed")
    world.attach(web, REQUEST)
    assert not [told for told in world.told("repaired") if told.get("container") == "third-id"]


def test_port_that_cannot_follow_does_not_fail_who_comes(world: World) -> None:
    """It is told; its own attach has another go."""
    web = world.up("web", REQUEST)
    delete_bridge(world)
    third = world.start("third")
    join, refuse = world.host.links.set_port, KernelError("cannot connect", "no", errno=1)

    def fail(ifname: str, **_how: object) -> None:
        del ifname
        raise refuse

    world.host.links.set_port = fail  # type: ignore[method-assign]
    world.attach(third, on("lan"))
    assert [told["container"] for told in world.told("repair failed")] == ["web-id"]
    world.host.links.set_port = join  # type: ignore[method-assign]
    world.attach(web, REQUEST)
    _check(world)


def test_attach_at_work_is_not_put_right_by_another() -> None:
    """Wherever it is: its host end stays down until its own attach has guarded it."""
    for number in itertools.count():
        with World() as world:
            web = world.start("web")
            world.trace.fail_at(number, SystemExit())  # leaves all as it is, as a kill does
            try:
                world.attach(web, on("lan"))
            except SystemExit:
                pass
            else:
                break
            if DEVICE in world.host.namespace.links:
                delete_bridge(world)
            world.up("third", on("lan"))
            assert not world.told("repaired"), number
            world.attach(web, on("lan"))
            check(world)
    assert number > 8, "it was never stopped"


def test_attach_that_ends_beside_another_is_not_put_right_by_that_one(world: World) -> None:
    """Its host end was listed while it was down, and its record read once it was complete.

    Fifty started at once, and several took the bridge for gone that the first had just made.
    """
    web = world.up("web", on("lan"))
    attached = world.attachments.get("web-id")
    assert attached
    delete_bridge(world)
    world.attachments.put(attached.replace(state="attaching", done_endpoints=0))
    set_host_end_down(world)
    looks: list[str] = []

    def end_between(name: str) -> None:
        if name not in ("links.links", "attachments.all"):
            return
        looks.append(name)
        if len(looks) == 2:
            world.trace.before = lambda _name: None
            world.attachments.put(attached)
            _host_end(world).up = True

    world.trace.before = end_between
    world.up("third", on("lan"))
    assert len(looks) == 2
    told = [event["what"] for event in world.told("repaired") if event["container"] == "web-id"]
    assert not told
    world.attach(web, on("lan"))
    check(world)


def test_what_cannot_be_put_right_is_an_error(world: World) -> None:
    """What it was, and why."""
    web = world.up("web", REQUEST)
    set_host_end_down(world)
    world.trace.fail_at(0)
    with pytest.raises(
        OcinetError, match=r"cannot put right that oc.*, the host end of eth0, is down"
    ):
        world.attach(web, REQUEST)
    assert world.told("attach failed")
    world.attach(web, REQUEST)
    _check(world)


def test_adopted_bridge_that_is_gone_is_its_owners_to_bring_back(world: World) -> None:
    """We make none in its place."""
    world.networks.add(network("dock", "172.17.0.0/16", device="docker0", managed=False))
    world.host.add_bridge("docker0")
    web: Container = world.up("web", on("dock"))
    world.host.delete_link("docker0")
    with pytest.raises(NotFoundError, match="docker0"):
        world.attach(web, on("dock"))


def test_repair_in_settings_that_forbid_sysctls_only_tells(world: World) -> None:
    """A command in the warning; nothing is written, and the attach stands."""
    del world
    from ocinet.engine.model.settings import Settings

    with World(settings=Settings(manage_sysctls=False)) as made:
        web = made.up("web", on("lan"))
        stop_forwarding(made)
        made.attach(web, on("lan"))
        assert made.host.namespace.sysctls["net/ipv4/ip_forward"] == "0"
