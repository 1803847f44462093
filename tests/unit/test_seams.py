"""The seams between planning and what does it are narrow."""

from __future__ import annotations

import inspect

import pytest

from ocinet.engine.plan import machine, seams

_SEAMS = [kind for _name, kind in inspect.getmembers(seams, inspect.isclass) if kind is not object]


@pytest.mark.parametrize("seam", _SEAMS, ids=lambda seam: seam.__name__)
def test_seam_has_at_most_eight_acts_each_with_its_promise(seam: type) -> None:
    """Who writes a fake, or another firewall, has so much to write, and reads here what."""
    acts = {name: act for name, act in vars(seam).items() if not name.startswith("_")}
    assert 0 < len(acts) <= 8
    assert all(act.__doc__ for act in acts.values())


def test_host_has_one_of_each_seam() -> None:
    """All but the sandbox, which is one operation's; what few need is made when it is needed."""
    names = {f"seams.{seam.__name__}" for seam in _SEAMS} - {"seams.Sandbox"}
    asked_for = {
        "seams.NameFiles": "Callable[[Process], seams.NameFiles | None]",
        "seams.Lan": "Callable[[], seams.Lan]",
        "seams.Shaping": "Callable[[], seams.Shaping]",
        "seams.Marks": "Callable[[], seams.Marks]",
        "seams.NameServer": "Callable[[], seams.NameServer]",
        "seams.NamesElsewhere": "Callable[[], seams.NamesElsewhere]",
    }
    kinds = {asked_for.get(name, name) for name in names}
    assert set(machine.Host.__annotations__.values()) == kinds
