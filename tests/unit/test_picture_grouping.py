"""Who is shown where, what part of a picture is asked for, and how texts are spelled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.pictures import HOSTILE, container, few, interface, many, picture, published
from ocinet.base.address import Address
from ocinet.base.errors import NotFoundError
from ocinet.picture import spelling
from ocinet.picture.grouping import chosen, groups
from ocinet.picture.values import BROKEN, DEAD, REFUSED, RUNNING


def _names(found: object) -> list[str]:
    return [each.name for each in found.containers]  # type: ignore[attr-defined]  # a picture's


def test_groups_seat_everybody_on_each_network_of_theirs() -> None:
    """A member beside its owner, who was refused last, on no network."""
    told = {
        group.network.name if group.network else "": [
            (seat.container.name, seat.first) for seat in group.seats
        ]
        for group in groups(few())
    }
    assert told == {
        "data": [("api", False)],
        "lan": [("cache", True), ("api", True), ("tool", True), ("web", True)],
        "": [("worker", True)],
    }


def test_who_is_wrong_comes_first_and_names_go_as_people_count() -> None:
    """Broken before dead before running; 2 before 10."""
    made = [
        container("web-10"), container("web-2"), container("old", DEAD), container("bad", BROKEN),
        container("7"), container("x" * 300),
    ]  # fmt: skip
    (_data, lan) = groups(picture(*made))
    told = [seat.container.name for seat in lan.seats]
    assert told[:2] == ["bad", "old"]
    assert told.index("web-2") < told.index("web-10")


@pytest.mark.parametrize(
    ("names", "network", "shown", "networks"),
    [
        ((), "", ["web", "api", "cache", "tool", "worker"], ["data", "lan"]),
        (("api",), "", ["api"], ["data", "lan"]),
        (("cache", "worker"), "", ["cache", "worker"], ["lan"]),
        (("tool",), "", ["web", "tool"], ["lan"]),
        (("api-i",), "", ["api"], ["data", "lan"]),
        ((), "data", ["api"], ["data"]),
        ((), "lan", ["web", "api", "cache", "tool"], ["lan"]),
    ],
)
def test_part_is_chosen_by_names_and_network(
    names: tuple[str, ...], network: str, shown: list[str], networks: list[str]
) -> None:
    """A member brings its owner, whose network it has."""
    found = chosen(few(), names, network)
    assert _names(found) == shown
    assert [each.name for each in found.networks] == networks


@pytest.mark.parametrize(
    ("names", "network", "told"),
    [
        (("wbe",), "", "did you mean web"),
        ((), "lann", "did you mean lan"),
        (("zzzz",), "", "ps -a"),
    ],
)
def test_what_is_not_there_is_told_with_what_was_meant(
    names: tuple[str, ...], network: str, told: str
) -> None:
    """An empty picture would look like an answer."""
    with pytest.raises(NotFoundError, match=told):
        chosen(few(), names, network)


def test_counts_are_by_state() -> None:
    """As the head of each picture has them."""
    shown = many(200)
    assert [shown.count(state) for state in (RUNNING, BROKEN, REFUSED)] == [196, 2, 2]


@given(st.text(st.characters(), max_size=80))
def test_shown_text_is_printable_and_tells_what_was_there(text: str) -> None:
    """Surrogates, controls and what turns the direction as Python escapes them; one line."""
    told = spelling.shown(text)
    assert told.isprintable()
    told.encode()
    if text.isprintable() and "\\" not in text:
        assert told == text


@given(st.text(max_size=200), st.integers(3, 60))
def test_shown_text_is_not_longer_than_asked(text: str, most: int) -> None:
    """It loses its middle; names mostly differ at their ends."""
    assert len(spelling.shown(text, most)) <= most


def test_hostile_names_stay_apart_when_they_are_cut() -> None:
    """Head and tail are kept."""
    assert spelling.shown("w" * 4096 + "-12", 20) == "wwwwwwwwwwwww…www-12"
    assert "\u202e" not in spelling.shown(HOSTILE[8])


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1540, "1.5 kB"), (999_600, "1 MB"),
     (12_345_678, "12 MB"), (10**18, "1000 PB")],
)  # fmt: skip
def test_sizes_are_told_in_their_largest_unit(count: int, told: str) -> None:
    """A thousand to the next, as links count."""
    assert spelling.size(count) == told


def test_ports_are_told_once_whatever_their_family() -> None:
    """With the host's address where it is one, rows as rows."""
    own = published(9000, 80, 10)
    six = own.replace(address=Address.parse("fd00::2"))
    local = published().replace(host_address=Address.parse("::1"))
    made = container(published=(own, six, local))
    assert spelling.ports(made) == [(":9000-9009", "80-89/tcp"), ("[::1]:8080", "80/tcp")]


def test_width_counts_columns_and_not_letters() -> None:
    """Wide letters take two, marks none."""
    assert spelling.width("日本") == 4
    assert spelling.width("e\u0301") == 1
    assert spelling.padded("日", 4) == "日  "


def test_interface_tells_its_addresses_without_lengths() -> None:
    """IPv4's first."""
    assert spelling.addresses(interface()) == ["10.9.0.2"]
