"""Who of a network is on other hosts, as lines, and beside those who are here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocinet.base.address import Address, Subnet
from ocinet.base.errors import RequestError
from ocinet.engine.model.access import Allowance
from ocinet.engine.model.elsewhere import (
    Elsewhere,
    read_elsewhere,
    shown_elsewhere,
    spelled,
    with_elsewhere,
)
from ocinet.engine.model.name_holders import OWN_END, Contested, own_part
from ocinet.engine.model.served import has_containers, has_elsewhere, lines_by_id

_HEAD = "10.9.0.1\n@lan 10.9.0.1  host.ocinet.internal\n"
_FAR = Address.parse("10.9.7.2")


def _far(*own: str, where: str = "h2", aliases: tuple[str, ...] = (), since: str = "") -> Elsewhere:
    return Elsewhere(where, f"{own[0]}-id", (_FAR,), own, aliases, since)


def _line(container_id: str, *names: str) -> str:
    return f"{container_id} 10.9.0.2  {','.join(names)}\n"


def test_lines_of_elsewhere_stand_before_those_of_here_and_count_for_none() -> None:
    """A file that has nobody of here has no containers; the same again changes nothing."""
    text = with_elsewhere(_HEAD + _line("a1", "web", "a1"), [_far("db")]).text
    assert text == f"{_HEAD}~h2/db-id 10.9.7.2  db,{OWN_END}\n{_line('a1', 'web', 'a1')}"
    assert with_elsewhere(text, [_far("db")]).text == text
    assert has_containers(text)
    assert list(lines_by_id(text)) == ["a1"]
    alone = with_elsewhere(_HEAD, [_far("db")]).text
    assert (has_containers(alone), has_elsewhere(alone)) == (False, True)
    assert with_elsewhere(text, ()).text == _HEAD + _line("a1", "web", "a1")


def test_name_of_two_is_whose_came_first_whichever_host_asks() -> None:
    """The one here gives it up if it came later; with a tie, the host's name decides."""
    here = _HEAD + _line("a1", "web", "a1", "x")
    for since, keeps in (("2", True), ("4", False), ("3", True)):
        ranks = {"a1": (since, "h1", "a1")}
        merged = with_elsewhere(here, [_far("web", since="3")], (), ranks.__getitem__)
        assert (_line("a1", "web", "a1", "x") in merged.text) is keeps
        assert bool(merged.contested) is not keeps
    assert merged.contested == ()
    merged = with_elsewhere(here, [_far("web", since="3")], (), lambda own: ("4", "h1", own))
    assert merged.contested == (Contested("web", "~h2/web-id", "a1"),)
    assert merged.text.endswith(_line("a1", "a1", "x"))


def test_alias_gives_way_to_who_is_called_so_on_any_host_and_is_shared_else() -> None:
    """Here and elsewhere; what the host is called is nobody's."""
    here = _HEAD + _line("a1", "web", "a1", "db", "www")
    far = [_far("db"), _far("shop", aliases=("web", "www", "rock"))]
    merged = with_elsewhere(here, far, ["rock"])
    assert merged.contested == (Contested("db", "~h2/db-id", "a1"),)
    assert merged.text.splitlines()[2:] == [
        f"~h2/db-id 10.9.7.2  db,{OWN_END}", f"~h2/shop-id 10.9.7.2  shop,{OWN_END},www",
        "a1 10.9.0.2  web,a1,www",
    ]  # fmt: skip


def test_two_elsewhere_that_are_called_alike_have_one_of_them_found() -> None:
    """The first to come; who has no name left has no line."""
    there = [_far("web", since="2"), _far("web", where="h3", since="1")]
    assert with_elsewhere(_HEAD, there).text == f"{_HEAD}~h3/web-id 10.9.7.2  web,{OWN_END}\n"


def test_what_is_kept_is_read_again() -> None:
    """All of it; half a line is none."""
    wishes = (
        Allowance("web", None, "tcp", 80, 90),
        Allowance("x+y"),
        Allowance("a", None, "udp", 1, 1),
    )
    there = (
        _far("web", aliases=("a.b", "c"), since="2026-01-01T00:00:00.000Z"),
        _far("db").replace(allow=wishes[:2], expose=wishes[2:]),
    )
    assert read_elsewhere(spelled(there)) == there
    assert read_elsewhere(spelled(there) + "h2 x 10.9.7.300 db - - - -\nh2 y\n") == there
    assert shown_elsewhere(there[0].key) == "web-id on h2"


def test_check_takes_a_container_whose_id_begins_with_digits_alone() -> None:
    """As one of three hundred does; no resolver asks for that, and its other names are found."""
    told = _far("web", "123456789012", aliases=("db.example",))
    assert told.check() is told


@pytest.mark.parametrize(
    "broken",
    [
        _far("web").replace(where="../x"),
        _far("web").replace(where="a b"),
        _far("web").replace(id="a/b"),
        _far("web").replace(addresses=()),
        _far("Web"),
        _far("web\n10.9.0.1"),
        _far("web,db"),
        _far("localhost"),
        _far("host.ocinet.internal"),
        _far("10.9.0.1"),
        _far("web", aliases=("10.9.0.1",)),
        _far("a.b"),
        _far("_x"),
        _far("x" * 64),
        _far("-"),
        _far("web", since="yesterday"),
        _far("web").replace(own=()),
        _far("web").replace(allow=(Allowance("a b"),)),
        _far("web").replace(allow=(Allowance("db", None, "icmp", 1, 1),)),
        _far("web").replace(expose=(Allowance("db", None, "tcp", 2, 1),)),
        _far("web").replace(expose=(Allowance("db", None, "", 2, 3),)),
        _far("web").replace(allow=(Allowance("", Subnet.parse("10.0.0.0/8")),)),
        _far(*(f"n{number}" for number in range(65))),
    ],
)
def test_check_refuses_what_would_be_another_line_or_nobodys_name(broken: Elsewhere) -> None:
    """It is another host's word."""
    with pytest.raises(RequestError):
        broken.check()


_NAME = st.sampled_from(["web", "db", "www", "x"])
_SOME = st.lists(_NAME, max_size=3, unique=True)


@given(
    here=st.lists(st.tuples(_SOME, _SOME), max_size=4),
    there=st.lists(st.tuples(_SOME, _SOME, st.integers(0, 3)), max_size=4),
)
def test_own_name_leads_to_one_alone(
    here: list[tuple[list[str], list[str]]], there: list[tuple[list[str], list[str], int]]
) -> None:
    """Whoever is there: a name that is somebody's own is found at one container."""
    text, used = _HEAD, set[str]()
    for number, (own, aliases) in enumerate(here):
        kept = [name for name in own if name not in used]
        used.update(kept)
        text += _line(f"h{number}", *kept, f"h{number}", *(a for a in aliases if a not in kept))
    far = [
        Elsewhere("h2", f"f{number}", (_FAR,), tuple(own), tuple(aliases), str(since))
        for number, (own, aliases, since) in enumerate(there)
        if own or aliases
    ]
    merged = with_elsewhere(text, far, (), lambda own: ("1", "h1", own)).text
    assert with_elsewhere(merged, far, (), lambda own: ("1", "h1", own)).text == merged
    owners: dict[str, int] = {}
    for line in merged.splitlines()[2:]:
        container_id, _v4, _v6, names = line.split(" ")
        for name in set(own_part(container_id, tuple(names.split(",")))) - {OWN_END}:
            owners[name] = owners.get(name, 0) + 1
    assert set(owners.values()) <= {1}
