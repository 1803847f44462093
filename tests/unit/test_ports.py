"""Claims of host ports: who has which, and who listens."""

from __future__ import annotations

import json
import os
import posix
import resource
import socket
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocinet.base.address import Address
from ocinet.base.clock import Deadline
from ocinet.base.errors import (
    BusyError,
    ConflictError,
    ExhaustedError,
    RequestError,
    SystemFailure,
)
from ocinet.base.lock import Lock
from ocinet.base.paths import Paths
from ocinet.engine.kernel.listeners import ListeningSockets
from ocinet.engine.model.endpoint import PortRule
from ocinet.engine.model.request import Publish
from ocinet.engine.records.free_port import (
    candidates,
    ephemeral_range,
    parse_ranges,
    reserved_ports,
)
from ocinet.engine.records.port_claim import PortClaim, file_of
from ocinet.engine.records.port_claims import PortClaims

if TYPE_CHECKING:
    from pathlib import Path

WEB, DB = "a" * 64, "b" * 64
INSIDE = {4: Address.parse("10.9.0.5"), 6: Address.parse("fd00::5")}


def publish(text: str, protocol: Any = "tcp") -> Publish:
    """Return a wish written [HOST-ADDRESS/]HOST-PORT."""
    address, slash, port = text.rpartition("/")
    return Publish(protocol, Address.parse(address) if slash else None, int(port), 80)


def rule(text: str, family: int = 4, protocol: Any = "tcp") -> PortRule:
    """Return what such a wish came to in the firewall."""
    wish = publish(text, protocol)
    return PortRule(protocol, wish.host_address, wish.host_port, INSIDE[family], 80)


