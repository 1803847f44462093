"""Rates between two looks: never below nothing, and never what was counted before."""

from __future__ import annotations

from ocinet.picture.rates import COUNTED, Look, rates_of
from ocinet.picture.values import RUNNING, UP, Container, Figures, Interface


def _figures(count: int, *, dropped: int = 0, refused: int | None = None) -> Figures:
    return Figures(count * 100, count, dropped, count * 10, count, 0, refused)


def _container(name: str, **ends: Figures | None) -> Container:
    interfaces = tuple(
        Interface(f"eth{at}", end, "lan", "02:00:00:00:00:01", (), UP, figures)
        for at, (end, figures) in enumerate(ends.items())
    )
    return Container(f"{name}-id", name, "cli", "bridge", RUNNING, "", "", "", interfaces)


def test_rates_are_of_all_interfaces_by_the_time_between() -> None:
    """Two of them, two seconds."""
    before = Look.at(10.0, (_container("web", oc1=_figures(5), oc2=_figures(0)),))
    now = _container("web", oc1=_figures(9, dropped=3, refused=3), oc2=_figures(2))
    rates = rates_of(now, before, Look.at(12.0, (now,)))
    assert rates.per_s == {
        "rx_bytes": 300.0, "rx_packets": 3.0, "tx_bytes": 30.0, "tx_packets": 3.0, "dropped": 3.0,
    }  # fmt: skip
    assert (rates.total.rx_bytes, rates.total.dropped) == (1100, 6)


def test_one_that_has_just_come_has_no_rate_yet() -> None:
    """What it counted before the look is not of these seconds."""
    web = _container("web", oc1=_figures(1_000_000))
    for before in (None, Look.at(10.0, ())):
        rates = rates_of(web, before, Look.at(11.0, (web,)))
        assert rates.per_s is None
        assert rates.total.rx_packets == 1_000_000


def test_counter_that_went_back_is_one_that_began_anew() -> None:
    """A veth of the same name: what it has counted since is what has passed."""
    before = Look.at(10.0, (_container("web", oc1=_figures(1_000_000)),))
    web = _container("web", oc1=_figures(4))
    rates = rates_of(web, before, Look.at(11.0, (web,)))
    assert rates.per_s is not None
    assert (rates.per_s["rx_packets"], rates.per_s["rx_bytes"]) == (4.0, 400.0)


def test_guard_that_is_made_anew_is_no_new_link() -> None:
    """Its count of what it refused falls to nothing, and all that ever passed is not of now."""
    before = Look.at(10.0, (_container("web", oc1=_figures(1_000_000, refused=10)),))
    web = _container("web", oc1=_figures(1_000_005, refused=0))
    rates = rates_of(web, before, Look.at(11.0, (web,)))
    assert rates.per_s is not None
    assert (rates.per_s["rx_packets"], rates.per_s["dropped"]) == (5.0, 0.0)


def test_new_interface_of_one_that_is_known_waits_for_its_turn() -> None:
    """Connected to a second network, by a link that has counted for long."""
    before = Look.at(10.0, (_container("web", oc1=_figures(5)),))
    web = _container("web", oc1=_figures(6), oc2=_figures(1_000_000))
    rates = rates_of(web, before, Look.at(11.0, (web,)))
    assert rates.per_s is not None
    assert rates.per_s["rx_packets"] == 1.0


def test_interface_that_is_gone_counts_nothing() -> None:
    """Its host end is missing."""
    before = Look.at(10.0, (_container("web", oc1=_figures(5)),))
    web = _container("web", oc1=None)
    rates = rates_of(web, before, Look.at(11.0, (web,)))
    assert (rates.per_s, {getattr(rates.total, key) for key in COUNTED}) == (None, {0})
