"""glibc, musl and dig ask our networks' server, dockerd's and podman's own: the same answers.

`pytest -s` prints the table of `docs/names.md`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

import hosts.lab.resolver
import hosts.lookups
from hosts.engine.hooked_podman import install, keys
from hosts.engine.versions import version_of
from hosts.lab.machine import OUTSIDE_V4
from hosts.requirements import SEARCH_PATH
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hosts.engine.container import EngineContainer
    from hosts.lab.machine import Lab
    from hosts.lab.namespace import Background

pytestmark = pytest.mark.needs("aardvark-dns")

_SERVER = version_of("aardvark-dns")
_MANY = [f"192.0.3.{number}" for number in range(100)]  # more than 1,232 bytes
_KNOWN = {
    "public.example": ["192.0.2.99"],
    "db.house.example": ["192.0.2.66"],
    "intra.house.example": ["192.0.2.67"],
    "many.example": _MANY,
    "last.example": ["192.0.2.98"],
}
_WORDS = {"192.0.2.99": "public", "192.0.2.66": "house's db", "192.0.2.67": "intra",
          " ".join(_MANY): "100 addresses"}  # fmt: skip
# The machine's own programs, in a container of busybox.
_DEBIAN = ("/usr:/usr:ro", "/usr/lib:/lib:ro", "/usr/lib64:/lib64:ro")
_ASK = ("/usr/bin/python3", "-I", "-S", "/mnt/lookups.py")


class _Server(NamedTuple):
    """One of those that are compared, and the containers that ask it.

    Attributes:
        name: of whose it is.
        web: a container that asks.
        db: the other one, which is also called `store`.
        host: the host's name there; "" if it has none.
    """

    name: str
    web: EngineContainer
    db: EngineContainer
    host: str = ""

    def ask(self, by: str, questions: list[str]) -> list[str]:
        """Return the answers, in words; what is in braces is filled in."""
        short, address = self.db.id[:12], self.db.address()
        asked = [each.format(id=short, address=address, host=self.host) for each in questions]
        said = self.web.exec(*_ASK, by, *asked).stdout.splitlines()
        words = {address: "db"} | _WORDS
        return [words.get(line, line.replace(short, "id")) for line in said]


class _Row(NamedTuple):
    """A question, and what each server makes of it; "" is the same as ours, `_ANY` anything."""

    question: str
    ours: str
    docker: str = ""
    podman: str = ""


_ANY = "…"
_HAS_TCP, _HAS_TCP_FOR_TWO = _SERVER >= (1, 14), _SERVER >= (1, 17)


def _of_libcs(
    in_search_list: str, many: str, many_of_docker: str, podman: str = ""
) -> tuple[_Row, ...]:
    return (
        _Row("db", "db", podman=podman),
        _Row("DB", "db", podman=_ANY),
        _Row("{id}", "db", podman=podman),
        _Row("store", "db", podman=podman),
        _Row("db.", "db", podman=podman),
        _Row("nobody", "none"),
        _Row("intra", in_search_list, podman=_ANY),
        _Row("db.house.example", "house's db"),
        _Row("public.example", "public"),
        _Row("{host}", "10.72.0.1", docker="none", podman=_ANY),
        _Row("many.example", many, many_of_docker, _ANY),
    )


_ASKED = {
    "glibc": _of_libcs("intra", "100 addresses" if _HAS_TCP_FOR_TWO else "fails", "100 addresses"),
    # From 1.2.4 on it speaks TCP. It asks podman's server and the host's at once, and takes what
    # comes first.
    "musl": _of_libcs("none", _ANY, _ANY, _ANY),
    "dig": (
        _Row("db", "db"),
        _Row("db.", "db"),
        _Row("+noedns db", "db"),
        _Row("db AAAA", "no data"),
        _Row("db MX", "none" if _HAS_TCP else "no data", "no data", _ANY),
        _Row("-x {address}", "db. id. store.", _ANY, _ANY),
        _Row("nobody", "none"),
        _Row("public.example", "public"),
        _Row("public.example AAAA", "no data"),
        _Row("{host}", "10.72.0.1", docker="none", podman=_ANY),
        _Row("+tcp db", "db" if _HAS_TCP else "fails", "db", _ANY),
        _Row("many.example", "100 addresses" if _HAS_TCP else "fails", "100 addresses", _ANY),
        _Row("db.dns.ocinet.internal", "db", docker="none", podman="none"),
        _Row("nobody.dns.ocinet.internal", "none"),
    ),
}


@contextmanager
def _asking(lab: Lab) -> Iterator[Background]:
    """Have a resolver of the house, names served, and the programs that ask; yield the first."""
    words = ("/usr/bin/python3", "-I", "-S", hosts.lab.resolver.__file__, json.dumps(_KNOWN))
    with lab.outside.start(*words) as house:
        assert house.line() == "ready"
        lab.path("/etc/resolv.conf").write_text(
            f"search house.example\noptions edns0\nnameserver {OUTSIDE_V4}\n"
        )
        lab.path("/etc/ocinet/ocinet.toml.d/50-lab.toml").unlink()
        (lab.directory / "tools").mkdir()
        shutil.copy(hosts.lookups.__file__, lab.directory / "tools")
        yield house
    lab.assert_no_container_left(settle_s=5)


def _tools(lab: Lab) -> tuple[str, ...]:
    return tuple(f"--volume={place}" for place in (*_DEBIAN, f"{lab.directory}/tools:/mnt:ro"))


@contextmanager
def _side_by_side(lab: Lab) -> Iterator[tuple[_Server, ...]]:
    """Yield our server, dockerd's and podman's, each with two containers of its network."""
    tools = _tools(lab)
    podman = install(lab, "crun")
    podman("network", "create", "theirs")
    with lab.docker() as docker:
        docker("network", "create", "lan")
        yield (
            _Server("ocinet", podman.run(*tools, *keys(net="bridge")),
                    podman.run("--name=db", *keys(net="bridge", alias="store")),
                    "host.ocinet.internal"),
            _Server("docker", docker.run(*tools, network="lan"),
                    docker.run("--name=db", "--network-alias=store", network="lan"),
                    "host.docker.internal"),
            _Server("podman", podman.run(*tools, network="theirs"),
                    podman.run("--name=db2", "--network-alias=db", "--network-alias=store",
                               network="theirs"),
                    "host.containers.internal"),
        )  # fmt: skip
        podman.remove_all()
        podman("network", "rm", "theirs")
        lab.ignored += ("NETAVARK", "netavark")  # chains that it leaves, by iptables or nft
        docker.remove_all()
        docker("network", "rm", "lan")


def _program(lab: Lab, resolver: str) -> str:
    """Return what `lookups.py` is told to ask by; skip the test where it is not installed."""
    if resolver == "glibc":
        return resolver
    if resolver == "dig":
        _skip_without("dig", "bind9-dnsutils")
        return resolver
    # `make deps` installs no compiler: 60 MB for this alone.
    _skip_without("musl-gcc", "musl-tools")
    _skip_without("gcc", "gcc")
    source = Path(hosts.lookups.__file__).with_suffix(".c")
    made = lab.directory / "tools/lookups"
    subprocess.run(["musl-gcc", "-static", "-o", made, source], check=True)
    return "/mnt/lookups"


def _skip_without(program: str, package: str) -> None:
    if shutil.which(program, path=SEARCH_PATH) is None:
        pytest.skip(f"{program} is not installed: apt-get install {package}")


@pytest.mark.parametrize("resolver", _ASKED)
def test_same_question_has_the_same_answer_as_dockers_and_podmans(lab: Lab, resolver: str) -> None:
    """But where the table says so; who has ended is found by nobody."""
    rows = _ASKED[resolver]
    with _asking(lab):
        by = _program(lab, resolver)
        with _side_by_side(lab) as servers:
            ours = servers[0]
            wait_until(lambda: ours.ask("glibc", ["db."]) == ["db"], "our server's start")
            answers = [server.ask(by, [row.question for row in rows]) for server in servers]
            table = list(zip(rows, *answers, strict=True))
            for row, *said in table:
                print(" | ".join(("", f"{resolver} {row.question}", *said, "")))  # noqa: T201
            wrong = [
                (row.question, server.name, answer, expected)
                for row, *said in table
                for server, answer, expected in zip(
                    servers, said, (row.ours, row.docker or row.ours, row.podman or row.ours),
                    strict=True,
                )
                if expected not in (_ANY, answer)
            ]  # fmt: skip
            assert not wrong
            for server in servers[:2]:
                server.db.remove()
                assert server.web.exec(*_ASK, by, "db.").stdout == "none\n", server.name


def _asked_of(lab: Lab, house: Background) -> list[str]:
    """Return what the house was asked for since the last time, having asked it something last."""
    lab.run("getent", "ahostsv4", "last.example.")
    return [name for name in iter(house.line, "last.example") if name]


def test_on_an_internal_network_nobody_is_asked_until_it_is_on_another_one(lab: Lab) -> None:
    """Not a question reaches the house; then names of both networks are found, and the public's."""
    with _asking(lab) as house:
        podman = install(lab, "crun")
        lab.ocinet("network", "create", "--internal", "--subnet", "10.9.0.0/24", "inside")
        db = podman.run("--name=db", *keys(net="inside"))
        web = podman.run("--name=web", *_tools(lab), *keys(net="inside"))
        other = podman.run("--name=other", *keys(net="bridge"))

        def ask(*names: str) -> list[str]:
            return web.exec(*_ASK, "glibc", *names).stdout.splitlines()

        wait_until(lambda: ask("db.") == [db.address()], "the server's start")
        began = time.monotonic()
        found = ask("db", "nobody.", "other.", "many.example.", "intra", f"{db.id[:12]}.example.")
        assert found[0] == db.address()
        assert not any("." in answer for answer in found[1:]), found
        assert time.monotonic() - began < 5  # one that nobody answers takes ten
        assert _asked_of(lab, house) == []
        lab.ocinet("network", "connect", "bridge", "web")
        wait_until(lambda: ask("other.") == [other.address()], "the other network's names")
        assert ask("db.", "public.example.") == [db.address(), "192.0.2.99"]
        assert "public.example" in _asked_of(lab, house)
        podman.remove_all()
