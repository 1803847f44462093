"""How a container gets onto a network: one module for each driver, all behind one interface.

A driver says what is its own of a network: what a definition may have, what all on it share,
what makes a container's interface, and what of that is otherwise by now. All else is the same
for every network: addresses, routes, sysctls, names, the record, and who may be on it.

To add one: a module beside this with these functions, its name in `driver_of`; what it asks of
the kernel, a seam of its own as in `seams`. Only where a network has it is it imported.
"""

from __future__ import annotations

from ocinet.base.errors import RequestError
from ocinet.engine.plan import driver_bridge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    from ocinet.engine.model.access import Access
    from ocinet.engine.model.endpoint import Endpoint
    from ocinet.engine.model.link import Link
    from ocinet.engine.model.network import Network
    from ocinet.engine.model.observed import DeviceState
    from ocinet.engine.model.request import EndpointRequest
    from ocinet.engine.plan.flaw import Connected, Flaw, Left
    from ocinet.engine.plan.new_network import NetworkOptions, Surroundings
    from ocinet.engine.plan.steps import Step

    class Driver(Protocol):
        """What a driver decides. Pure: it is given what was seen, and returns steps."""

        def define(self, name: str, options: NetworkOptions, around: Surroundings) -> Network:
            """Return a new network.

            Raises:
                RequestError: a wish is malformed, or nothing that this driver can do.
                ConflictError: name, subnet or link are another one's, which is named.
            """

        def check(self, access: Access | None, wish: EndpointRequest, network: Network) -> None:
            """Refuse what a container wishes and such a network can't give.

            Args:
                access: who may talk to it and to whom it may, by all that was said.
                wish: for the network; of who is there already, what is to be otherwise.
                network: of this driver.

            Raises:
                RequestError: what, why, and what helps.
            """

        def ready(self, network: Network, state: DeviceState) -> list[Step]:
            """Return the steps that make ready what all on a network share.

            Raises:
                NotFoundError: what somebody else has to make is not there.
                ConflictError: another one is in the way.
            """

        def connect(self, endpoint: Endpoint, network: Network, alias: str, netns: str) -> Step:
            """Return the step that makes an endpoint's interface, down, in the sandbox."""

        def lost(self, endpoint: Endpoint, left: Left) -> str:
            """Return why an interface has to be made anew; "" if it is there."""

        def flaws(self, connected: Connected, links: Mapping[str, Link], left: Left) -> list[Flaw]:
            """Return what of an interface that is there is not as it was made.

            But for what is in the sandbox of every one: addresses, routes, sysctls.

            Args:
                connected: how it is to be.
                links: bridges of the host, by name.
                left: what is left.
            """


def driver_of(name: str) -> Driver:
    """Return a driver by its name.

    Raises:
        RequestError: there is none such, as where a later version has defined the network.
    """
    if name == "bridge":
        return driver_bridge
    if name == "macvlan":
        from ocinet.engine.plan import driver_macvlan  # for networks that have it

        return driver_macvlan
    raise RequestError("", f"there is no driver {name!r}", f"use one of: {', '.join(DRIVERS)}")


DRIVERS = ("bridge", "macvlan")
