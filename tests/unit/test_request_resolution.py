"""Resolvers and names of hosts in `ocinet.*` keys: what is taken, and what is said to the rest."""

from __future__ import annotations

import pytest

from ocinet.base.address import Address
from ocinet.base.errors import RequestError
from ocinet.engine.model.resolution import AddedHost, Alias, LinkedName, Resolution
from ocinet.request.annotations import parse_annotations
from ocinet.request.spelling import to_annotations
from ocinet.request.trust import needs_trust

_SEVEN, _SIX = Address.parse("192.0.2.7"), Address.parse("fd00::7")


def _parsed(**words: str) -> Resolution | None:
    keys = {f"ocinet.{word.replace('_', '-')}": text for word, text in words.items()}
    request = parse_annotations(keys)
    assert request
    return request.resolution


def test_parse_keys_gives_each_list_in_its_order() -> None:
    """With the default network, as any key does."""
    wishes = _parsed(
        dns="192.0.2.7, fd00::7,127.0.0.1",
        dns_search="corp.example,Example.COM.,_tcp.example",
        dns_option="ndots:2, edns0,single-request-reopen",
        add_host="db:192.0.2.7,db=fd00::7,six:[fd00::7],up:host-gateway",
    )
    assert wishes == Resolution(
        (_SEVEN, _SIX, Address.parse("127.0.0.1")),
        ("corp.example", "Example.COM.", "_tcp.example"),
        ("ndots:2", "edns0", "single-request-reopen"),
        (
            AddedHost("db", _SEVEN),
            AddedHost("db", _SIX),
            AddedHost("six", _SIX),
            AddedHost("up", None),
        ),
    )
    assert _parsed(dns_search=".") == Resolution(search=(".",))


def test_parse_aliases_hostname_and_links_gives_names_as_they_are_asked_for() -> None:
    """An alias is for each network, or an option of one; a link's name is its target's."""
    wishes = _parsed(
        net="lan:alias=DB,alias=b\u00fccher;dmz:ip=10.9.0.5,alias=db",
        alias="Shop, www.example", hostname="Web1", link="postgres:DB,Cache",
    )  # fmt: skip
    assert wishes
    assert wishes.hostname == "web1"
    assert wishes.aliases == (
        Alias("shop"), Alias("www.example"), Alias("db", "lan"), Alias("xn--bcher-kva", "lan"),
        Alias("db", "dmz"),
    )  # fmt: skip
    assert wishes.links == (LinkedName("postgres", "db"), LinkedName("Cache", "cache"))
    request = parse_annotations({"ocinet.net": "lan:alias=db"})
    assert request
    assert needs_trust(request, ("lan",)) == ("an alias",)


def test_later_aliases_take_the_place_of_those_of_their_network() -> None:
    """Who is put on one more network keeps what it is called on the others."""
    before = Resolution(aliases=(Alias("www"), Alias("db", "lan")), hostname="web1")
    after = Resolution(aliases=(Alias("db", "dmz"), Alias("shop")))
    assert after.over(before) == Resolution(
        aliases=(Alias("db", "lan"), Alias("db", "dmz"), Alias("shop")), hostname="web1"
    )


def test_parse_without_these_keys_wishes_nothing() -> None:
    """Then nothing of this is loaded, either: `test_hook_imports`."""
    assert _parsed(net="lan") is None


