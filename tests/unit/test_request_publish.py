"""The grammar of published ports, which is Docker's `-p`."""

from __future__ import annotations

import pytest

from ocinet.base.address import Address
from ocinet.base.errors import RequestError
from ocinet.engine.model.request import Publish
from ocinet.request.publish import parse_publish, spell_publish

_HOME = Address.parse("127.0.0.1")
_ULA = Address.parse("fd00::5")


@pytest.mark.parametrize(
    ("text", "publishes"),
    [
        ("8080:80", [Publish("tcp", None, 8080, 80)]),
        ("80", [Publish("tcp", None, 0, 80)]),
        ("80/UDP", [Publish("udp", None, 0, 80)]),
        ("127.0.0.1::80", [Publish("tcp", _HOME, 0, 80)]),
        ("127.0.0.1:5353:53/udp", [Publish("udp", _HOME, 5353, 53)]),
        ("0.0.0.0:80:80", [Publish("tcp", Address(4, 0), 80, 80)]),
        ("[::]:80:80", [Publish("tcp", Address(6, 0), 80, 80)]),
        ("[fd00::5]:80:81/SCTP", [Publish("sctp", _ULA, 80, 81)]),
        ("[fd00::5]::81", [Publish("tcp", _ULA, 0, 81)]),
        ("90-91:80-81", [Publish("tcp", None, 90, 80), Publish("tcp", None, 91, 81)]),
        (":80", [Publish("tcp", None, 0, 80)]),
        ("::80", [Publish("tcp", None, 0, 80)]),
        (":8080:80", [Publish("tcp", None, 8080, 80)]),
        ("0:80", [Publish("tcp", None, 0, 80)]),
        ("127.0.0.1:0:80", [Publish("tcp", _HOME, 0, 80)]),
        ("fd00::5:8080:80/udp", [Publish("udp", _ULA, 8080, 80)]),
        ("fd00::5::80", [Publish("tcp", _ULA, 0, 80)]),
        (":::8080:80", [Publish("tcp", Address(6, 0), 8080, 80)]),
        ("8000-9000:80", [Publish("tcp", None, 0, 80, (8000, 9000))]),
        ("127.0.0.1:8000-8001:80/sctp", [Publish("sctp", _HOME, 0, 80, (8000, 8001))]),
        ("8000-8000:80", [Publish("tcp", None, 8000, 80)]),
        ("127.0.0.1:90-91:80-81/udp",
         [Publish("udp", _HOME, 90, 80), Publish("udp", _HOME, 91, 81)]),
        ("[fd00::5]:90-91:80-81", [Publish("tcp", _ULA, 90, 80), Publish("tcp", _ULA, 91, 81)]),
        (":80-81", [Publish("tcp", None, 0, 80), Publish("tcp", None, 0, 81)]),
        ("80-81", [Publish("tcp", None, 0, 80), Publish("tcp", None, 0, 81)]),
        ("127.0.0.1::80-81", [Publish("tcp", _HOME, 0, 80), Publish("tcp", _HOME, 0, 81)]),
        ("80:80/tcp, 80:80/udp", [Publish("tcp", None, 80, 80), Publish("udp", None, 80, 80)]),
        ("127.0.0.1:80:80,10.0.0.1:80:81",
         [Publish("tcp", _HOME, 80, 80), Publish("tcp", Address.parse("10.0.0.1"), 80, 81)]),
        ("0.0.0.0:80:80,[::]:80:80",
         [Publish("tcp", Address(4, 0), 80, 80), Publish("tcp", Address(6, 0), 80, 80)]),
        ("80,127.0.0.1::80", [Publish("tcp", None, 0, 80), Publish("tcp", _HOME, 0, 80)]),
    ],
)  # fmt: skip
def test_parse_publish_follows_docker(text: str, publishes: list[Publish]) -> None:
    """Every form that Docker takes is read, and ranges are expanded."""
    assert parse_publish(text, "-p") == tuple(publishes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0", "'0' is no port (hint: use 1 to 65535)"),
        ("65536", "'65536' is no port"),
        ("80:", "'' is no port"),
        ("+80", "'+80' is no port"),
        ("\uff18\uff10", "is no port"),
        ("80/", "'' is no protocol (hint: use tcp, udp, sctp)"),
        ("80/icmp", "'icmp' is no protocol"),
        ("80,,81", "has an empty item"),
        ("0-10:80", "'0' is no port"),
        ("0:0", "'0' is no port"),
        ("[]:80:80", "'' is no IP address"),
        ("::1:80:80", "[::1] can't be published"),
        ("::1:80", "':' is no IP address"),
        ("fd00::5:80", "'fd00:' is no IP address"),
        ("fe80::1%eth0:80:80", "is no IP address"),
        ("8000-8010:80,8000-8010:80", "overlaps"),
        ("8000-8010:80-81", "the two ranges differ in length"),
        ("80:80-81", "the two ranges differ in length"),
        ("81-80", "'81-80' runs backwards"),
        ("80-", "'' is no port"),
        ("1-65535", "-p: '1-65535': there are more than 1024 ports"),
        ("1-1000:1-1000,2001-2100:2001-2100", "-p: there are more than 1024 ports in it"),
        ("[::1]:80:80", "[::1] can't be published: the kernel redirects no packets to it"),
        ("[fd00::5:80:80", "write [ADDRESS]:HOST-PORT:PORT"),
        ("[fd00::5]80:80", "write [ADDRESS]:HOST-PORT:PORT"),
        ("[fd00::5]:80", "write [ADDRESS]:HOST-PORT:PORT"),
        ("[10.0.0.1]:80:80", "leave the brackets out"),
        ("[::ffff:10.0.0.1]:80:80", "is no address of the host"),
        ("224.0.0.1:80:80", "is no address of the host"),
        ("[ff02::1]:80:80", "is no address of the host"),
        ("localhost:80:80", "'localhost' is no IP address"),
        ("127.0.0.1:80", "'127.0.0.1' is no port"),
        ("80:80,80:81", "'80:81': it overlaps another one"),
        ("80:80,127.0.0.1:80:81", "overlaps"),
        ("127.0.0.1:80:81,80:80", "overlaps"),
        ("127.0.0.1:80:81,0.0.0.0:80:80", "overlaps"),
        ("0.0.0.0:80:80,127.0.0.1:80:81", "overlaps"),
        ("0.0.0.0:80:80,80:81", "overlaps"),
        ("90-99:90-99,95:95", "overlaps"),
        ("80,80", "overlaps"),
    ],
)
def test_parse_publish_refuses_with_the_reason(text: str, said: str) -> None:
    """What can't be published as it is written is refused, never guessed."""
    with pytest.raises(RequestError) as caught:
        parse_publish(text, "-p")
    assert said in str(caught.value)
    assert str(caught.value).startswith("-p: ")


def test_parse_publish_at_the_limit_is_taken() -> None:
    """1024 ports are allowed."""
    assert len(parse_publish("1-1024:1-1024", "-p")) == 1024


@pytest.mark.parametrize(
    "text", ["80/tcp", "8000-9000:80/udp", "127.0.0.1:8000-9000:80/tcp", "[fd00::5]::80/sctp"]
)
def test_spelled_port_is_read_as_it_was(text: str) -> None:
    """What a bundle's annotation says is what the flag said."""
    (publish,) = parse_publish(text, "-p")
    assert spell_publish(publish) == text