class World:
    """Claims in a directory of our own, whose host has no sockets but the test's."""

    def __init__(self, root: Path) -> None:
        self.dead: set[str] = set()
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.judged: list[PortClaim] = []
        self.paths = Paths(run=f"{root}/run", state=f"{root}/state")
        self.claims = PortClaims(
            self.paths,
            ListeningSockets(),
            deadline=Deadline(10),
            holder_lives=self._lives,
            report=self._report,
        )

    def _lives(self, claim: PortClaim) -> bool:
        self.judged.append(claim)
        return claim.container not in self.dead

    def _report(self, event: str, **fields: Any) -> None:
        self.events.append((event, fields))

    def get(self, container: str, *texts: str, protocol: Any = "tcp", **more: Any) -> list[int]:
        """Claim ports, and return them."""
        name = {WEB: "web", DB: "db"}.get(container, container)
        wishes = tuple(publish(text, protocol) for text in texts)
        return [rule.host_port for rule in self.claims.claim(container, name, wishes, **more)]

    @property
    def held(self) -> list[str]:
        """What is claimed, and by whom."""
        return [f"{claim} {claim.name}" for claim in self.claims.all()]

    def path(self, name: str) -> str:
        """Return the path of a file of claims."""
        return f"{self.paths.run}/ports/{name}"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return claims of our own."""
    return World(tmp_path)


@pytest.fixture
def port() -> int:
    """Return a port that nobody listens on, of either protocol and family."""
    with (
        socket.socket(socket.AF_INET6) as one,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as two,
    ):
        while True:
            one.bind(("::", 0))
            number: int = one.getsockname()[1]
            two.bind(("::", number))
            return number


# -- containers against each other ---------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "conflict"),
    [
        ("", "", True),
        ("", "127.0.0.1/", True),
        ("127.0.0.1/", "", True),
        ("", "fd00::1/", True),
        ("", "0.0.0.0/", True),
        ("", "::/", True),
        ("0.0.0.0/", "127.0.0.1/", True),
        ("127.0.0.1/", "0.0.0.0/", True),
        ("::/", "fd00::1/", True),
        ("127.0.0.1/", "127.0.0.1/", True),
        ("127.0.0.1/", "127.0.0.2/", False),
        ("0.0.0.0/", "::/", False),
        ("0.0.0.0/", "fd00::1/", False),
        ("::/", "127.0.0.1/", False),
        ("fd00::1/", "fd00::2/", False),
    ],
)
def test_claim_conflicts_where_addresses_overlap(
    world: World, port: int, first: str, second: str, conflict: bool
) -> None:
    """Every address overlaps each, of one family or of both; two addresses do not."""
    world.get(WEB, f"{first}{port}")

    if conflict:
        with pytest.raises(ConflictError, match=r"taken: container web \(aaaaaaaaaaaa\)"):
            world.get(DB, f"{second}{port}")
        assert len(world.held) == 1
    else:
        assert world.get(DB, f"{second}{port}") == [port]
        assert len(world.held) == 2


def test_claim_of_another_protocol_is_no_conflict(world: World, port: int) -> None:
    """TCP, UDP and SCTP each have their own ports."""
    for protocol, container in (("tcp", WEB), ("udp", DB), ("sctp", "c")):
        assert world.get(container, str(port), protocol=protocol) == [port]
    assert world.held == [f"{port}/sctp c", f"{port}/tcp web", f"{port}/udp db"]


def test_claim_again_by_the_same_container_is_success(world: World, port: int) -> None:
    """It holds it already: nothing is added, even if a process listens by now."""
    world.get(WEB, str(port))
    with socket.create_server(("127.0.0.1", port)):
        assert world.get(WEB, str(port)) == [port]
    assert world.held == [f"{port}/tcp web"]


def test_claim_of_an_overlapping_address_by_the_same_container_is_refused(
    world: World, port: int
) -> None:
    """It would be sent to two places."""
    world.get(WEB, str(port))

    with pytest.raises(ConflictError, match="this container has"):
        world.get(WEB, f"127.0.0.1/{port}")
    assert world.held == [f"{port}/tcp web"]


def test_claim_of_one_port_twice_is_refused(world: World, port: int) -> None:
    """In one request, too."""
    with pytest.raises(RequestError, match="published twice"):
        world.get(WEB, str(port), f"127.0.0.1/{port}")
    assert world.held == []


def test_claim_is_all_or_nothing(world: World, port: int) -> None:
    """One port that can't be had leaves none claimed."""
    world.get(WEB, str(port))

    with pytest.raises(ConflictError):
        world.get(DB, "0", f"127.0.0.2/{port}", "0")
    assert world.held == [f"{port}/tcp web"]


def test_claim_of_nothing_touches_nothing(world: World) -> None:
    """A container without published ports makes no directory."""
    assert world.get(WEB) == []
    assert world.claims.all() == ()
    world.claims.release(WEB, (publish("80"),))
    world.claims.release_all(WEB)
    assert not os.path.exists(world.path(""))


def test_claim_of_the_dead_is_taken_over(world: World, port: int) -> None:
    """What its container no longer needs goes to the next, which is reported."""
    world.get(WEB, str(port))
    world.dead.add(WEB)

    assert world.get(DB, f"127.0.0.1/{port}") == [port]
    assert world.held == [f"127.0.0.1:{port}/tcp db"]
    assert world.events == [
        ("port taken over", {"port": f"{port}/tcp", "container": DB, "former": WEB})
    ]


def test_claim_that_was_renewed_meanwhile_is_judged_again(world: World, port: int) -> None:
    """The dead one came back while it was looked at: what it claims now is another claim."""
    world.get(WEB, str(port))
    old = world.claims.all()
    world.dead.add(WEB)

    def come_back(claim: PortClaim) -> bool:
        if claim in old:
            while world.claims.all() == old:
                world.get(WEB, str(port))
            return False
        return True

    late = PortClaims(
        world.paths, ListeningSockets(), deadline=Deadline(10), holder_lives=come_back
    )
    with pytest.raises(ConflictError, match="web"):
        late.claim(DB, "db", (publish(str(port)),))


