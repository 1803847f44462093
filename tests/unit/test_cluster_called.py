"""What hosts write to each other of what their containers are called."""

from __future__ import annotations

import pytest

from ocinet.base.address import Address, Subnet
from ocinet.base.errors import RequestError
from ocinet.cluster.called import (
    LONGEST,
    MOST_PARTS,
    Place,
    believed,
    by_host,
    differing,
    is_name,
    key_of,
    names_of,
    parts_of,
    place_of,
    read_part,
)
from ocinet.cluster.model import Host, Peer
from ocinet.cluster.store import Entry
from ocinet.engine.model.access import Allowance
from ocinet.engine.model.elsewhere import Elsewhere

_ID = "6f1c0a52-0000-4000-8000-000000000000"
_AT = Address.parse("10.42.3.2")
_SHARES = (Subnet.parse("10.42.3.0/24"),)
_WEB = Elsewhere(
    "", "4f0c", (_AT,), ("web", "4f0c"), ("www",), "2026-01-01T00:00:00.000Z",
    (Allowance("db", None, "tcp", 5432, 5432),),
)  # fmt: skip


def _host(name: str, number: int = 0) -> Host:
    host_id = f"{number:08x}{_ID[8:]}"
    return Host(host_id, name, (Address.parse("10.0.0.1"),), "02:00:00:00:00:01")


def test_what_is_written_is_read_again() -> None:
    """All of it, but the host's name."""
    (part,), left_out = parts_of([_WEB, _WEB.replace(id="x", allow=())])
    assert read_part(part) == (_WEB, _WEB.replace(id="x", allow=()))
    assert left_out == 0
    assert parts_of([]) == ((), 0)


def test_many_take_several_parts_and_too_many_are_counted() -> None:
    """Each is as long as may be read; who has no room is told of, and keeps nobody out."""
    many = [_WEB.replace(id=f"c{number}", own=(f"c{number}",)) for number in range(9000)]
    parts, left_out = parts_of(many)
    assert len(parts) == MOST_PARTS
    assert all(len(part) <= LONGEST for part in parts)
    assert sum(len(read_part(part)) for part in parts) + left_out == 9000
    long = _WEB.replace(aliases=tuple("a" * 250 for _ in range(300)))
    assert parts_of([long, _WEB])[1] == 1


def test_key_is_one_alone() -> None:
    """Of a host, a network and a part, spelled in one way."""
    place = Place(_ID, "lan", 11)
    key = key_of("prod", place)
    assert key == f"/ocinet/v1/prod/names/{_ID}/lan/11"
    assert place_of("prod", key) == place
    assert is_name("prod", key)
    assert not is_name("prod", f"/ocinet/v1/prod/hosts/{_ID}")
    for broken in (f"{_ID}/lan", f"{_ID}/lan/16", f"{_ID}/lan/01", f"{_ID}/../0", "x/lan/0"):
        with pytest.raises(RequestError):
            place_of("prod", f"/ocinet/v1/prod/names/{broken}")


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b'{"containers": {}}', b'{"containers": [1]}', b"[" * 9999,
     b'{"containers": [{"id": "x", "addresses": ["x"], "own": [], "aliases": [], "since": ""}]}',
     b" " * (LONGEST + 1)],
    ids=str,
)  # fmt: skip
def test_part_that_is_none_is_refused(data: bytes) -> None:
    """As another host's word may be anything."""
    with pytest.raises(RequestError):
        read_part(data)


def test_host_is_believed_of_its_own_addresses_alone() -> None:
    """Another's, and what no container can be called, is left out."""
    far = Address.parse("10.42.4.2")
    told = (_WEB.replace(addresses=(_AT, far)), _WEB.replace(id="x", addresses=(far,)),
            _WEB.replace(id="y", own=("localhost",)), _WEB.replace(id="z z"))  # fmt: skip
    assert believed(told, "h2", _SHARES) == (_WEB.replace(where="h2"),)


def test_hosts_of_one_name_are_told_apart() -> None:
    """The same on each of them, whichever it is."""
    one, two, three = _host("web", 1), _host("web", 2), _host("db", 3)
    wanted = {one.id: "web-00000001", two.id: "web-00000002", three.id: "db"}
    assert names_of(one, [Peer(two, ()), Peer(three, ())]) == wanted
    assert names_of(three, [Peer(one, ()), Peer(two, ())]) == wanted


def test_what_differs_is_written_and_what_is_no_more_goes() -> None:
    """By whole parts."""
    keys = [key_of("prod", Place(_ID, "lan", number)) for number in range(3)]
    entries = [Entry(keys[0], b"a"), Entry(keys[1], b"b"), Entry("/ocinet/v1/prod/names/x", b"")]
    stands = by_host("prod", entries)[_ID]
    wanted = {Place(_ID, "lan", 0): b"a", Place(_ID, "lan", 2): b"c"}
    assert differing("prod", stands, wanted) == ({keys[2]: b"c"}, (keys[1],))
