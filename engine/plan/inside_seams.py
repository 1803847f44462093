"""What steps ask of sandboxes, and of what is inside of them; see `seams`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from ocinet.base.clock import Process
    from ocinet.engine.model.cable import Cable
    from ocinet.engine.model.link import Inside, InsideLink, Pair, SourceWay
    from ocinet.engine.model.request import Route
else:
    Protocol = object  # as in `seams`


class Sandbox(Protocol):
    """A network namespace that is kept open."""

    @property
    def fd(self) -> int:
        """The open file; -1 when closed."""

    @property
    def path(self) -> str:
        """How it was found, for people to repeat."""

    @property
    def identity(self) -> str:
        """`DEV:INODE`, in decimal; no other open namespace has the same."""

    @property
    def is_host(self) -> bool:
        """Whether it is the host's own namespace."""

    def check(self, process: Process) -> None:
        """Make sure that a process still lives in it.

        Raises:
            NotFoundError: the process is gone.
            SystemFailure: it is in another one.
        """


class Insides(Protocol):
    """What is inside of sandboxes: their interfaces, addresses and routes."""

    def configure(
        self, sandbox: Sandbox, inside: Inside, pair: Pair | None = None
    ) -> tuple[str, ...]:
        """Give an interface its addresses and routes; it and `lo` go up.

        It can be repeated: what is so already is fine.

        Args:
            sandbox: open.
            inside: what the interface is to have.
            pair: that it is an end of, if it was made just now: else it is looked up.

        Returns:
            What could not be set but is not needed, one line each.

        Raises:
            SystemFailure: the sandbox could not be entered.
            KernelError: the interface is not there (ENODEV), there is another route to
                the same destination (EEXIST), or an address or route was refused.
        """

    def loopback_up(self, sandbox: Sandbox) -> None:
        """Set `lo` up.

        Raises:
            SystemFailure: the sandbox could not be entered.
        """

    def route_by_source(self, sandbox: Sandbox, ways: tuple[SourceWay, ...]) -> tuple[str, ...]:
        """Have what is sent from each of these addresses take its own way.

        It can be repeated: what is so already is fine.

        Returns:
            What could not be set, one line each; an interface that is not there, too.

        Raises:
            SystemFailure: the sandbox could not be entered.
        """

    def unroute_by_source(self, sandbox: Sandbox, ways: tuple[SourceWay, ...]) -> None:
        """Have none of these addresses take a way of its own; not there is fine.

        Raises:
            SystemFailure: the sandbox could not be entered.
            KernelError: a rule could not be deleted.
        """

    def unplug(self, sandbox: Sandbox, ifname: str, mac: str, ifindex: int = 0) -> bool:
        """Delete a veth of a sandbox if it has this MAC, and with it its other end, wherever it is.

        Or what shares a parent on the LAN.

        Args:
            sandbox: open.
            ifname: its name.
            mac: its MAC: another one of that name is the container's own.
            ifindex: by which it is known whatever its name and MAC are by now; 0: by these.

        Returns:
            False if there is no such one.

        Raises:
            SystemFailure: the sandbox could not be entered.
            KernelError: the kernel refused.
        """

    def lay(self, near: Sandbox, far: Sandbox, cable: Cable) -> tuple[Pair, Pair]:
        """Make a veth pair with an end in each of two sandboxes, both down; the host has neither.

        Raises:
            SystemFailure: a sandbox could not be entered.
            KernelError: it could not be made, and nothing is left of it: EEXIST where
                either end's name is taken.
        """

    def look_inside(self, sandbox: Sandbox) -> tuple[InsideLink, ...]:
        """Return all interfaces as they are, by their index.

        Raises:
            SystemFailure: the sandbox could not be entered.
        """


class Marks(Protocol):
    """What is in sandboxes and no interface takes along: routes that refuse, and sysctls."""

    def refuse(self, sandbox: Sandbox, routes: tuple[Route, ...], *, ended: bool = False) -> bool:
        """Have nothing sent to the destinations of routes, which no interface has.

        It can be repeated: what is so already is fine; of a family that the sandbox has
        not got, nothing has to be done.

        Args:
            sandbox: open.
            routes: of `REFUSING` kinds.
            ended: take them away instead.

        Returns:
            Whether anything was changed.

        Raises:
            SystemFailure: the sandbox could not be entered.
            KernelError: there is another route to the same destination, of the same metric
                (EEXIST), or it was refused.
        """

    def sysctls(
        self, sandbox: Sandbox, wanted: tuple[tuple[str, str | None], ...]
    ) -> dict[str, str | None]:
        """Give kernel parameters values, and return what they had before.

        Args:
            sandbox: open.
            wanted: keys, as paths below /proc/sys, each with its value; None: it is read alone.

        Returns:
            The values by key; None of one that is not there.

        Raises:
            SystemFailure: the sandbox could not be entered; or one that is to be set is not
                there, or may not be written. Those before it are set then.
        """