def test_claim_without_a_judge_stands(world: World, port: int) -> None:
    """Where nobody can tell who lives, everyone does."""
    world.get(WEB, str(port))

    with pytest.raises(ConflictError):
        PortClaims(world.paths, ListeningSockets(), deadline=Deadline(1)).claim(
            DB, "db", (publish(str(port)),)
        )


# -- many ports at once --------------------------------------------------------------------

MANY = range(20000, 21000)  # nobody listens there: it is below the ephemeral ports


def span(ports: range) -> list[str]:
    """Spell the wishes for these ports."""
    return [str(port) for port in ports]


def test_claim_of_a_thousand_ports_is_a_few_files(world: World) -> None:
    """Ports that follow one another are one claim, as far as they share a file."""
    assert world.get(WEB, *span(MANY)) == list(MANY)

    assert len(os.listdir(world.path(""))) < 12
    assert sum(claim.count for claim in world.claims.all()) == 1000
    assert world.held[0] == "20000-20095/tcp web"


def test_claim_of_a_port_amid_anothers_names_that_port(world: World) -> None:
    """The error tells the port that was asked for, not all that the other one has."""
    world.get(WEB, *span(MANY))

    with pytest.raises(ConflictError, match="port 20500/tcp is taken: container web"):
        world.get(DB, "30000", "20500")
    with pytest.raises(ConflictError, match="port 20999/tcp is taken: container web"):
        world.get(DB, *span(range(20999, 21050)))
    assert {claim.container for claim in world.claims.all()} == {WEB}


def test_claim_of_many_ports_with_a_listener_among_them_is_refused(world: World) -> None:
    """The port that the process has is named, whichever of them it is."""
    with socket.create_server(("127.0.0.1", 20777)):
        with pytest.raises(ConflictError, match="port 20777/tcp is taken: process"):
            world.get(WEB, *span(MANY))
        world.get(WEB, *span(range(20000, 20777)))
    assert world.get(WEB, *span(MANY)) == list(MANY)


def test_claim_of_ports_some_of_which_it_has_adds_the_others(world: World) -> None:
    """One's own are no obstacle, and are not claimed twice."""
    world.get(WEB, *span(range(20100, 20200)))
    world.get(WEB, *span(MANY))

    assert sum(claim.count for claim in world.claims.all()) == 1000
    world.claims.release(WEB, tuple(rule(text) for text in span(MANY)))
    assert os.listdir(world.path("")) == ["lock"]


def test_claim_takes_over_no_more_of_the_dead_than_it_asks_for(world: World) -> None:
    """The rest stays the dead one's, whose detach may still be under way."""
    world.get(WEB, *span(range(20000, 20010)))
    world.dead.add(WEB)

    world.get(DB, "20004", "20005")

    assert world.held == ["20000-20003/tcp web", "20004-20005/tcp db", "20006-20009/tcp web"]
    assert [fields["port"] for _event, fields in world.events] == ["20004-20005/tcp"]


def test_release_amid_a_claim_leaves_the_ports_around_it(world: World) -> None:
    """As when one port of a range is unpublished."""
    world.get(WEB, *span(range(20000, 20010)))

    world.claims.release(WEB, (rule("20004"), rule("20004", 6)))

    assert world.held == ["20000-20003/tcp web", "20005-20009/tcp web"]
    assert world.get(DB, "20004") == [20004]


def test_held_ports_of_many_are_all_but_the_lost_ones(world: World) -> None:
    """Those that went to others stay in the firewall, for they are the others' now."""
    world.get(WEB, *span(MANY))
    world.dead.add(WEB)
    world.get(DB, "20004", "20500")
    rules = tuple(rule(text) for text in span(MANY))

    kept = world.claims.held(WEB, rules)

    assert [rule.host_port for rule in rules if rule not in kept] == [20004, 20500]


