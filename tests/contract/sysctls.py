"""Of kernel parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ocinet.base.errors import SystemFailure

if TYPE_CHECKING:
    from contract.place import Place

FORWARD = "net/ipv4/ip_forward"


def write_is_read_back_and_says_whether_it_changed(place: Place) -> None:
    """Already so is success."""
    sysctls = place.seams().sysctls
    sysctls.write(FORWARD, "0")
    assert sysctls.read(FORWARD) == "0"
    assert sysctls.write(FORWARD, "1") is True
    assert sysctls.read(FORWARD) == "1"
    assert sysctls.write(FORWARD, "1") is False


def parameter_that_is_missing_is_none_and_not_written(place: Place) -> None:
    """As of a link that is not there."""
    sysctls = place.seams().sysctls
    assert sysctls.read("net/ipv6/conf/none/accept_ra") is None
    with pytest.raises(SystemFailure):
        sysctls.write("net/ipv6/conf/none/accept_ra", "0")


def parameters_of_a_link_come_with_it(place: Place) -> None:
    """Those that we write."""
    place.add_bridge("br0")
    sysctls = place.seams().sysctls
    assert sysctls.read("net/ipv4/conf/br0/route_localnet") == "0"
    assert sysctls.read("net/ipv6/conf/br0/accept_ra") == "1"
    assert sysctls.read("net/ipv6/conf/br0/disable_ipv6") == "0"
    assert sysctls.read("net/ipv6/conf/all/forwarding") is not None


def parameters_that_are_frozen_are_what_they_are(place: Place) -> None:
    """As in a container with a read-only /proc/sys: what is so already needs no writing."""
    sysctls = place.seams().sysctls
    sysctls.write(FORWARD, "0")
    place.freeze_sysctls()
    assert sysctls.write(FORWARD, "0") is False
    with pytest.raises(SystemFailure):
        sysctls.write(FORWARD, "1")
    assert sysctls.read(FORWARD) == "0"


def route_localnet_of_a_link_is_written_even_where_parameters_are_frozen(place: Place) -> None:
    """The kernel has another door for it; of a link that is not there there is none."""
    place.add_bridge("br0")
    sysctls = place.seams().sysctls
    place.freeze_sysctls()
    assert sysctls.write("net/ipv4/conf/br0/route_localnet", "2") is True
    assert sysctls.read("net/ipv4/conf/br0/route_localnet") == "2"
    assert sysctls.write("net/ipv4/conf/br0/route_localnet", "2") is False
    with pytest.raises(SystemFailure):
        sysctls.write("net/ipv4/conf/none/route_localnet", "2")
