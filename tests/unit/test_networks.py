"""The store of networks: what is kept, how it is chosen once, and its JSON form."""

from __future__ import annotations

import json
import os
import stat
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import network, span, subnets
from ocinet.base.address import Address, Subnet
from ocinet.base.clock import Deadline
from ocinet.base.errors import BusyError, ConflictError, NotFoundError, RequestError, SystemFailure
from ocinet.base.lock import Lock
from ocinet.base.paths import Paths
from ocinet.engine.create_network import CreateNetwork
from ocinet.engine.locks import Locks
from ocinet.engine.model.network import Network
from ocinet.engine.model.settings import Settings
from ocinet.engine.plan.new_network import Device, NetworkOptions, Surroundings, define
from ocinet.engine.records.networks import NetworkStore, decode, encode

if TYPE_CHECKING:
    from pathlib import Path

    from ocinet.engine.model.cable import Cable

LAN = network()


class FakeHost:
    """A host with the routes and links that a test gives it."""

    cables: tuple[Cable, ...] = ()

    def __init__(self, *occupied: str, routed: tuple[str, ...] = (), **devices: Device) -> None:
        self._occupied = subnets(*occupied)
        self._routed = subnets(*routed)
        self._devices = devices

    def occupied(self) -> tuple[Subnet, ...]:
        """Return what it has."""
        return self._occupied

    def linked(self) -> tuple[Cable, ...]:
        """Return those that were given."""
        return self.cables

    def routed(self) -> tuple[Subnet, ...]:
        """Return the routes."""
        return self._routed

    def device(self, ifname: str) -> Device | None:
        """Return a link."""
        return self._devices.get(ifname)

    def parent(self, ifname: str) -> Device | None:
        """Return a link."""
        return self._devices.get(ifname)

    def uplink(self) -> str:
        """Return that there is none."""
        return ""


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Return directories of our own."""
    return Paths(config=f"{tmp_path}/etc", state=f"{tmp_path}/var", run=f"{tmp_path}/run")


@pytest.fixture
def store(paths: Paths) -> NetworkStore:
    """Return an empty store."""
    return NetworkStore(paths)


def creation(
    paths: Paths, *occupied: str, settings: Settings | None = None, timeout_s: float = 5
) -> CreateNetwork:
    """Return what creates networks on a host that has these subnets."""
    lock = Locks(paths.run, Deadline(timeout_s)).shared("the networks")
    host, settings = FakeHost(*occupied), settings or Settings()
    return CreateNetwork(NetworkStore(paths), host, settings, lock, ignore, ignore)


def ignore(_told: str) -> None:
    """Mind neither warnings nor names."""


def test_get_returns_what_was_added(store: NetworkStore) -> None:
    """A network comes back as it was kept."""
    store.add(LAN)
    assert store.get("lan") == LAN
    assert store.names() == ("lan",)
    assert store.all() == (LAN,)


def test_add_of_a_name_that_is_taken_changes_nothing(store: NetworkStore) -> None:
    """The first one stays."""
    store.add(LAN)
    with pytest.raises(ConflictError, match="there is a network lan already"):
        store.add(LAN.replace(device="other"))
    assert store.get("lan") == LAN


def test_remove_tells_whether_it_was_there(store: NetworkStore) -> None:
    """Not there is no error."""
    store.add(LAN)
    assert store.remove("lan")
    assert not store.remove("lan")
    assert store.all() == ()


def test_get_of_an_unknown_network_tells_the_nearest(store: NetworkStore) -> None:
    """A typo is answered with the name that was meant, the default's among them."""
    store.add(LAN)
    for typo, meant in (("lann", "lan"), ("brigde", "bridge")):
        with pytest.raises(NotFoundError) as caught:
            store.get(typo)
        assert caught.value.why == f"there is no network {typo}"
        assert caught.value.hint == f"did you mean {meant}?"


def test_get_of_an_unknown_network_tells_how_to_make_it(store: NetworkStore) -> None:
    """A name like no other is answered with the command."""
    with pytest.raises(NotFoundError) as caught:
        store.get("dmz")
    assert caught.value.hint == "make it with: ocinet network create dmz"