def test_claims_of_an_older_layout_are_passed_over(world: World, port: int) -> None:
    """A file for a single port: what it tells is read by nobody any more, and harms nothing."""
    world.get(WEB, "0")
    with open(world.path(f"tcp-{port}"), "w", encoding="ascii") as file:
        file.write('[{"address": "", "container": "c", "name": "c", "time": ""}]')

    assert world.get(DB, str(port)) == [port]
    assert len(world.held) == 2


PORTS = st.integers(20120, 20136)  # around the end of a file


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from((WEB, DB)),
            st.sampled_from(("claim", "release")),
            st.tuples(PORTS, PORTS).map(sorted),
            st.sampled_from(("", "127.0.0.1/")),
        ),
        max_size=12,
    )
)
def test_claims_agree_with_a_table_of_ports(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, str, list[int], str]]
) -> None:
    """Whatever is claimed and released in rows, each port is whose it would be by itself."""
    world = World(tmp_path_factory.mktemp("claims"))
    table: dict[tuple[str, int], str] = {}  # by address and port
    for container, act, (low, high), address in acts:
        wanted = range(low, high + 1)
        if act == "release":
            world.claims.release(container, [publish(f"{address}{port}") for port in wanted])
            for port in wanted:
                if table.get((address, port)) == container:
                    del table[address, port]
            continue
        others = {port for (other, port), who in table.items()
                  if (other, who) != (address, container)}  # fmt: skip
        if others.isdisjoint(wanted):
            world.get(container, *(f"{address}{port}" for port in wanted))
            table.update({(address, port): container for port in wanted})
        else:
            with pytest.raises(ConflictError):
                world.get(container, *(f"{address}{port}" for port in wanted))
    found = {
        (f"{claim.host_address}/" if claim.host_address else "", port): claim.container
        for claim in world.claims.all()
        for port in claim.ports
    }
    assert found == table
    assert sum(claim.count for claim in world.claims.all()) == len(table)


# -- free ports -----------------------------------------------------------------------


def test_claim_of_port_0_chooses_a_free_one(world: World) -> None:
    """Of the host's ephemeral range; each its own, in the order of the request."""
    low, high = ephemeral_range()

    ports = world.get(WEB, "0", "127.0.0.1/0", "0")

    assert len(set(ports)) == 3
    assert all(low <= port <= high for port in ports)
    assert sorted(world.held) == sorted([f"{ports[0]}/tcp web", f"127.0.0.1:{ports[1]}/tcp web",
                                         f"{ports[2]}/tcp web"])  # fmt: skip


def free_of(low: int, high: int, *, container_port: int = 80) -> Publish:
    """Return a wish for a free port out of a range."""
    return Publish("tcp", None, 0, container_port, (low, high))


def test_port_of_a_range_is_taken_over_of_the_dead(world: World) -> None:
    """As one that is asked for by its number: those of whom nobody told that they ended."""
    for who in ("c1", "c2"):
        world.claims.claim(who, who, (free_of(20000, 20001),))
    assert world.held == ["20000/tcp c1", "20001/tcp c2"]
    with pytest.raises(ExhaustedError, match="no tcp port of 20000 to 20001 is free"):
        world.claims.claim(WEB, "web", (free_of(20000, 20001),))

    world.dead.add("c2")
    assert world.claims.claim(WEB, "web", (free_of(20000, 20001),))[0].host_port == 20001

    assert world.held == ["20000/tcp c1", "20001/tcp web"]
    assert world.events == [
        ("port taken over", {"port": "20001/tcp", "container": WEB, "former": "c2"})
    ]


def test_ports_of_one_range_are_never_one_port(world: World) -> None:
    """Within a request, and beside what its container has for another port of its own."""
    wishes = (free_of(20000, 20002), free_of(20000, 20002, container_port=81))
    assert [got.host_port for got in world.claims.claim(WEB, "web", wishes)] == [20000, 20001]
    more = world.claims.claim(WEB, "web", (free_of(20000, 20002, container_port=82),))
    assert more[0].host_port == 20002


