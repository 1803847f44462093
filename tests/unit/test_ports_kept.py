"""Host ports that are kept for containers' names, over restarts and reboots."""

from __future__ import annotations

import os
import posix
import socket
from typing import TYPE_CHECKING, Any

import pytest

from ocinet.base.address import Address
from ocinet.base.clock import Deadline
from ocinet.base.errors import ConflictError, ExhaustedError
from ocinet.base.paths import Paths
from ocinet.engine.kernel.listeners import ListeningSockets
from ocinet.engine.model.request import Publish
from ocinet.engine.records.kept_ports import KeptPort, KeptPorts, kept_in
from ocinet.engine.records.port_claims import PortClaims

if TYPE_CHECKING:
    from pathlib import Path

FREE = Publish("tcp", None, 0, 80)
HOME = Address.parse("127.0.0.1")


class World:
    """Claims and kept ports in directories of our own."""

    def __init__(self, root: Path) -> None:
        self.dead: set[str] = set()
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.paths = Paths(run=f"{root}/run", state=f"{root}/state")
        self.kept = KeptPorts(self.paths, deadline=Deadline(10))
        self.claims = PortClaims(
            self.paths,
            ListeningSockets(),
            deadline=Deadline(10),
            holder_lives=lambda claim: claim.container not in self.dead,
            report=lambda event, **fields: self.events.append((event, fields)),
        )

    def get(self, container: str, name: str, *wishes: Publish) -> list[int]:
        """Claim host ports for a container, and return them."""
        return [port.host_port for port in self.claims.claim(container, name, wishes)]

    def keep(self, name: str, port: int, wish: Publish = FREE) -> None:
        """Keep a host port for a name."""
        self.kept.add(KeptPort(name, wish.replace(host_port=port), "2024-05-01T12:00:00.000Z"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world of our own."""
    return World(tmp_path)


@pytest.fixture
def port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket(socket.AF_INET6) as taken:
        taken.bind(("::", 0))
        number: int = taken.getsockname()[1]
        return number


def test_free_port_that_is_kept_is_had_again_by_the_name(world: World, port: int) -> None:
    """Whatever id the container has, and only for that port of its own, address and protocol."""
    world.keep("web", port)

    assert world.get("b" * 64, "web", FREE) == [port]
    world.claims.release_all("b" * 64)
    assert world.get("c" * 64, "web", FREE) == [port]
    others = (
        FREE.replace(container_port=81),
        FREE.replace(protocol="udp"),
        FREE.replace(host_address=HOME, container_port=82),
    )
    assert port not in world.get("d" * 64, "web", *others)


def test_free_ports_of_others_are_none_that_is_kept(
    world: World, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With two ports in the host's range, one of them kept, all others get the second."""
    monkeypatch.setattr(
        "ocinet.engine.records.claim_attempt.ephemeral_range", lambda: (port, port + 1)
    )
    world.keep("web", port)

    assert world.get("b" * 64, "db", FREE) == [port + 1]


@pytest.mark.parametrize("address", [None, HOME])
def test_port_that_is_kept_is_refused_to_others(
    world: World, port: int, address: Address | None
) -> None:
    """Who asks for it by its number is told whose it is, and how it is given up."""
    world.keep("web", port)
    wish = Publish("tcp", address, port, 80)

    with pytest.raises(ConflictError) as caught:
        world.get("b" * 64, "db", wish)

    assert f"the host's port {port}/tcp is kept for web" in str(caught.value)
    assert "ocinet reservation rm-port web" in caught.value.hint
    assert world.claims.all() == ()
    assert world.get("b" * 64, "db", wish.replace(protocol="udp")) == [port]
    assert world.get("c" * 64, "web", wish) == [port]


def test_kept_port_that_is_taken_gives_way_and_is_told(world: World, port: int) -> None:
    """A service that listens there, or a container that lives, has it: another one is chosen."""
    world.keep("web", port)
    with socket.socket() as service:
        service.bind(("0.0.0.0", port))
        service.listen()

        (instead,) = world.get("b" * 64, "web", FREE)

    assert instead != port
    ((event, fields),) = world.events
    assert event == "kept port passed over"
    assert fields["port"] == f"{port}/tcp"
    assert fields["why"].startswith("something listens on 0.0.0.0:")
    world.events.clear()
    assert world.get("c" * 64, "web", FREE) == [port]  # a second one of that name
    assert world.get("d" * 64, "web", FREE) not in ([port], [instead])
    assert [event for event, _ in world.events] == ["kept port passed over"]
    assert [kept.publish.host_port for kept in world.kept.all()] == [port]


def test_port_of_a_range_is_the_first_free_one(world: World, port: int) -> None:
    """As Docker chooses; what is kept for the name comes first, if it is in the range."""
    wish = FREE.replace(among=(port - 2, port))
    with socket.socket() as service:
        service.bind(("127.0.0.1", 0))
        service.listen()
        busy = service.getsockname()[1]
        assert world.get("a" * 64, "x", FREE.replace(among=(busy, busy + 1))) == [busy + 1]
    assert world.get("b" * 64, "db", wish) == [port - 2]
    world.keep("web", port)
    assert world.get("c" * 64, "web", wish) == [port]
    assert world.get("d" * 64, "more", wish) == [port - 1]
    with pytest.raises(ExhaustedError, match=f"no tcp port of {port - 2} to {port} is free"):
        world.get("e" * 64, "last", wish)
    world.keep("far", port + 9, FREE)
    with pytest.raises(ExhaustedError):
        world.get("f" * 64, "far", wish)


def test_kept_port_of_the_dead_is_taken_over(world: World, port: int) -> None:
    """The former life, whose end nobody told, does not keep the next one from it."""
    world.keep("web", port)
    assert world.get("b" * 64, "web", FREE) == [port]
    world.dead.add("b" * 64)

    assert world.get("c" * 64, "web", FREE) == [port]
    assert [claim.container for claim in world.claims.all()] == ["c" * 64]


def test_kept_port_besides_one_by_its_number_is_chosen_anew(world: World, port: int) -> None:
    """`-p PORT:90 -p 80`, where that port is kept for 80: the number counts."""
    world.keep("web", port)

    fixed, free = world.get("b" * 64, "web", Publish("tcp", None, port, 90), FREE)

    assert (fixed, free != port) == (port, True)


def test_keep_then_remove_is_on_disk_when_it_returns(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file says in its name what is kept, and a power cut takes nothing back."""
    synced: list[str] = []
    monkeypatch.setattr(
        posix, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}"))
    )
    directory = f"{world.paths.state}/ports"
    world.keep("web", 49153, FREE.replace(host_address=HOME))

    assert synced[-1] == directory
    assert synced[-2].startswith(f"{directory}/.tmp-")
    assert sorted(os.listdir(directory)) == ["lock", "tcp,49153,80,127.0.0.1=web"]
    (kept,) = world.kept.all()
    assert (kept.name, str(kept.claim), kept.created[:4]) == ("web", "127.0.0.1:49153/tcp", "2024")
    assert world.kept.remove("db") == ()
    assert world.kept.remove("web", (FREE.replace(container_port=81),)) == ()
    assert world.kept.remove("web", (FREE,)) == (kept.replace(created=""),)
    assert world.kept.all() == ()


@pytest.mark.parametrize(
    ("name", "port", "wish", "why"),
    [
        ("db", 49153, FREE, "49153/tcp is kept for web"),
        ("db", 49153, FREE.replace(host_address=HOME), "49153/tcp is kept for web"),
        ("web", 49154, FREE, "web has 49153/tcp kept for its 80/tcp"),
        ("web", 49153, FREE.replace(container_port=81), "49153/tcp is kept for web"),
    ],
)
def test_keep_what_is_kept_otherwise_is_refused(
    world: World, name: str, port: int, wish: Publish, why: str
) -> None:
    """One port, one name; and one host port for each port of a container's."""
    world.keep("web", 49153)
    world.keep("web", 49153)  # again: nothing to do

    with pytest.raises(ConflictError) as caught:
        world.keep(name, port, wish)

    assert why in str(caught.value)
    assert len(world.kept.all()) == 1


def test_names_of_other_files_are_passed_over() -> None:
    """What lies there and says nothing of a port keeps none."""
    files = ["lock", ".tmp-1", "tcp,1,2=web", "icmp,1,2,=web", "tcp,0,80,=web", "tcp,1,99999,=web"]
    files += ["tcp,1,80,nowhere=web", "tcp,x,80,=web", "sctp,1,80,fd00::5=db"]

    assert kept_in(files) == (KeptPort("db", Publish("sctp", Address.parse("fd00::5"), 1, 80)),)
