"""Of what the tables of others drop, and our accept rules in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocinet.base.address import Address
from ocinet.engine.model.passage import ForwardDrop, Passage, Zoned

if TYPE_CHECKING:
    from contract.place import Place

_ADDRESSES = (Address.parse("10.9.0.128"), Address.parse("fd00:9::80"))
_WALL = ForwardDrop("inet wall gate", "gate")


def _passage(device: str) -> Passage:
    return Passage(device, 0, _ADDRESSES)


def _drops(chain: str = "FORWARD") -> tuple[ForwardDrop, ...]:
    return tuple(
        ForwardDrop(f"{family} filter FORWARD", "FORWARD", f"{family} filter {chain}")
        for family in ("ip", "ip6")
    )


def _chains(chain: str = "FORWARD") -> tuple[str, ...]:
    return tuple(drop.accept_in for drop in _drops(chain))


def nothing_is_judged_to_drop_where_nothing_does(place: Place) -> None:
    """And to remove rules that are not there is fine."""
    accepts = place.seams().forward_accepts
    assert accepts.judge(_passage("br0")) == ()
    accepts.remove("br0")
    assert accepts.judge(_passage("br0")) == ()


def chains_that_drop_are_judged_by_family(place: Place) -> None:
    """Those that can be opened, and a wall that can't."""
    accepts = place.seams().forward_accepts
    place.raise_wall()
    assert accepts.judge(_passage("br0")) == (_WALL,)
    place.drop_forward()
    assert set(accepts.judge(_passage("br0"))) == {*_drops(), _WALL}
    only_ipv4 = Passage("br0", 0, _ADDRESSES[:1])
    assert set(accepts.judge(only_ipv4)) == {_drops()[0], _WALL}


def rules_are_added_once_and_removed(place: Place) -> None:
    """For the one bridge, without Docker."""
    place.drop_forward()
    _add_and_remove(place, "FORWARD", managed=True)


def rules_are_added_once_and_removed_beside_docker(place: Place) -> None:
    """In Docker's chain for the rules of others."""
    place.drop_forward(docker=True)
    _add_and_remove(place, "DOCKER-USER", managed=True)


def _add_and_remove(place: Place, chain: str, *, managed: bool) -> None:
    accepts = place.seams().forward_accepts
    assert accepts.judge(_passage("br0")) == _drops(chain)
    accepts.remove("br0")
    assert accepts.add("br0", _chains(chain), managed=managed) is True
    assert accepts.add("br0", _chains(chain), managed=managed) is False
    assert accepts.judge(_passage("br0")) == ()
    assert accepts.judge(_passage("br")) == _drops(chain)
    assert accepts.add("br1", _chains(chain), managed=True) is True
    accepts.remove("br1")
    assert accepts.judge(_passage("br0")) == ()
    assert accepts.judge(_passage("br1")) == _drops(chain)
    accepts.remove("br0")
    accepts.remove("br0")
    assert accepts.judge(_passage("br0")) == _drops(chain)


def rules_that_somebody_flushed_are_missed_at_once(place: Place) -> None:
    """And come back."""
    place.drop_forward()
    accepts = place.seams().forward_accepts
    accepts.add("br0", _chains(), managed=True)
    place.flush_forward()
    assert accepts.judge(_passage("br0")) == _drops()
    assert accepts.add("br0", _chains(), managed=True) is True
    assert accepts.judge(_passage("br0")) == ()


def bridge_that_firewalld_drops_joins_our_zone(place: Place) -> None:
    """Until it leaves, or firewalld is reloaded; an adopted one's owner decides on its zone."""
    accepts = place.seams().forward_accepts
    accepts.leave_zone("br0")
    place.start_firewalld()
    (drop,) = accepts.judge(_passage("br0"))
    assert (drop.chain, drop.accept_in) == ("inet firewalld filter_FORWARD", "")
    assert drop.zoned == Zoned(zone="public", joinable=True)
    assert accepts.judge(_passage("br0").replace(out=False)) == ()
    assert accepts.join_zone(_passage("br0")) == ()
    assert accepts.judge(_passage("br0")) == ()
    assert accepts.judge(_passage("br1")) == (drop,)
    accepts.leave_zone("br0")
    assert accepts.judge(_passage("br0")) == (drop,)
    accepts.join_zone(_passage("br0"))
    place.start_firewalld()
    assert accepts.judge(_passage("br0")) == (drop,)


def rules_of_ours_are_found_and_deleted_one_by_one(place: Place) -> None:
    """Each with the bridge that it is for."""
    place.drop_forward()
    accepts = place.seams().forward_accepts
    assert accepts.tagged() == ()
    accepts.add("br0", _chains()[:1], managed=True)
    accepts.add("br1", _chains(), managed=True)
    found = accepts.tagged()
    assert sorted((rule.family, rule.chain, rule.device) for rule in found) == [
        ("ip", "FORWARD", "br0"), ("ip", "FORWARD", "br0"),
        ("ip", "FORWARD", "br1"), ("ip", "FORWARD", "br1"),
        ("ip6", "FORWARD", "br1"), ("ip6", "FORWARD", "br1"),
    ]  # fmt: skip
    assert all(rule.managed for rule in found)
    ours = [rule for rule in found if rule.device == "br0"]
    assert [accepts.delete(rule) for rule in ours] == [True, True]
    assert accepts.delete(ours[0]) is False
    assert {rule.device for rule in accepts.tagged()} == {"br1"}