def test_holders_of_a_range_are_judged_once_each(world: World) -> None:
    """In a few turns, however many they are; who has none of its ports, or can't, is not."""
    world.get(DB, "127.0.0.1/20050", "19999")
    for number in range(50):
        world.claims.claim(f"c{number}", "c", (free_of(20000, 20049),))
    world.judged.clear()
    locked: list[str] = []
    kept_ports = world.claims._kept_ports

    def count() -> Any:
        locked.append("turn")
        return kept_ports()

    world.claims._kept_ports = count  # type: ignore[method-assign]
    world.claims.claim(WEB, "web", (free_of(20000, 20051),))

    assert sorted(claim.container for claim in world.judged) == sorted(
        [f"c{number}" for number in range(50)] + [DB]
    )
    assert len(locked) == 2
    assert "20051/tcp web" in world.held


def test_candidates_begin_anywhere_and_come_once() -> None:
    """Every port but the reserved ones, each once, from a random one on."""
    firsts = set()
    for _turn in range(60):
        found = list(candidates(10, 19, [(12, 13), (17, 17)]))
        assert sorted(found) == [10, 11, 14, 15, 16, 18, 19]
        firsts.add(found[0])
    assert len(firsts) > 2


@pytest.mark.parametrize(
    ("text", "ranges"),
    [("\n", []), ("", []), ("8080\n", [(8080, 8080)]), ("1,9148-9150\n", [(1, 1), (9148, 9150)])],
)
def test_parse_ranges_reads_what_the_kernel_prints(text: str, ranges: list[object]) -> None:
    """Single ports and ranges; an empty list is none."""
    assert parse_ranges(text) == ranges


def test_kernel_tells_its_ranges() -> None:
    """The parameters are there and can be read."""
    low, high = ephemeral_range()
    assert 0 < low < high < 65536
    assert all(first <= last for first, last in reserved_ports())


# -- listening sockets ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bound", "asked", "conflict"),
    [
        ("127.0.0.1", "", True),
        ("127.0.0.1", "127.0.0.1/", True),
        ("127.0.0.1", "0.0.0.0/", True),
        ("127.0.0.1", "127.0.0.2/", False),
        ("127.0.0.1", "::/", False),
        ("0.0.0.0", "", True),
        ("0.0.0.0", "127.0.0.1/", True),
        ("0.0.0.0", "fd00::1/", False),
        ("::1", "", True),
        ("::1", "0.0.0.0/", False),
        ("::", "127.0.0.1/", True),
        ("::", "fd00::1/", True),
        ("::ffff:127.0.0.1", "127.0.0.1/", True),
        ("::ffff:127.0.0.1", "fd00::1/", False),
    ],
)
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_claim_of_a_port_that_a_process_has_names_it(
    world: World, port: int, bound: str, asked: str, conflict: bool, protocol: str
) -> None:
    """DNAT would cut it off; the error says which process, on which address."""
    family = socket.AF_INET6 if ":" in bound else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(family, kind) as listener:
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((bound, port))
        if protocol == "tcp":
            listener.listen()
        if conflict:
            with pytest.raises(ConflictError, match=rf"process {os.getpid()} \(.*\) listens on"):
                world.get(WEB, f"{asked}{port}", protocol=protocol)
            assert world.held == []
        else:
            assert world.get(WEB, f"{asked}{port}", protocol=protocol) == [port]


def test_claim_of_v6_only_socket_is_no_conflict_for_v4(world: World, port: int) -> None:
    """A socket of :: that takes IPv6 alone is not in the way of IPv4."""
    with socket.socket(socket.AF_INET6) as listener:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(("::", port))
        listener.listen()

        with pytest.raises(ConflictError):
            world.get(WEB, str(port))
        assert world.get(WEB, str(port), families=(4,)) == [port]