@pytest.mark.parametrize("name", ["../lan", "LAN", "", "host", "a/b"])
def test_store_refuses_names_that_are_no_names(store: NetworkStore, name: str) -> None:
    """No name becomes a path before it is checked."""
    for act in (store.get, store.find, store.remove):
        with pytest.raises(RequestError):
            act(name)
    with pytest.raises(RequestError):
        store.add(LAN.replace(name=name))


def test_default_network_is_defined_once(paths: Paths) -> None:
    """`bridge` appears when it is first wired to, clear of the host, and stays the same."""
    first = creation(paths, "10.72.0.0/24").default()
    assert (first.name, first.device) == ("bridge", "ocinet0")
    assert first.pools[0].subnet == Subnet.parse("10.72.1.0/24")
    assert first.created.endswith("Z")
    assert creation(paths, "10.72.1.0/24").default() == first
    assert NetworkStore(paths).get("bridge") == first


def test_looking_for_the_default_network_defines_nothing(store: NetworkStore) -> None:
    """Whoever asks for it by name is told how it comes to be."""
    assert store.find("bridge") is None
    with pytest.raises(NotFoundError) as caught:
        store.get("bridge")
    assert caught.value.why == "the network bridge is not defined yet"
    assert "ocinet network create bridge" in caught.value.hint
    assert store.names() == ()


def test_define_default_by_many_at_once_defines_one(paths: Paths) -> None:
    """Whoever comes later gets what the first one chose."""
    found: list[Network] = []

    def ask(number: int) -> None:
        found.append(creation(paths, f"10.72.{number}.0/24").default())

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_create_by_many_at_once_gives_each_its_own_subnet(paths: Paths) -> None:
    """Choosing and keeping are one act under the lock."""

    def make(number: int) -> None:
        creation(paths).create(f"n{number}", NetworkOptions())

    threads = [threading.Thread(target=make, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    networks = NetworkStore(paths).all()
    assert len({network.pools[0].subnet for network in networks}) == 8


def test_create_waits_for_the_lock_no_longer_than_its_operation(paths: Paths) -> None:
    """A held lock ends in an error that names it."""
    with (
        Lock(f"{paths.run}/locks/global", "test", None),
        pytest.raises(BusyError, match=r"the networks.*0\.05 s"),
    ):
        creation(paths, timeout_s=0.05).create("lan", NetworkOptions())
    assert NetworkStore(paths).names() == ()


def test_create_with_ignore_returns_the_one_that_is_there(
    store: NetworkStore, paths: Paths
) -> None:
    """--ignore: whatever the flags say, the network stays as it is."""
    store.add(LAN)
    wished = NetworkOptions(subnets=subnets("10.50.0.0/24"))
    assert creation(paths).create("lan", wished, ignore=True) == LAN
    with pytest.raises(ConflictError):
        creation(paths).create("lan", wished)


def test_create_takes_ipv6_from_the_machines_own_prefix(paths: Paths) -> None:
    """The unique local /48 is the same on each call, and its subnets differ."""
    dual = creation(paths, settings=Settings(ipv6=True))
    first = dual.create("a", NetworkOptions()).pools[1].subnet
    second = dual.create("b", NetworkOptions()).pools[1].subnet
    assert first != second
    assert first.prefixlen == second.prefixlen == 64
    assert first.overlaps(Subnet.parse("fd00::/8"))
    if os.path.exists("/etc/machine-id"):
        assert first.value >> 80 == second.value >> 80


def test_store_files_are_for_root_alone(store: NetworkStore, paths: Paths) -> None:
    """Nobody else may write a definition, nor the directory."""
    store.add(LAN)
    directory = os.stat(f"{paths.config}/networks")
    assert stat.S_IMODE(directory.st_mode) == 0o700
    assert stat.S_IMODE(os.stat(f"{paths.config}/networks/lan.json").st_mode) == 0o600


def test_store_refuses_a_directory_that_others_may_write(store: NetworkStore, paths: Paths) -> None:
    """Who can write a definition can have a bridge adopted."""
    store.add(LAN)
    os.chmod(f"{paths.config}/networks", 0o777)  # noqa: S103  # that is the test
    with pytest.raises(SystemFailure, match="others may write to it"):
        store.all()


def test_store_refuses_a_definition_that_others_may_write(
    store: NetworkStore, paths: Paths
) -> None:
    """The file counts as its directory does."""
    store.add(LAN)
    path = f"{paths.config}/networks/lan.json"
    os.chmod(path, 0o666)  # noqa: S103  # that is the test
    with pytest.raises(SystemFailure, match=f"cannot trust {path}: owner .*, mode 666") as raised:
        store.get("lan")
    assert f"chmod go-w {path}" in raised.value.hint


GOOD = encode(LAN)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"name": "dmz"}, "it says that it is 'dmz'"),
        ({"device": "../eth0"}, "'../eth0' is no interface name"),
        ({"speed": 1}, "unknown key 'speed'"),
        ({"internal": "no"}, "internal is neither true nor false"),
        ({"mtu": "1500"}, "mtu is no number"),
        ({"mtu": True}, "mtu is no number"),
        ({"egress": "198.51.100.9"}, "egress is no list"),
        ({"egress": ["x"]}, "egress: 'x' is no IP address"),
        ({"pools": [{**GOOD["pools"][0], "gateway": "10.8.0.1"}]}, "10.8.0.1 is not in"),
        ({"pools": [{**GOOD["pools"][0], "subnet": "10.9.0.1/24"}]}, "host bits"),
        ({"pools": [{"subnet": "10.9.0.0/24"}]}, "pools: it has no gateway"),
        ({"pools": 5}, "pools is no list"),
        ({"labels": []}, "labels is no JSON object"),
        ({"pools": [5]}, "pools holds what is no JSON object"),
        ({"created": None}, "created is no text"),
    ],
)
def test_decode_of_a_damaged_file_names_it(change: dict[str, Any], why: str) -> None:
    """A file that was edited wrongly is named, with what is wrong in it."""
    data = json.dumps({**GOOD, **change}).encode()
    with pytest.raises(SystemFailure) as caught:
        decode("lan", data, "/etc/ocinet/networks/lan.json")
    assert "/etc/ocinet/networks/lan.json" in caught.value.why
    assert why in caught.value.why


