"""Which names are legal in the DNS, whoever wrote them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocinet.base.dns_names import check_given, dns_name, is_taken
from ocinet.base.errors import RequestError
from ocinet.engine.model.name_holders import OWN_END

if TYPE_CHECKING:
    from collections.abc import Callable

_LEGAL = re.compile(r"[a-z0-9_][a-z0-9_-]{0,62}(\.[a-z0-9_][a-z0-9_-]{0,62})*")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("DB", "db"),
        ("db.Example.", "db.example"),
        ("_tcp.a", "_tcp.a"),
        ("B\u00dcCHER.example", "xn--bcher-kva.example"),
        ("\u212aelvin", "kelvin"),  # the sign of kelvin, which IDNA takes for a k
        ("a\u3002b", "a.b"),  # an ideographic full stop parts labels: RFC 3490 3.1
        ("x" * 63, "x" * 63),
    ],
)
def test_name_comes_as_it_is_asked_for(text: str, name: str) -> None:
    """Resolvers compare without case, and ask in ASCII."""
    assert dns_name(text) == name


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "use letters"),
        (".", "use letters"),
        ("a..b", "use letters"),
        ("-a", "use letters"),
        ("a b", "use letters"),
        ("a\nb", "use letters"),
        ("a,b", "use letters"),
        ("a#b", "use letters"),
        ("\u00fc b", "use letters"),
        ("x" * 64, "63 characters between dots"),
        ("\u00fc" * 60, "no form in the DNS|63 characters"),
        (".".join(["abcdefgh"] * 30), "253 in all"),
        ("\u00fc" * 254, "253 characters at most"),
        ("\ud800", "no form in the DNS"),
        ("10.9.0.2", "read as an address"),
        ("1234", "read as an address"),
        ("db.0x7f", "read as an address"),
        ("0X7F", "read as an address"),
    ],
)
def test_what_is_no_name_is_refused_with_what_to_do(text: str, why: str) -> None:
    """On one line, whatever it holds."""
    with pytest.raises(RequestError) as raised:
        dns_name(text)
    assert re.search(why, f"{raised.value}\n{raised.value.hint}")
    assert "\n" not in str(raised.value)


@given(st.text(max_size=300) | st.text("abz09-_.\u00fc\u00df\u212a\u3002", max_size=80))
def test_any_text_is_a_legal_name_or_refused(text: str) -> None:
    """What comes out can begin no line and no word of a file, and comes out of itself."""
    try:
        name = dns_name(text)
    except RequestError:
        return
    assert _LEGAL.fullmatch(name)
    assert len(name) <= 253
    assert dns_name(name) == name
    assert dns_name(name.upper()) == name


@pytest.mark.parametrize(
    "name",
    ["localhost", "web.localhost", "web.dns.ocinet.internal",
     "host.ocinet.internal", "host.docker.internal",
     "host.containers.internal", "ocinet.internal", "_gateway", "localhost6"],
)  # fmt: skip
@pytest.mark.parametrize("spell", [str, str.upper, "{}.".format])
def test_names_of_the_host_are_taken(name: str, spell: Callable[[str], str]) -> None:
    """Whoever had one would be asked what the host is, however that is written."""
    assert is_taken(dns_name(spell(name)))
    assert not is_taken("web")


def test_what_ends_own_names_in_a_line_is_none() -> None:
    """Nobody can have it, and no question can hold it."""
    with pytest.raises(RequestError, match="is no name"):
        dns_name(OWN_END)


def test_name_that_means_the_host_is_given_to_nobody() -> None:
    """Not by its user's word either."""
    with pytest.raises(RequestError, match="means the host"):
        check_given("host.docker.internal")
    assert check_given("db.example") == "db.example"