def test_claim_of_several_ports_sees_the_listening_one(world: World, port: int) -> None:
    """With more than one port all sockets are listed."""
    refused = pytest.raises(ConflictError, match=str(port))
    with socket.create_server(("127.0.0.1", port)), refused:
        world.get(WEB, "0", str(port))


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_claim_of_a_connected_sockets_port_is_no_conflict(world: World, protocol: str) -> None:
    """A client's port is none that anyone may be locked out of."""
    if protocol == "tcp":
        with socket.create_server(("127.0.0.1", 0)) as server:
            client = socket.create_connection(server.getsockname())
    else:
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.connect(("127.0.0.1", 9))
    with client:
        number = client.getsockname()[1]
        assert world.get(WEB, str(number), protocol=protocol) == [number]


# -- release ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "released", "gone"),
    [
        ("", [("", 4)], True),
        ("", [("", 6)], True),
        ("", [("", 4), ("", 6)], True),
        ("0.0.0.0/", [("0.0.0.0/", 4)], True),
        ("0.0.0.0/", [("", 4)], True),  # the rule has no address: the family tells
        ("0.0.0.0/", [("", 6)], False),
        ("::/", [("", 6)], True),
        ("127.0.0.1/", [("127.0.0.1/", 4)], True),
        ("127.0.0.1/", [("", 4)], False),
        ("127.0.0.1/", [("127.0.0.2/", 4)], False),
    ],
)
def test_release_takes_back_what_a_rule_stands_on(
    world: World, port: int, asked: str, released: list[tuple[str, int]], gone: bool
) -> None:
    """The record has rules, one per family; the claim was made for the wish."""
    world.get(WEB, f"{asked}{port}")

    world.claims.release(WEB, tuple(rule(f"{text}{port}", family) for text, family in released))

    assert (world.held == []) is gone
    assert os.path.exists(world.path(file_of("tcp", port))) is not gone


def test_release_of_a_wish_takes_it_back(world: World, port: int) -> None:
    """What `claim` returned can be given back as it is; twice is fine."""
    claimed = world.claims.claim(WEB, "web", (publish(str(port)), publish("0", "udp")))

    world.claims.release(WEB, claimed)
    world.claims.release(WEB, claimed)

    assert os.listdir(world.path("")) == ["lock"]


def test_release_leaves_the_others(world: World, port: int) -> None:
    """Another container's claim, and one's own of another address, stay."""
    world.get(WEB, f"127.0.0.1/{port}", f"127.0.0.2/{port}")
    world.get(DB, f"127.0.0.3/{port}")

    world.claims.release(WEB, (rule(f"127.0.0.1/{port}"), rule(f"127.0.0.3/{port}")))
    assert world.held == [f"127.0.0.2:{port}/tcp web", f"127.0.0.3:{port}/tcp db"]
    assert world.claims.holders() == (WEB, DB)

    world.claims.release_all(WEB)
    assert world.held == [f"127.0.0.3:{port}/tcp db"]


def test_held_returns_what_no_other_has(world: World, port: int) -> None:
    """A late detach may take out of the firewall only what is still its own."""
    rules = (rule(str(port)), rule(str(port), 6), rule(f"127.0.0.1/{port + 1}"))
    assert world.claims.held(WEB, rules) == rules  # /run was emptied: nobody else has it

    world.get(WEB, str(port), f"127.0.0.1/{port + 1}")
    assert world.claims.held(WEB, rules) == rules

    world.dead.add(WEB)
    world.get(DB, f"0.0.0.0/{port}")
    assert world.claims.held(WEB, rules) == rules[1:]
    assert world.claims.held(DB, rules[:1]) == rules[:1]


