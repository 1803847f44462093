"""Records of attachments, as they are stored and shown."""

from __future__ import annotations

import json
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from ocinet.base.address import Address
from ocinet.base.errors import SystemFailure
from ocinet.base.paths import Paths
from ocinet.engine.model.attachment import ATTACHED, Attachment, Container
from ocinet.engine.model.endpoint import PortRule
from ocinet.engine.model.resolution import AddedHost, Alias, LinkedName, Resolution
from ocinet.engine.records.attachments import AttachmentStore, encode, encode_whole

if TYPE_CHECKING:
    from pathlib import Path

INSIDE, OTHER = Address.parse("10.9.0.5"), Address.parse("fd00:9::5")
AT = Address.parse("192.0.2.1")
PORTS = (
    *(PortRule("tcp", None, 9000 + number, INSIDE, 80 + number) for number in range(1000)),
    PortRule("tcp", None, 10000, INSIDE, 80),  # here it goes on, in the container it does not
    PortRule("tcp", None, 10001, OTHER, 81),
    PortRule("udp", None, 10002, OTHER, 82),
    PortRule("udp", AT, 10003, INSIDE, 83),
    PortRule("udp", AT, 10004, INSIDE, 84),
)


def test_record_of_a_thousand_ports_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Rows of ports are one entry in the file, and single ports again when it is read."""
    record = Attachment(Container("web", "web"), "bridge", ATTACHED, "1:2", "boot", "now",
                        ports=PORTS, done_ports=7)  # fmt: skip
    store = AttachmentStore(Paths(run=str(tmp_path)))

    store.put(record)

    assert store.get("web") == record
    stored = json.loads((tmp_path / "attachments/web.json").read_text())
    assert [row["count"] for row in stored["ports"]] == [1000, 1, 1, 1, 2]


def test_kept_store_forgets_who_is_gone(tmp_path: Path) -> None:
    """The watcher has one for all its life, and others remove records."""
    kept, other = (AttachmentStore(Paths(run=str(tmp_path))) for _ in range(2))
    for name in ("web", "db"):
        other.put(Attachment(Container(name, name), "bridge", ATTACHED, "1:2", "boot", "now"))
    first = weakref.ref(kept.all()[0])
    assert {record.container.id for record in kept.all()} == {"web", "db"}
    assert kept.get("db") is first() or kept.get("web") is first()

    for name in ("web", "db"):
        other.remove(name)

    assert kept.all() == ()
    assert first() is None


def test_shown_record_has_each_port() -> None:
    """What is printed does not depend on how it is stored."""
    record = Attachment(Container("web", "web"), "bridge", ATTACHED, "1:2", "boot", "now",
                        ports=PORTS)  # fmt: skip

    shown = encode(record)["ports"]

    assert [port["host_port"] for port in shown] == [port.host_port for port in PORTS]
    assert "count" not in shown[0]


def test_record_of_resolvers_and_names_is_read_as_it_was_written(tmp_path: Path) -> None:
    """And says nothing of them where nothing is wished, as an earlier version wrote it."""
    wishes = Resolution(
        (AT,), ("corp.example",), ("ndots:2",), (AddedHost("db", OTHER), AddedHost("up", None)),
        "web1", (Alias("www"), Alias("shop", "lan")), (LinkedName("postgres", "db"),),
    )  # fmt: skip
    record = Attachment(Container("web", "web"), "bridge", ATTACHED, "1:2", "boot", "now",
                        resolution=wishes)  # fmt: skip
    store = AttachmentStore(Paths(run=str(tmp_path)))

    store.put(record)

    assert store.get("web") == record
    shown = encode(record)["resolution"]
    assert shown["hosts"][1] == {"name": "up", "address": None}
    assert shown["aliases"][1] == {"name": "shop", "network": "lan"}
    store.put(record.replace(resolution=Resolution((AT,))))
    assert set(json.loads((tmp_path / "attachments/web.json").read_text())["resolution"]) == {
        "servers", "search", "options", "hosts"
    }  # fmt: skip
    store.put(record.replace(resolution=None))
    assert "resolution" not in json.loads((tmp_path / "attachments/web.json").read_text())
    assert store.get("web") == record.replace(resolution=None)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"resolution": {"servers": ["x"], "search": [], "options": [], "hosts": []}},
         "resolution: servers: 'x' is no IP address"),
        ({"resolution": {"servers": []}}, "resolution: it has no search"),
        ({"version": 2}, "version is not 1"),
        ({"id": "db"}, "it is of db"),
        ({"name": None}, "name is no text"),
        ({"state": "done"}, "state is none of attaching, attached"),
        ({"process": {"pid": 7}}, "process: it has no start_time"),
        ({"ports": [{"host_port": 8080}]}, "ports: it has no protocol"),
        ({"ports": [{"protocol": "tcp", "host_address": None, "host_port": 65000,
                     "address": "10.9.0.5", "port": 80, "count": 1000}]},
         "ports: there is no port 65999"),
        ({"ports": [{"protocol": "tcp", "host_address": None, "host_port": 80,
                     "address": "10.9.0.5", "port": 65535, "count": 2}]},
         "ports: there is no port 65536"),
    ],
)  # fmt: skip
def test_record_that_makes_no_sense_is_told_by_file_and_field(
    tmp_path: Path, change: dict[str, Any], why: str
) -> None:
    """Another version's, another container's, or damaged: nothing is made of it."""
    store = AttachmentStore(Paths(run=str(tmp_path)))
    store.put(Attachment(Container("web", "web"), "bridge", ATTACHED, "1:2", "boot", "now"))
    path = tmp_path / "attachments/web.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))

    with pytest.raises(SystemFailure) as raised:
        store.get("web")

    assert raised.value.what == "cannot read the record of web"
    assert raised.value.why == f"{path}: {why}"


def test_record_of_the_last_ports_there_are_is_read(tmp_path: Path) -> None:
    """The bound itself is within it."""
    ports = tuple(PortRule("tcp", None, port, INSIDE, port) for port in (65534, 65535))
    record = Attachment(Container("web", "web"), "bridge", ATTACHED, "1:2", "boot", "now",
                        ports=ports)  # fmt: skip
    store = AttachmentStore(Paths(run=str(tmp_path)))

    store.put(record)

    assert store.get("web") == record


def test_whole_record_has_each_field_also_what_says_nothing() -> None:
    """A template asks each of many containers for a field that some have nothing in."""
    known = Attachment(Container("web-id", "web"), "bridge", ATTACHED, "4:1", "boot", "now")
    whole = encode_whole(known)
    nothing: dict[str, Any] = {
        "resolution": None, "unnamed": False, "rootfs": "", "plugs": [], "served": [],
        "access": None, "stranded": "", "left_behind": [],
    }  # fmt: skip
    assert {**nothing, **encode(known)} == whole
    assert encode_whole(known.replace(served=("lan",)))["served"] == ["lan"]
