"""At which address others reach this host, as names of etcd's come and go."""

from __future__ import annotations

import socket

import pytest

from ocinet.base.address import Address
from ocinet.base.errors import NotFoundError
from ocinet.cluster import underlay
from ocinet.cluster.access import Endpoint
from ocinet.cluster.underlay import underlay_of

_BEFORE = (Address.parse("10.90.0.7"),)
_NOWHERE = Endpoint("etcd.invalid")  # RFC 6761: nobody resolves it


@pytest.fixture(autouse=True)
def _no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no name resolved, and the default route leave by an address of its own."""
    resolve = socket.getaddrinfo

    def numbers_alone(host: str, *words: int, **named: int) -> object:
        if host == _NOWHERE.host:
            raise socket.gaierror(socket.EAI_AGAIN, "a resolver that does not answer")
        return resolve(host, *words, **named)

    monkeypatch.setattr(socket, "getaddrinfo", numbers_alone)
    monkeypatch.setattr(underlay, "_source", lambda text, _family: Address.parse(text))


@pytest.mark.parametrize("others", [(), (Endpoint("192.0.2.7"),)])
def test_host_stays_where_it_was_while_names_are_not_resolved(others: tuple[Endpoint, ...]) -> None:
    """Neither the default route nor the next endpoint of several moves it for all others."""
    assert underlay_of("", (_NOWHERE, *others), _BEFORE) == _BEFORE


def test_host_that_was_nowhere_yet_is_told_which_name_is_not_resolved() -> None:
    """A guess would be kept; another endpoint will do, though."""
    with pytest.raises(NotFoundError, match=r"etcd\.invalid can't be resolved"):
        underlay_of("", (_NOWHERE,))
    assert underlay_of("", (_NOWHERE, Endpoint("192.0.2.7"))) == (Address.parse("192.0.2.7"),)
