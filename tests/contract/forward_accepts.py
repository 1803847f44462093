"""Of our accept rules in the tables of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contract.place import Place


def bridge_is_accepted_where_nothing_drops(place: Place) -> None:
    """Nothing is added there, and nothing removed."""
    accepts = place.seams().forward_accepts
    assert accepts.is_accepted("br0")
    assert accepts.add("br0", managed=True) is False
    accepts.remove("br0")
    assert accepts.is_accepted("br0")


def rules_are_added_once_and_removed(place: Place) -> None:
    """For the one bridge, without Docker."""
    place.drop_forward()
    _add_and_remove(place, managed=True)


def rules_are_added_once_and_removed_beside_docker(place: Place) -> None:
    """In Docker's chain for the rules of others, of a bridge that is not ours."""
    place.drop_forward(docker=True)
    _add_and_remove(place, managed=False)


def _add_and_remove(place: Place, *, managed: bool) -> None:
    accepts = place.seams().forward_accepts
    assert not accepts.is_accepted("br0")
    accepts.remove("br0")
    assert accepts.add("br0", managed=managed) is True
    assert accepts.add("br0", managed=managed) is False
    assert accepts.is_accepted("br0")
    assert not accepts.is_accepted("br")
    assert accepts.add("br1", managed=True) is True
    accepts.remove("br1")
    assert accepts.is_accepted("br0")
    assert not accepts.is_accepted("br1")
    accepts.remove("br0")
    accepts.remove("br0")
    assert not accepts.is_accepted("br0")


def rules_that_somebody_flushed_are_missed_at_once(place: Place) -> None:
    """And come back."""
    place.drop_forward()
    accepts = place.seams().forward_accepts
    accepts.add("br0", managed=True)
    place.flush_forward()
    assert not accepts.is_accepted("br0")
    assert accepts.add("br0", managed=True) is True
    assert accepts.is_accepted("br0")
