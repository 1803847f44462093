"""Who gets a name that two containers of a network want."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from ocinet.engine.model.name_holders import OWN_END, Contested, in_line, own_part, settle_names

_HEAD = "10.9.0.1 192.0.2.53\n@lan 10.9.0.1  host.ocinet.internal\n"


def _line(container_id: str, *names: str) -> str:
    return f"{container_id} 10.9.0.2  {','.join(names)}\n"


def test_first_who_is_called_so_keeps_the_name() -> None:
    """By name or by hostname; the later one has its others, and it is told whose it is."""
    text = _HEAD + _line("a1", "web", "shop", "a1")
    holding = settle_names(text, "b2", ("shop", "web", "b2", "www"))
    assert holding.names == ("b2", "www")
    assert holding.contested == (Contested("shop", "a1", "b2"), Contested("web", "a1", "b2"))
    assert holding.text == text


def test_own_name_goes_before_anybodys_alias() -> None:
    """Whoever had it by alias gives it up, also as its only name."""
    text = _HEAD + _line("a1", "web", "a1", "db", "x") + _line("c+3", "db")
    holding = settle_names(text, "b2", ("db", "b2"))
    assert holding.names == ("db", "b2")
    assert holding.text == _HEAD + _line("a1", "web", "a1", "x") + _line("c+3", OWN_END)
    assert holding.contested == (Contested("db", "b2", "a1"), Contested("db", "b2", "c+3"))
    assert settle_names(holding.text + _line("b2", "db", "b2"), "d4", ("y", "d4", "db")).names == (
        "y", "d4"
    )  # fmt: skip


def test_several_have_one_alias() -> None:
    """All of them answer, as Docker's do."""
    text = _HEAD + _line("a1", "web1", "a1", "web")
    holding = settle_names(text, "b2", ("web2", "b2", "web"))
    assert (holding.names, holding.contested, holding.text) == (("web2", "b2", "web"), (), text)


def test_again_the_same_container_gets_the_same() -> None:
    """Its own line is in nobody's way; and names of the host are nobody's."""
    text = _HEAD + _line("a1", "web", "a1", "www")
    assert settle_names(text, "a1", ("web", "a1", "www")).names == ("web", "a1", "www")
    holding = settle_names(text, "b2", ("rock", "b2"), ("rock",))
    assert (holding.names, holding.contested) == (("b2",), (Contested("rock", "", "b2"),))


def test_line_tells_which_names_are_its_own_where_the_start_of_its_id_is_anothers() -> None:
    """By a mark behind them; without it, as before there was one, all are aliases."""
    text = _HEAD + _line("prod-server-1", "prod-server-1", "prod-server-")
    names = ("web", "prod-server-", "db")
    holding = settle_names(text, "prod-server-2", names)
    assert holding.names == ("web", OWN_END, "db")
    assert holding.contested == (Contested("prod-server-", "prod-server-1", "prod-server-2"),)
    text += _line("prod-server-2", *holding.names)
    assert settle_names(text, "prod-server-2", names).names == holding.names
    later = settle_names(text, "c3", ("web", "db", "c3"))
    assert later.names == ("db", "c3")
    assert later.text == text.replace(",db", "")
    former = _HEAD + _line("prod-server-2", "web", "db")
    assert settle_names(former, "c3", ("web", "c3")).text == _HEAD + _line("prod-server-2", "db")


def test_line_with_no_name_but_the_mark_stays_to_ask_by() -> None:
    """Of who has no own name that can be served, and an alias as its id begins, until it goes."""
    names = in_line("shop.db", (), ("shop.db",))
    assert names == (OWN_END, "shop.db")
    assert own_part("shop.db", names) == ()
    text = _HEAD + _line("shop.db", *names)
    holding = settle_names(text, "b2", ("shop.db", "b2"))
    assert holding.text == _HEAD + _line("shop.db", OWN_END)


def test_names_that_are_parts_of_others_are_others() -> None:
    """Of lines, too: an address, an id, the head."""
    text = _HEAD + _line("a1", "web-1", "a1", "my-web", "10")
    assert settle_names(text, "b2", ("web", "b2", "lan", "0.1")).contested == ()


_names = st.sampled_from(["a", "b", "c", "ab", "web", "web-1"])


@given(st.lists(st.tuples(st.lists(_names, max_size=2, unique=True),
                          st.lists(_names, max_size=3, unique=True)), max_size=6))  # fmt: skip
def test_no_two_have_one_own_name_and_no_alias_shadows_one(
    wishes: list[tuple[list[str], list[str]]],
) -> None:
    """Whoever comes in whatever order; everybody keeps the start of its id."""
    text = _HEAD
    for number, (own, aliases) in enumerate(wishes):
        container_id = f"id{number}"
        names = tuple(dict.fromkeys((*own, container_id, *aliases)))
        holding = settle_names(text, container_id, names)
        assert container_id in holding.names
        text = holding.text + _line(container_id, *holding.names)
    owned: list[str] = []
    aliased: set[str] = set()
    for line in text.removeprefix(_HEAD).splitlines():
        container_id, names = line.partition(" ")[0], tuple(line.split(" ")[3].split(","))
        own_names = own_part(container_id, names)
        owned += own_names
        aliased |= set(names) - set(own_names)
    assert len(owned) == len(set(owned))
    assert not aliased & set(owned)


def test_among_a_thousand_a_name_is_judged_by_a_search() -> None:
    """No line is taken apart that has not got it: 0.1 ms, where each would take 2."""
    lines = [_line(f"{number:064x}", f"c{number}", f"{number:064x}"[:12]) for number in range(1000)]
    text, best = _HEAD + "".join(lines), 1.0
    for _ in range(20):
        began = time.perf_counter()
        settle_names(text, "f" * 64, ("web", "f" * 12, "db"))
        best = min(best, time.perf_counter() - began)
    assert best < 0.01
