"""What there has to be of guests, compared with what there is: never by the code under test."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from hosts.lab.machine import LAB_V4, OUTSIDE_V4

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hosts.engine.guests import Guests
    from hosts.lab.namespace import Namespace

_RUN = "/run/ocinet"
# Asks each ADDRESS:PORT for its page, ten at once; prints what came, by address.
_ASK = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor

def ask(place):
    address, _, port = place.rpartition(":")
    try:
        with socket.create_connection((address, int(port)), 2) as server:
            server.settimeout(2)
            server.sendall(b"GET /index.html HTTP/1.0\\r\\n\\r\\n")
            told = b""
            while part := server.recv(4096):
                told += part
        return told.decode().rpartition("\\r\\n\\r\\n")[2].strip()
    except OSError as error:
        return f"({error})"

with ThreadPoolExecutor(10) as pool:
    places = sys.argv[1:]
    print(json.dumps(dict(zip(places, pool.map(ask, places)))))
"""
# Binds each port as a service of the host would; prints those that it could.
_BIND = """
import json, socket, sys

def can(port):
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("0.0.0.0", port))
        except OSError:
            return False
        return True

print(json.dumps([port for port in map(int, sys.argv[1:]) if can(port)]))
"""
_PYTHON = ("/usr/bin/python3", "-I", "-c")


class Verdict:
    """Says what is wrong with guests at the moment.

    Args:
        guests: those that were asked for.
        ports: of the host, that any of them may have.
    """

    def __init__(self, guests: Guests, ports: Iterable[int]) -> None:
        self._guests = guests
        self._lab = guests.lab
        self._ports = sorted(ports)

    def wrong(self) -> list[str]:
        """Return in one line each what is not as it should be."""
        living = self._guests.living()
        found, addresses = [], {}
        for name, pid in sorted(living.items()):
            address = self._address(pid)
            if address:
                addresses[name] = address
            else:
                found.append(f"{name} has no address")
        published = {
            port: name for name, pid in living.items() for port in self._published(name, pid)
        }
        found += self._differing("records", self._files("attachments", ".json"), len(living))
        found += self._differing("leases", self._leases(), sorted(addresses.values()))
        found += self._differing("ports in the table", self._elements(), sorted(published))
        found += self._differing("claims", self._claims(), sorted(published))
        found += self._differing("names", sorted(self._names()), sorted(living))
        ends = [link for link in self._lab.links().values() if link["ifname"].startswith("oc")
                and link.get("linkinfo", {}).get("info_kind") == "veth"]  # fmt: skip
        found += self._differing("host ends", len(ends), len(living))
        if not found:  # else it would be told twice, and take long
            found += self._unreached(addresses, published)
            found += self._differing("ports that the host may bind", self._free(),
                                     sorted(set(self._ports) - set(published)))  # fmt: skip
        return found if self._guests.living() == living else ["somebody came or went"]

    @staticmethod
    def _differing(what: str, there: object, wanted: object) -> list[str]:
        return [] if there == wanted else [f"{what}: there are {there}, not {wanted}"]

    def _published(self, name: str, pid: int) -> set[int]:
        return self._guests.all[name].published(pid)

    def _address(self, pid: int) -> str:
        shown = self._lab.run(
            "nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-j", "-4", "addr", "show", "dev", "eth0",
            check=False,
        )  # fmt: skip
        infos = [info for link in json.loads(shown.stdout or "[]") for info in link["addr_info"]]
        return str(infos[0]["local"]) if infos else ""

    def _list(self, directory: str) -> list[str]:
        path = self._lab.path(f"{_RUN}/{directory}")
        names = os.listdir(path) if path.is_dir() else []
        return sorted(name for name in names if not name.startswith("."))

    def _files(self, directory: str, suffix: str) -> int:
        return len([name for name in self._list(directory) if name.endswith(suffix)])

    def _leases(self) -> list[str]:
        files = [file for network in self._list("ipam") for file in self._list(f"ipam/{network}")]
        return sorted(name for name in files if name.count(".") == 3)

    def _claims(self) -> list[int]:
        found: list[int] = []
        for name in self._list("ports"):
            if name != "lock":
                rows = json.loads(self._lab.path(f"{_RUN}/ports/{name}").read_text())
                for row in rows:
                    found += range(row["first"], row["last"] + 1)
        return sorted(found)

    def _names(self) -> list[str]:
        return os.listdir(self._lab.path("/run/netns"))

    def _elements(self) -> list[int]:
        shown = self._lab.run("nft", "-j", "list", "map", "inet", "ocinet", "publish4", check=False)
        objects: list[dict[str, Any]] = json.loads(shown.stdout or '{"nftables": []}')["nftables"]
        maps = [each["map"] for each in objects if "map" in each]
        return sorted(key["concat"][1] for each in maps for key, _data in each.get("elem", ()))

    def _unreached(self, addresses: dict[str, str], published: dict[int, str]) -> list[str]:
        lab = self._lab
        inside = {f"{address}:80": name for name, address in addresses.items()}
        found = self._asked(lab, inside)
        for place, at in ((lab.outside, LAB_V4), (lab, "127.0.0.1")):
            wanted = {f"{at}:{port}": name for port, name in published.items()}
            found += self._asked(place, wanted)
        found += [
            f"{name} does not get out"
            for name, pid in self._guests.living().items()
            if lab.run(
                "nsenter", f"--net=/proc/{pid}/ns/net",
                "busybox", "ping", "-c", "1", "-W", "2", OUTSIDE_V4, check=False,
            ).status
        ]  # fmt: skip
        return found

    @staticmethod
    def _asked(place: Namespace, wanted: dict[str, str]) -> list[str]:
        if not wanted:
            return []
        told: dict[str, str] = place.run(*_PYTHON, _ASK, *wanted).json()
        return [
            f"{place.name} meets {told[at]!r} at {at}, not {name}"
            for at, name in wanted.items()
            if told[at] != name
        ]

    def _free(self) -> Sequence[int]:
        shown = self._lab.run(*_PYTHON, _BIND, *map(str, self._ports))
        free: list[int] = shown.json()
        return free