@pytest.mark.parametrize(
    ("word", "text", "why"),
    [
        ("dns", "resolver.example", "'resolver.example'"),
        ("dns", "fe80::1%eth0", "'fe80::1%eth0'"),
        ("dns", "0.0.0.0", "no address of a resolver"),
        ("dns", "224.0.0.1", "no address of a resolver"),
        ("dns", "::ffff:192.0.2.7", "no address of a resolver"),
        ("dns", "192.0.2.1,192.0.2.2,192.0.2.3,192.0.2.4", "there are more than 3 of them"),
        ("dns", "fd00::1,FD00:0::1", "'FD00:0::1' comes twice|'fd00::1' comes twice"),
        ("dns", "192.0.2.1,", "has an empty item"),
        ("dns", " ", "its value is empty"),
        ("dns-search", "corp example", "is no domain"),
        ("dns-search", "a..b", "is no domain"),
        ("dns-search", "-a.example", "is no domain"),
        ("dns-search", "x" * 64, "is no domain"),
        ("dns-search", ".".join(["abcdefgh"] * 30), "is no domain"),
        ("dns-search", "a.example\nnameserver 192.0.2.9", "is no domain"),
        ("dns-search", "\u00fc.example", "is no domain"),
        ("dns-search", ".,a.example", "leave one of them out"),
        ("dns-option", "ndots:two", "is no option of resolv.conf"),
        ("dns-option", "ndots:", "is no option of resolv.conf"),
        ("dns-option", ":2", "is no option of resolv.conf"),
        ("dns-option", "ed ns0", "is no option of resolv.conf"),
        ("dns-option", "-edns0", "is no option of resolv.conf"),
        ("add-host", "db", "write NAME:ADDRESS"),
        ("add-host", ":192.0.2.7", "write NAME:ADDRESS"),
        ("add-host", "db:", "''"),
        ("add-host", "db:web", "'web'"),
        ("add-host", "db:0.0.0.0", "no address of a single host"),
        ("add-host", "db web:192.0.2.7", "is no name of a host"),
        ("add-host", "db\t:192.0.2.7", "is no name of a host"),
        ("add-host", "db#:192.0.2.7", "is no name of a host"),
        ("add-host", "db:192.0.2.7,db:192.0.2.7", "comes twice"),
        ("alias", "a b", "is no name of a container"),
        ("alias", "db,DB", "comes twice"),
        ("alias", "host.docker.internal", "means the host"),
        ("alias", "10.9.0.2", "read as an address"),
        ("net", "lan:alias=db,alias=DB", "db comes twice"),
        ("hostname", "a,b", "is no hostname"),
        ("hostname", "localhost", "means the host"),
        ("hostname", "x.example." + "y" * 60, "longer than a hostname may be"),
        ("link", "a/b", "is no container's name or id"),
        ("link", "db:", "is no name for a container"),
        ("link", "my+db", "is no name for a container"),
        ("link", "a:db,b:db", "db would be two containers"),
        ("link", "a:localhost", "means the host"),
    ],
)
def test_parse_illegal_value_tells_key_and_why(word: str, text: str, why: str) -> None:
    """One line, and nothing that could begin another one in a file."""
    with pytest.raises(RequestError, match=why) as raised:
        parse_annotations({f"ocinet.{word}": text})
    assert str(raised.value).startswith(f"ocinet.{word}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("net", ["none", "host", "container:web"])
def test_parse_beside_a_mode_without_a_network_is_refused(net: str) -> None:
    """Another's sandbox has its names already."""
    with pytest.raises(RequestError, match="it does not go with"):
        parse_annotations({"ocinet.net": net, "ocinet.dns": "192.0.2.7"})


def test_parse_of_an_unknown_key_tells_the_nearest() -> None:
    """As podman's users write it."""
    with pytest.raises(RequestError, match="dns-option"):
        parse_annotations({"ocinet.dns-opt": "ndots:2"})


def test_needs_trust_names_each_of_the_keys() -> None:
    """Whoever says what a name leads to reads what is meant for others."""
    keys = {
        "ocinet.dns": "192.0.2.7",
        "ocinet.dns-search": "a.example",
        "ocinet.dns-option": "ndots:2",
        "ocinet.add-host": "db:192.0.2.7",
        "ocinet.hostname": "web1",
        "ocinet.alias": "db",
        "ocinet.link": "postgres:db",
    }
    for key, text in keys.items():
        request = parse_annotations({key: text})
        assert request
        assert needs_trust(request) == (key,)
        assert to_annotations(request) == {"ocinet.net": "bridge", key: text}


def test_later_wishes_take_the_place_of_those_of_their_kind() -> None:
    """What they say nothing of stays as it was."""
    before = Resolution((_SEVEN,), ("a.example",), ("ndots:2",))
    after = Resolution(servers=(_SIX,), hosts=(AddedHost("up", None),))
    assert after.over(before) == Resolution(
        (_SIX,), ("a.example",), ("ndots:2",), (AddedHost("up", None),)
    )
    assert after.over(None) == after