# -- files and locks ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"3",
        b'["x"]',
        b"\xff",
        b'{"a": 1}',
        b'[{"address": ""}]',
        b'[{"first": 1, "last": 1, "address": "x", "container": "c", "name": "", "time": ""}]',
        b'[{"first": 1, "last": 1, "address": "", "container": 1, "name": "", "time": ""}]',
        b'[{"first": "1", "last": 1, "address": "", "container": "", "name": "", "time": ""}]',
        b'[{"first": 1, "last": 0, "address": "", "container": "", "name": "", "time": ""}]',
        b'[{"first": 70001, "last": 7, "address": "", "container": "", "name": "", "time": ""}]',
    ],
)
def test_claims_that_can_not_be_read_are_never_free(
    world: World, port: int, content: bytes
) -> None:
    """Nobody gets that port, nobody's element is deleted for it, and nothing else stops."""
    elsewhere = port - 128 if port > 40000 else port + 128  # in another file
    world.get(WEB, str(port), str(elsewhere))
    with open(world.path(file_of("tcp", port)), "wb") as file:
        file.write(content)
    with pytest.raises(ConflictError, match=f"{file_of('tcp', port)} can't be read"):
        world.get(DB, str(port))
    assert world.claims.held(WEB, (rule(str(port)),)) == ()
    assert len(world.held) == 1
    world.claims.release(WEB, (rule(str(port)),))
    world.claims.release_all(WEB)
    assert world.held == []
    assert os.path.exists(world.path(file_of("tcp", port)))


class SecondLookLate(Deadline):
    """Up when it is looked at for the second time: by the lock, on however busy a machine."""

    def __init__(self) -> None:
        super().__init__(10)
        self._looks = 0

    @property
    def left_s(self) -> float:
        """Seconds that are left."""
        self._looks += 1
        return 10.0 if self._looks == 1 else 0.0


def test_claim_while_another_holds_the_lock_names_the_holder(world: World, port: int) -> None:
    """Past the deadline the error names the process."""
    world.get(WEB, str(port))
    late = PortClaims(world.paths, ListeningSockets(), deadline=SecondLookLate())

    named = pytest.raises(BusyError, match=rf"the ports: process {os.getpid()} \(")
    with Lock(world.path("lock"), "the ports", None), named:
        late.claim(DB, "db", (publish("0"),))


def test_claim_that_can_not_write_leaves_all_as_it_was(
    world: World, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second file fails: the first is as it was, the claims of others too."""
    world.get(DB, f"127.0.0.1/{port}")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    real = os.rename

    def rename(*args: Any, **kwargs: Any) -> None:
        real(*args, **kwargs)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
        monkeypatch.undo()

    monkeypatch.setattr(posix, "rename", rename)
    try:
        with pytest.raises(SystemFailure):
            world.get(WEB, "0", "0")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert world.held == [f"127.0.0.1:{port}/tcp db"]
    assert len(os.listdir(world.path(""))) == 2


def test_claim_with_an_illegal_container_is_refused(world: World) -> None:
    """Nothing is written for an id that is none."""
    with pytest.raises(RequestError):
        world.get("../x", "0")
    assert world.held == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"first": 8089, "last": 8080}, "a claim of 8089 to 8080 does not belong there"),
        ({"last": 8192}, "a claim of 8080 to 8192 does not belong there"),
        ({"first": 80, "last": 80}, "a claim of 80 to 80 does not belong there"),
        ({"address": None}, "address is no text"),
        ({"name": 5}, "name is no text"),
    ],
)
def test_claim_that_makes_no_sense_is_told_by_file_and_field(
    world: World, change: dict[str, object], why: str
) -> None:
    """A port that is claimed in a file of others would be looked for in its own."""
    world.claims.claim(DB, "db", (publish("8080"),))
    path = f"{world.paths.run}/ports/{file_of('tcp', 8080)}"
    with open(path, encoding="utf-8") as file:
        [row] = json.load(file)
    with open(path, "w", encoding="utf-8") as file:
        json.dump([{**row, **change}], file)

    with pytest.raises(ConflictError) as raised:
        world.claims.claim(WEB, "web", (publish("8100"),))
    assert raised.value.why == f"the claims in {path} can't be read: {why}"
