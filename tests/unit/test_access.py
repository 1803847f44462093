"""Who may talk to whom: from what users say to elements of our table."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import access_record, network
from ocinet.base.address import Address, Subnet
from ocinet.base.errors import RequestError
from ocinet.engine.model.access import Access, Allowance
from ocinet.engine.model.resolution import Alias, Resolution
from ocinet.engine.plan.access import _apart, every_element, names_on, own_elements
from ocinet.engine.plan.exposed import listening
from ocinet.engine.ruleset.spans import Span
from ocinet.request.access import parse_access, spell_access

APART = {"apart": network("apart", "10.7.0.0/24", siblings=False)}


def access(**keys: str) -> Access:
    """Return what is read of `ocinet.KEY=VALUE`."""
    return parse_access({f"ocinet.{key}": text for key, text in keys.items()})


def shown(elements: Any) -> list[str]:
    """Return elements as `SET field field …`, sorted."""
    return sorted(f"{each.set.name} {' '.join(map(str, each.key))}" for each in elements)


@pytest.mark.parametrize(
    ("exposed", "ports"),
    [
        (("81/tcp", "80/tcp", "53/udp", "80/udp"), ["80-81/tcp", "53/udp", "80/udp"]),
        (("8000-8100/tcp",), ["8000-8100/tcp"]),
        (("80",), ["80/tcp"]),
        (("", "x/tcp", "0/tcp", "65536/tcp", "80/icmp", "1-9999999999/tcp"), []),
        (("1-1024/tcp",), ["1-1024/tcp"]),
        (("1-1025/tcp",), []),
    ],
)
def test_what_is_exposed_is_read_as_few_ranges(exposed: tuple[str, ...], ports: list[str]) -> None:
    """It is an image's word, so any text, and no more of it than can be entered."""
    assert [each.ports for each in listening(exposed)] == ports


@pytest.mark.parametrize(
    ("key", "text", "spelled"),
    [
        ("allow", "web", "web"),
        ("allow", "Web:8080,db:80-90/udp", "web:8080/tcp,db:80-90/udp"),
        ("allow", "10.0.0.0/8:443,10.9.0.1", "10.0.0.0/8:443/tcp,10.9.0.1"),
        ("allow", "[fd00::/64]:443,[fd00::1],fd00::2", "[fd00::/64]:443/tcp,fd00::1,fd00::2"),
        ("allow", "none", "none"),
        ("expose", "80,53/udp@web,22@10.0.0.0/8", "80/tcp,53/udp@web,22/tcp@10.0.0.0/8"),
        ("expose", "80@fd00::/64", "80/tcp@fd00::/64"),
        ("egress", "none", "none"),
        ("egress", "any", "0.0.0.0/0,::/0"),
        ("egress", "lan,198.51.100.7:25", "lan,198.51.100.7:25/tcp"),
        ("egress", "API.example.com:443,example.com", "api.example.com:443/tcp,example.com"),
    ],
)
def test_wishes_are_read_and_spelled(key: str, text: str, spelled: str) -> None:
    """What is spelled is read again as the same."""
    asked = access(**{key: text})
    assert spell_access(asked) == {f"ocinet.{key}": spelled}
    assert access(**{key: spelled}) == asked


@pytest.mark.parametrize(
    ("key", "text", "why"),
    [
        ("allow", "web:", "has no port after its colon"),
        ("allow", ":80", "names nobody"),
        ("allow", "web:0", "is no port"),
        ("allow", "web:90-80", "is no port"),
        ("allow", "web:80/icmp", "is no protocol"),
        ("allow", "web,web", "comes twice"),
        ("allow", "10.0.0.300", "is no IP address"),
        ("allow", "10.0.0.5/24", "has host bits set"),
        ("allow", "[web]:80", "has no address in its brackets"),
        ("allow", "web:1-2000", "has more than 1024 ports"),
        ("allow", "web db", "is no container's name or address"),
        ("egress", f"{'long-label.' * 20}example.com", "is longer than 200 characters"),
        ("expose", "@web", "has no port"),
        ("expose", "80@", "does not say from whom"),
        ("expose", "web", "is no port"),
        ("egress", "example.com/x", "is no ADDRESS/PREFIXLEN"),
        ("egress", "Lan", "is no network name"),
    ],
)
def test_wish_that_makes_no_sense_is_refused_by_its_key(key: str, text: str, why: str) -> None:
    """With what is wrong about it."""
    with pytest.raises(RequestError) as refused:
        access(**{key: text})
    assert refused.value.what == f"ocinet.{key}"
    assert why in refused.value.why


def test_what_is_not_said_again_stays() -> None:
    """Said as none, it is taken back."""
    before = access(allow="db", egress="none")
    assert access(expose="80").over(before) == access(allow="db", egress="none", expose="80")
    assert access(allow="none").over(before).allow == ()


