"""The lease file's content."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import BOOT, lease
from ocinet.base.address import Address
from ocinet.base.clock import Process
from ocinet.base.errors import RequestError
from ocinet.ipam.lease import Holder, Lease, Tombstone, read_lease

LEASE = lease(time="2024-05-01T12:00:00.000Z")
_TEXTS = st.text(max_size=20)
_HOLDERS = st.builds(
    Holder,
    st.text(min_size=1, max_size=20),
    st.text(min_size=1, max_size=15),
    _TEXTS,
    _TEXTS,
    st.none() | st.builds(Process, st.integers(1, 1 << 22), st.integers(0, 1 << 60)),
    _TEXTS,
)
_ADDRESSES = st.builds(Address, st.just(4), st.integers(0, (1 << 32) - 1)) | st.builds(
    Address, st.just(6), st.integers(0, (1 << 128) - 1)
)


@given(st.builds(Lease, st.text(min_size=1), _ADDRESSES, _HOLDERS, _TEXTS))
def test_read_lease_returns_what_was_written(lease: Lease) -> None:
    """Every lease comes back as it was."""
    assert read_lease(lease.to_json().encode()) == lease


def test_read_lease_passes_over_unknown_keys() -> None:
    """A newer version's file can be read."""
    content = json.dumps({**json.loads(LEASE.to_json()), "colour": "red"})

    assert read_lease(content.encode()) == LEASE


def test_read_lease_of_the_least_a_file_must_say() -> None:
    """Whose it is; nothing is known of the holder's life then."""
    content = b'{"network": "lan", "address": "10.9.0.5", "container": "web", "ifname": "eth0"}'

    assert read_lease(content) == Lease(
        "lan", Address.parse("10.9.0.5"), Holder("web", "eth0", "", "", None, ""), ""
    )


def test_read_lease_of_a_tombstone_returns_it() -> None:
    """What keeps a quarantined name is no lease and no error."""
    tombstone = Tombstone("it is empty", "2024-05-01T12:00:00.000Z")

    assert read_lease(tombstone.to_json().encode()) == tombstone


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"\0" * 100, "not JSON"),
        (b"[]", "no JSON object"),
        (b"{}", "no network"),
        (LEASE.to_json().encode()[:-9], "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (LEASE.to_json().replace('"10.9.0.5"', '"10.9.0.555"').encode(), "no IP address"),
        (LEASE.to_json().replace('"web"', "[]").encode(), "container is no text"),
        (LEASE.to_json().replace('"web"', '""').encode(), "container is empty"),
        (LEASE.to_json().replace('"pid": 7', '"pid": "7"').encode(), "pid is no number"),
        (LEASE.to_json().replace('"pid": 7', '"pid": true').encode(), "no number"),
        (LEASE.to_json().replace('"pid": 7', '"pid": -7').encode(), "no number"),
    ],
)
def test_read_lease_of_junk_says_what_is_wrong(content: bytes, why: str) -> None:
    """Nothing but a lease is taken for one."""
    with pytest.raises(RequestError, match=why):
        read_lease(content)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"process": None}, True),
        ({"container": "db"}, False),
        ({"ifname": "eth1"}, False),
        ({"sandbox": "4:2"}, False),
        ({"boot_id": BOOT[::-1]}, False),
    ],
)
def test_same_endpoint_compares_what_the_endpoint_is(change: dict[str, str], same: bool) -> None:
    """A container's interface in one sandbox of one boot, whatever process was first."""
    holder = LEASE.holder

    assert holder.same_endpoint(holder.replace(**change)) is same
