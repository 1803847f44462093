"""What a person may name as the end of a way."""

from __future__ import annotations

import pytest

from ocinet.base.errors import RequestError
from ocinet.cli.explain import read_end


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("web", ("web", "icmp", 0)), ("web:80", ("web", "tcp", 80)),
        ("web:53/udp", ("web", "udp", 53)), ("host:22/tcp", ("host", "tcp", 22)),
        ("192.0.2.7", ("192.0.2.7", "icmp", 0)), ("192.0.2.7:53/udp", ("192.0.2.7", "udp", 53)),
        ("fd00::2", ("fd00::2", "icmp", 0)), ("[fd00::2]:80", ("fd00::2", "tcp", 80)),
        ("[fd00::2]", ("fd00::2", "icmp", 0)),
    ],
)  # fmt: skip
def test_read_end(text: str, end: tuple[str, str, int]) -> None:
    """Names, addresses of both families, ports and protocols."""
    assert read_end(text) == end


@pytest.mark.parametrize("text", ["", ":80", "web:0", "web:65536", "web:80/sctp", "web:99999999"])
def test_read_end_refuses_what_is_none(text: str) -> None:
    """With what would be one."""
    with pytest.raises(RequestError):
        read_end(text)