def test_decode_of_a_file_from_before_egress_addresses() -> None:
    """It has none, and stays readable by the version that wrote it."""
    earlier = (
        '{"name": "lan", "device": "br-lan", "managed": true, "internal": false, '
        '"masquerade": true, "mtu": 0, "labels": {}, "created": "2025-01-31T12:00:00.000Z", '
        '"pools": [{"subnet": "10.9.0.0/24", "gateway": "10.9.0.1", "ranges": []}]}'
    )
    network = decode("lan", earlier.encode(), "lan.json")
    assert network == LAN.replace(pools=network.pools, created=network.created, labels=())
    assert network.egress == ()
    assert encode(network) == json.loads(earlier)
    # One with such an address is refused by that version, by the key: it would let packets
    # leave with another one.
    address = Address.parse("198.51.100.9")
    later = encode(network.replace(egress=(address,)))
    assert set(later) - set(json.loads(earlier)) == {"egress"}
    assert decode("lan", json.dumps(later).encode(), "lan.json").egress == (address,)


def test_decode_of_what_goes_unmasked_by_which_links_and_why_it_is_closed() -> None:
    """All three are left out by default, and read back as they were."""
    far = LAN.replace(unmasked=subnets("10.42.0.0/16"), joined=("ocx-42",), closed="it moves")
    written = encode(far)
    assert set(written) - set(encode(LAN)) == {"unmasked", "joined", "closed"}
    assert decode("lan", json.dumps(written).encode(), "lan.json") == far
    written["joined"] = ["../eth0"]
    with pytest.raises(SystemFailure, match="eth0"):
        decode("lan", json.dumps(written).encode(), "lan.json")


