"""What stands in etcd is read as what an enemy has written: a value, or one line of an error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocinet.base.address import Address, Subnet
from ocinet.base.errors import RequestError
from ocinet.cluster import decode, keys
from ocinet.cluster.access import Access
from ocinet.cluster.census import Census
from ocinet.cluster.decode import Alive, Forgotten, written
from ocinet.cluster.kept import Kept
from ocinet.cluster.model import Cluster, Host, Mine, Pool, Share
from ocinet.cluster.standing import Sound, Unclear, judge
from ocinet.cluster.store import Change, Entry

if TYPE_CHECKING:
    from collections.abc import Callable

_ID = "6f1c0a52-0c4e-4b6d-9b1e-3d2f00aa1122"
_OTHER = "00000000-0c4e-4b6d-9b1e-3d2f00aa1122"
_PREFIX = Subnet.parse("10.42.3.0/24")
_CLUSTER = Cluster("prod", (Pool(Subnet.parse("10.42.0.0/16"), 24),
                            Pool(Subnet.parse("fd42::/48"), 64)), created_by=_ID)  # fmt: skip
_HOST = Host(_ID, "web1", (Address.parse("10.0.0.1"), Address.parse("fd00::1")),
             "02:1f:00:aa:11:22", nonce="ab" * 16)  # fmt: skip
_SHARE = Share(_PREFIX, _ID)
_ALIVE = Alive("ab" * 8, "0f" * 8, "2026-11-30T16:00:00.000Z")
_FORGOTTEN = Forgotten("ab" * 16, "2026-11-30T16:00:00.000Z", _ID)
_READERS: dict[str, tuple[Callable[[bytes], Any], Any]] = {
    "cluster": (decode.read_cluster, _CLUSTER),
    "host": (lambda data: decode.read_host(_ID, data), _HOST),
    "share": (lambda data: decode.read_share(_PREFIX, data), _SHARE),
    "alive": (decode.read_alive, _ALIVE),
    "forgotten": (decode.read_forgotten, _FORGOTTEN),
}
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(["10.0.0.1", "10.42.0.0/16", "../x", "ff02::1", "0.0.0.0", "a" * 5000]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner,
                                                                max_size=4),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.parametrize("kind", _READERS)
def test_value_that_was_written_is_read_again(kind: str) -> None:
    """As it was."""
    read, value = _READERS[kind]
    assert read(written(value)) == value


@pytest.mark.parametrize("kind", _READERS)
@given(data=st.data())
def test_value_with_any_field_changed_is_read_or_refused(kind: str, data: st.DataObject) -> None:
    """Nothing else comes out than a value or one line."""
    read, value = _READERS[kind]
    fields = json.loads(written(value))
    for name in data.draw(st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=3)):
        fields[name] = data.draw(_JSON)
    _feed(read, json.dumps(fields).encode())


@pytest.mark.parametrize("kind", _READERS)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(kind: str, data: bytes) -> None:
    """Likewise."""
    _feed(_READERS[kind][0], data)


@given(data=st.binary(max_size=60), name=st.text(max_size=40), key=st.sampled_from(
    ["hosts/", "shares/", "alive/", "forgotten/", "config", "names/", "", "hosts"]))  # fmt: skip
def test_census_of_anything_is_one(data: bytes, name: str, key: str) -> None:
    """What it does not obey is told, and all else is there."""
    census = Census.of("prod", _sound())
    census.note(Entry(f"{keys.root('prod')}{key}{name}", data, 9, 9))
    peers, flaws = census.peers(_mine())
    assert [peer.host for peer in peers if peer.host.id == _ID] == [_HOST] * len(peers)
    assert all(line.isprintable() for line in flaws)


@pytest.mark.parametrize(
    ("key", "value"),
    [("config/x", b"{}"), ("config/", b""), ("config", b"x"), ("config", b""),
     ("config", written(_CLUSTER.replace(version=2))),
     ("config", written(_CLUSTER.replace(mtu=1)))],
)  # fmt: skip
def test_config_that_can_not_be_read_takes_no_shares_away(key: str, value: bytes) -> None:
    """Nor does what a later version has beside it; the host knows of which pools they are."""
    census = Census.of("prod", _sound())
    for number in range(200):  # which leave it no room among the flaws
        census.note(Entry(f"{keys.root('prod')}hosts/{number}", b"", 8, 8))
    census.apply((Change(Entry(f"{keys.root('prod')}{key}", value, 9, 9)),))
    assert [peer.shares for peer in census.peers(_mine())[0]] == [(_PREFIX,)]
    kept = Kept(_CLUSTER, _HOST, (_PREFIX,), Access(()))
    standing = judge(census, kept, _HOST)
    if key == "config":
        assert isinstance(standing, Unclear)
        assert "can't be read" in standing.why
    else:
        assert isinstance(standing, Sound)
    census.apply((Change(Entry(f"{keys.root('prod')}config/x", b"", 10, 10), gone=True),))
    census.apply((Change(Entry(keys.config("prod"), written(_CLUSTER), 11, 11)),))
    assert judge(census, kept, _HOST) == Sound()


def _mine(*shares: str) -> Mine:
    """Return another host of the cluster."""
    host = _HOST.replace(id=_OTHER, name="me")
    return Mine(host, tuple(map(Subnet.parse, shares)), _CLUSTER)


def _sound() -> list[Entry]:
    return [
        Entry(keys.config("prod"), written(_CLUSTER), 1, 1),
        Entry(keys.host("prod", _ID), written(_HOST), 2, 2),
        Entry(keys.share("prod", _PREFIX), written(_SHARE), 2, 2),
    ]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"underlay": ["127.0.0.1"]}, "no address by which others reach"),
        ({"underlay": ["224.0.0.1"]}, "no address by which others reach"),
        ({"underlay": ["fe80::1"]}, "no address by which others reach"),
        ({"underlay": ["10.0.0.1", "10.0.0.2"]}, "one address of a family"),
        ({"underlay": []}, "one address of a family"),
        ({"underlay": ["10.0.0.1"] * 900}, "longer than 4096 bytes"),
        ({"mac": "00:11:22:33:44:55"}, "not locally administered"),
        ({"mac": "03:11:22:33:44:55"}, "not locally administered"),
        ({"name": "a\nb"}, "no hostname"),
        ({"name": "$(reboot)"}, "no hostname"),
        ({"public_key": "x; rm"}, "no public key"),
        ({"id": _OTHER}, "it is that of"),
        ({"id": "../../etc/passwd"}, "no host's id"),
        ({"generation": 1 << 64}, "is not from 1 to"),
        ({"generation": True}, "is no number"),
    ],
)
def test_host_that_says_what_can_not_be_is_refused(fields: dict[str, Any], why: str) -> None:
    """Each field is judged."""
    data = json.dumps({**json.loads(written(_HOST)), **fields}).encode()
    with pytest.raises(RequestError, match=why):
        decode.read_host(_ID, data)


@pytest.mark.parametrize(
    ("pools", "why"),
    [
        ([], "0 pools"),
        ([("10.42.0.0/16", 24)] * 9, "9 pools"),
        ([("10.42.0.0/16", 31)], "can't be a /31"),
        ([("10.42.0.0/16", 15)], "can't be a /15"),
        ([("fd00::/8", 64)], "can't be a /64"),
        ([("10.42.0.0/16", 24), ("10.42.128.0/17", 24)], "overlap"),
        ([("224.0.0.0/16", 24)], "not of hosts' addresses"),
        ([("0.0.0.0/0", 8)], "not of hosts' addresses"),
    ],
)
def test_cluster_of_pools_that_can_not_be_is_refused(
    pools: list[tuple[str, int]], why: str
) -> None:
    """Nothing is searched that has no end, and nothing routed that is no host's."""
    fields = json.loads(written(_CLUSTER))
    fields["pools"] = [{"prefix": prefix, "share_length": length} for prefix, length in pools]
    with pytest.raises(RequestError, match=why):
        decode.read_cluster(json.dumps(fields).encode())


def test_share_that_is_of_no_pool_or_another_ones_is_not_obeyed() -> None:
    """Whoever has etcd's password can't send this host's traffic, or the world's, elsewhere."""
    entries = _sound()
    strange = ["192.0.2.0/24", "10.42.3.0/25", "10.42.7.0/24", "10.0.0.0/8"]
    for number, text in enumerate(strange):
        prefix = Subnet.parse(text)
        entries.append(
            Entry(keys.share("prod", prefix), written(Share(prefix, _ID)), 5 + number, 5)
        )
    (peer,), flaws = Census.of("prod", entries).peers(_mine("10.42.7.0/24"))
    assert peer.shares == (_PREFIX,)
    assert [line.rpartition(": ")[2] for line in flaws] == [
        "it is of no pool", "it overlaps an older one", "it overlaps this host's own",
        "it is of no pool",
    ]  # fmt: skip


def _feed(read: Callable[[bytes], Any], data: bytes) -> None:
    refused = ""
    try:
        value = read(data)
    except RequestError as error:
        refused = str(error)
    assert refused.isprintable()
    assert refused or read(written(value)) == value
