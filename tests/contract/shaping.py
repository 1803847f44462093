"""Of limits at host ends, and the links that they need."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from ocinet.base.errors import KernelError
from ocinet.engine.model.bandwidth import Bandwidth, Limit, shaper_of
from ocinet.engine.model.link import LINK_GROUP, Veth

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contract.place import Place
    from ocinet.engine.plan.machine import Host

END = "oc0123456789abc"
SHAPER = shaper_of(END)
IN, OUT = Limit(10_000_000, 40_000), Limit(5_000_000, 32_768)
FAST = Limit(100_000_000_000, 1 << 31)  # more bytes in a second than 32 bits hold


@contextmanager
def _wired(place: Place) -> Iterator[Host]:
    place.add_bridge("br0")
    host = place.seams()
    with place.open_sandbox(place.start()) as sandbox:
        host.links.add_veth(Veth(END, "eth0", "br0"), sandbox)
        yield host


def put_gives_a_host_end_its_limits_once(place: Place) -> None:
    """One direction, the other, both; what is otherwise is changed in place."""
    with _wired(place) as host:
        shaping = host.shaping()
        assert shaping.present(END) is None
        for limits in (
            Bandwidth(IN), Bandwidth(None, OUT), Bandwidth(IN, OUT), Bandwidth(OUT, IN),
            Bandwidth(FAST, FAST), Bandwidth(IN),
        ):  # fmt: skip
            assert shaping.put(END, limits, "ocinet:web/eth0")
            assert shaping.present(END) == limits
            assert not shaping.put(END, limits, "ocinet:web/eth0")
            shaper = host.links.link(SHAPER)
            assert bool(shaper) == bool(limits.outward)
            if shaper:
                assert (shaper.group, shaper.alias) == (LINK_GROUP, "ocinet:web/eth0")


def put_of_none_leaves_nothing(place: Place) -> None:
    """Also where the link is gone by then, and a second time."""
    with _wired(place) as host:
        shaping = host.shaping()
        shaping.put(END, Bandwidth(IN, OUT))
        assert shaping.put(END, None)
        assert shaping.present(END) is None
        assert host.links.link(SHAPER) is None
        assert not shaping.put(END, None)
        shaping.put(END, Bandwidth(IN, OUT))
        place.delete_link(END)
        assert shaping.present(END) is None
        assert shaping.put(END, None)
        assert host.links.link(SHAPER) is None
        assert not shaping.put(END, None)


def put_makes_whole_what_others_have_taken(place: Place) -> None:
    """A link that is gone limits nothing."""
    with _wired(place) as host:
        shaping = host.shaping()
        shaping.put(END, Bandwidth(IN, OUT))
        place.delete_link(SHAPER)
        assert shaping.present(END) == Bandwidth(IN)
        assert shaping.put(END, Bandwidth(IN, OUT))
        assert shaping.present(END) == Bandwidth(IN, OUT)


def put_limits_of_no_link_is_refused(place: Place) -> None:
    """It is the kernel's to say."""
    with pytest.raises(KernelError):
        place.seams().shaping().put(END, Bandwidth(IN))