def test_add_anew_takes_the_place_of_a_definition(store: NetworkStore) -> None:
    """Which is an error otherwise."""
    store.add(LAN)
    with pytest.raises(ConflictError):
        store.add(LAN.replace(closed="it moves"))
    store.add(LAN.replace(closed="it moves"), anew=True)
    assert store.get("lan").closed == "it moves"


def test_all_with_a_damaged_file_fails(store: NetworkStore, paths: Paths) -> None:
    """A network that can't be read is not left out: its subnet could be given again."""
    store.add(LAN)
    with open(f"{paths.config}/networks/dmz.json", "w", encoding="utf-8") as file:
        file.write("{}")
    with pytest.raises(SystemFailure, match=r"dmz\.json"):
        store.all()
    with pytest.raises(SystemFailure, match=r"dmz\.json"):
        creation(paths).create("other", NetworkOptions())


def test_readable_and_unreadable_part_the_networks(store: NetworkStore, paths: Paths) -> None:
    """One damaged file hides no other; it is told, and nothing writes over it."""
    store.add(LAN)
    path = f"{paths.config}/networks/dmz.json"
    with open(path, "w", encoding="utf-8") as file:
        file.write("{}")
    os.symlink(path, f"{paths.config}/networks/link.json")
    assert store.readable() == (LAN,)
    [(first, why), (second, _)] = store.unreadable()
    assert (first, second) == ("dmz", "link")
    assert path in why
    for act in (store.get, store.find):
        with pytest.raises(SystemFailure, match=r"dmz\.json"):
            act("dmz")
    with pytest.raises(ConflictError):
        store.add(LAN.replace(name="dmz"))
    with open(path, encoding="utf-8") as file:
        assert file.read() == "{}"


def test_encode_is_the_documented_example() -> None:
    """The JSON form is a promise: keys and values as the docstring shows them."""
    text = (encode.__doc__ or "").partition("::")[2]
    example = json.loads(text)
    network = decode(example["name"], text.encode(), "the docstring")
    assert encode(network) == example
    assert network.pools[0].ranges == (span("10.9.0.128", "10.9.0.255"),)


SUBNETS = [
    subnets("10.9.0.0/24"),
    subnets("fd00:9::/64"),
    subnets("10.9.0.0/31"),
    subnets("10.9.0.0/24", "10.10.0.0/16", "fd00:9::/64"),
    (),
]


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Draw definitions as they can come to be."""
    labels = st.dictionaries(st.text(max_size=9), st.text(max_size=9))
    wished = NetworkOptions(
        subnets=draw(st.sampled_from(SUBNETS)),
        internal=draw(st.booleans()),
        mtu=draw(st.sampled_from([0, 1500, 9000])),
        masquerade=draw(st.sampled_from([None, True, False])),
        labels=tuple(draw(labels).items()),
    )
    return define("lan", wished, Surroundings()).replace(created="2025-01-31T12:00:00.000Z")


@given(network=networks())
def test_decode_gives_back_what_encode_took(network: Network) -> None:
    """Nothing is lost on the way through the file."""
    assert decode("lan", json.dumps(encode(network)).encode(), "x") == network


def test_create_within_a_route_says_what_is_not_reached(paths: Paths) -> None:
    """A VPN keeps its route, but for the /24: told by the network, the subnet and the route."""
    lock = Locks(paths.run, Deadline(5)).shared("the networks")
    told: list[str] = []
    host = FakeHost(routed=("0.0.0.0/1", "10.0.0.0/8", "10.64.0.0/10"))
    create = CreateNetwork(NetworkStore(paths), host, Settings(), lock, told.append, ignore)

    create.create("clear", NetworkOptions())
    assert told == []
    create.create("lan", NetworkOptions(subnets=subnets("10.70.0.0/24")))
    (warning,) = told
    assert warning.startswith("10.70.0.0/24 of network lan lies within 10.64.0.0/10")