def test_names_open_pairs_and_ports_those_who_have_them() -> None:
    """By either's word, once; nobody else."""
    web = access_record("web", "10.7.0.2").replace(access=access(allow="db:5432,db:80-81"))
    db = access_record("db", "10.7.0.3").replace(access=access(expose="5432@web,53/udp"))
    other = access_record("other", "10.7.0.4").replace(access=Access())
    assert shown(every_element((web, db, other), APART.get)) == [
        "expose4 10.7.0.3 udp 53",
        "pair4 10.7.0.2 10.7.0.3 tcp 5432",
        "pair4 10.7.0.2 10.7.0.3 tcp 80",
        "pair4 10.7.0.2 10.7.0.3 tcp 81",
    ]


def test_all_of_one_is_more_than_its_ports() -> None:
    """One entry says it."""
    web = access_record("web", "10.7.0.2").replace(access=access(allow="db,db:80"))
    db = access_record("db", "10.7.0.3").replace(access=Access())
    assert shown(every_element((web, db), APART.get)) == ["pair4_all 10.7.0.2 10.7.0.3"]


def test_container_on_a_network_that_lets_all_talk_has_nothing_entered() -> None:
    """Unless its packets may not leave: then by where they may go all the same."""
    lan = {"lan": network("lan", "10.7.0.0/24"), "dmz": network("dmz", "10.8.0.0/24")}
    web = access_record("web", "10.7.0.2", network="lan")
    assert own_elements(web.replace(access=access(allow="10.0.0.0/8", expose="80")), lan.get) == ()
    kept = web.replace(access=access(allow="192.0.2.1:80", egress="dmz:443"))
    assert shown(own_elements(kept, lan.get)) == [
        "allow4 10.7.0.2/32 192.0.2.1/32 tcp 80",
        "kept4 10.7.0.2",
        "leave4 10.7.0.2/32 10.8.0.0/24 tcp 443",
    ]


WISHES = st.lists(
    st.tuples(
        st.builds(
            lambda value, length: Subnet(4, value >> (32 - length) << (32 - length), length),
            st.integers(0x0A000000, 0x0A00000F),
            st.integers(28, 32),
        ),
        st.builds(
            lambda protocol, first, more: (
                Allowance(protocol=protocol, first=first, last=first + more)
                if protocol
                else Allowance()
            ),
            st.sampled_from(["tcp", "udp", ""]),
            st.integers(1, 6),
            st.integers(0, 3),
        ),
    ),
    max_size=6,
)
_NUMBERS = {"tcp": 6, "udp": 17}


@given(WISHES)
def test_intervals_mean_what_is_wished_and_never_overlap(
    wishes: list[tuple[Subnet, Allowance]],
) -> None:
    """Each packet that is allowed is in one of them, and in one alone: else the kernel refuses."""
    pieces = list(_apart(wishes))
    for value in range(0x0A000000, 0x0A000010):
        for protocol in (6, 17, 1):
            for port in range(11):
                wished = any(
                    Address(4, value) in subnet
                    and (
                        not wish.protocol
                        or (_NUMBERS[wish.protocol] == protocol and wish.first <= port <= wish.last)
                    )
                    for subnet, wish in wishes
                )
                meant = sum(_holds(piece, (value, protocol, port)) for piece in pieces)
                assert meant == wished


def _holds(piece: tuple[Any, ...], packet: tuple[int, ...]) -> bool:
    return all(
        first <= number <= last
        for (first, last), number in zip(map(_ends, piece), packet, strict=True)
    )


def _ends(field: Any) -> tuple[int, int]:
    if isinstance(field, Subnet):
        return field.first.value, field.last.value
    if isinstance(field, Span):
        return _ends(field.first)[0], _ends(field.last)[1]
    number = _NUMBERS.get(field, field)
    value = number.value if isinstance(number, Address) else number
    return value, value


def test_name_of_dns_is_what_it_leads_to_of_either_family() -> None:
    """Two that lead to the same address are no conflict; what nobody knows opens nothing."""
    lan = {"lan": network("lan", "10.7.0.0/24", "fd00:7::/64")}
    web = access_record("web", "10.7.0.2", "fd00:7::2", network="lan")
    kept = web.replace(access=access(egress="a.example:443,b.example,unknown.example"))
    leads = {"a.example": ("192.0.2.7", "2001:db8::7"), "b.example": ("192.0.2.7",)}

    def resolve(name: str) -> tuple[Address, ...]:
        return tuple(map(Address.parse, leads.get(name, ())))

    assert shown(own_elements(kept, lan.get, resolve)) == [
        "kept4 10.7.0.2",
        "kept6 fd00:7::2",
        "leave4 10.7.0.2/32 192.0.2.7/32 0-255 0-65535",
        "leave6 fd00:7::2/128 2001:db8::7/128 tcp 443",
    ]


def test_alias_that_is_longer_than_a_file_may_be_called_is_nobodys_to_mean() -> None:
    """The others are."""
    alias = Alias(".".join(["a" * 60] * 4))
    web = access_record("web", "10.7.0.2").replace(resolution=Resolution(aliases=(alias,)))
    assert names_on(web, "apart") == ("web",)


def test_number_that_is_no_port_is_not_counted_up_to() -> None:
    """A bundle written by hand may say anything; a hook has to end."""
    said = ("0-999999999", "70000-70001", "٣", "8080-8081/tcp", "53/udp")
    assert [each.ports for each in listening(said)] == ["8080-8081/tcp", "53/udp"]
