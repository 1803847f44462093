"""The tree of a terminal: a few in full, many in columns, and no line too long."""

from __future__ import annotations

import re

import pytest

from fakes.pictures import container, few, hostile, interface, linked, many, network, picture
from ocinet.picture import tree
from ocinet.picture.spelling import width
from ocinet.picture.values import BROKEN, DOWN, MISSING, Picture

_FEW = """\
shop-1  5 containers: 3 running, 1 BROKEN, 1 REFUSED
│
├─ ✗ the table inet ocinet is gone
│     → ocinet check --repair
│
├─ uplink eth0  192.0.2.10/24  ↓1.5 kB ↑2 MB
│
├─ data  internal bridge br-data  10.8.0.0/24 (2 of 253 used)
│  └─ ● api  10.8.0.2  ↓1.5 kB ↑2 MB  3 refused by the guard
│
├─ lan  bridge br-lan  10.9.0.0/24 (2 of 253 used)
│  ├─ ✗ cache  10.9.0.4  BROKEN  ↓1.5 kB ↑2 MB  3 refused by the guard
│  │     oc-eth0, the host end of eth0, is down
│  │     → ocinet check --repair cache
│  ├─ ● api    10.9.0.3  ↓1.5 kB ↑2 MB  3 refused by the guard
│  ├─ ● tool   shares the network of web
│  └─ ● web    10.9.0.2  :8080→80/tcp  :9000-9009→9000-9009/tcp  ↓1.5 kB ↑2 MB
│          3 refused by the guard
│
└─ on no network
   └─ ⊘ worker  REFUSED
         cannot attach worker: there is no network lann
         → did you mean lan?
"""


def _plain(text: str, _kind: str) -> str:
    return text


def _render(shown: Picture, columns: int = 90, *, unicode: bool = True) -> list[str]:
    return tree.render(shown, tree.Look(columns, unicode, _plain))


def test_few_are_shown_in_full() -> None:
    """Networks, addresses, ports and figures; what is wrong first, with why and what helps."""
    assert "".join(f"{line}\n" for line in _render(few())) == _FEW


def test_links_are_shown_at_both_ends() -> None:
    """With whom, by which interface, and what the link is called."""
    lines = _render(linked())
    assert "   │     ↔ db  link0 10.7.0.0/31  link web-db".strip("│ ") in "\n".join(lines)
    assert "↔ web  link0 10.7.0.1/31  link web-db" in "\n".join(lines)
    assert "<-> web  link0" in "\n".join(_render(linked(), unicode=False))
    assert all(width(line) <= 40 for line in _render(linked(), 40))


def test_terminal_without_unicode_gets_ascii() -> None:
    """Signs and lines of its own letters, names by their escapes."""
    shown = few()
    odd = container("日本", BROKEN)
    told = "\n".join(_render(shown.replace(containers=(*shown.containers, odd)), unicode=False))
    told.encode("ascii")
    assert "|- x cache" in told
    assert ":8080->80/tcp" in told
    assert "\\u65e5" in told


@pytest.mark.parametrize("columns", [40, 80, 160])
def test_many_stand_in_columns_and_who_is_wrong_above_them(columns: int) -> None:
    """All 200 are there, and no line is longer than the terminal."""
    lines = _render(many(), columns)
    told = "\n".join(lines)
    assert lines[0] == "shop-1  200 containers: 196 running, 2 BROKEN, 2 REFUSED"
    assert told.index("4 containers to look at") < told.index("web-0 ")
    assert told.index("✗ web-150") < told.index("● web-0 ")
    assert len(set(re.findall(r"\bweb-\d+\b", told))) == 198
    assert max(map(width, lines[1:])) <= columns
    if columns == 160:
        assert len(lines) < 90


def test_hostile_names_reach_no_terminal() -> None:
    """Nothing that it would act on, no second line, no letters that run backwards."""
    for columns in (40, 120):
        for unicode in (True, False):
            lines = _render(hostile(), columns, unicode=unicode)
            assert all(line.isprintable() for line in lines)
            "\n".join(lines).encode("utf-8" if unicode else "ascii")


def test_colours_do_not_count_as_columns() -> None:
    """Painted lines break where plain ones do."""

    def painted(text: str, kind: str) -> str:
        return f"\033[{len(kind)}m{text}\033[0m"

    lines = tree.render(few(), tree.Look(90, unicode=True, paint=painted))
    plain = [re.sub("\033\\[[0-9;]*m", "", line) for line in lines]
    assert plain == _render(few())


def test_networks_tell_what_is_wrong_and_who_is_not_there() -> None:
    """A bridge that is gone, one that nobody needed yet, and a host without an uplink."""
    gone = network("a", state=MISSING, why="its bridge is gone", hint="ocinet check --repair")
    fresh = network("b", state=MISSING)
    shown = picture(uplinks=(), networks=(gone, fresh))
    told = "\n".join(_render(shown))
    assert "no uplink: this host has no default route" in told
    assert "✗ its bridge is gone" in told
    assert "not made yet" in told
    assert "nobody is on it" in told
    assert told.startswith("shop-1  no containers")


def test_uplink_that_is_down_says_so() -> None:
    """In capitals."""
    shown = picture()
    down = shown.uplinks[0].replace(state=DOWN)
    assert any("DOWN" in line for line in _render(shown.replace(uplinks=(down,))))


def test_container_of_a_network_that_is_no_more_is_shown_all_the_same() -> None:
    """Among those that are on none."""
    shown = picture(container("web", BROKEN, interface("nowhere")))
    lines = _render(shown)
    assert "✗ web" in "\n".join(lines[lines.index("└─ on no network") :])
