"""What steps ask of who keeps names: Protocols, as in `seams`, which names them too.

Names of sandboxes, names in containers' own files, and names that a server answers for.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from ocinet.base.clock import Process
    from ocinet.engine.model.elsewhere import Elsewhere
    from ocinet.engine.model.name_holders import Contested
    from ocinet.engine.model.naming import FoundFiles, NameFile, Place
    from ocinet.engine.model.served import ServedContainer, ServedNetwork, ServerState
else:
    Protocol = object  # as in `seams`


class Names(Protocol):
    """Sandboxes' names, as `ip netns` shows them."""

    def choose(self, name: str, container_id: str, process: Process) -> str:
        """Return the name to use: the wanted one, or ours where something else has it."""

    def add(self, name: str, process: Process) -> bool:
        """Give a process's sandbox a name; False if it has this very one already.

        Raises:
            SystemFailure: something else has the name.
        """

    def shows(self, name: str, processes: tuple[Process, ...]) -> bool:
        """Tell whether a name shows the sandbox of one of these."""

    def move(self, name: str, before: Process, after: Process) -> None:
        """Let a name show another process's view; one that is not ours is left alone."""

    def remove(self, name: str, processes: tuple[Process, ...]) -> bool:
        """Take a name away if it shows one of `processes`; else leave it and return False."""


class NameFiles(Protocol):
    """`/etc/hosts` and `/etc/resolv.conf` of containers that have files of their own."""

    def look(self, place: Place) -> FoundFiles | None:
        """Return what there is, or None if that can't be known yet, or the container is gone.

        Raises:
            SystemFailure: it can't be looked for, as by a kernel before 5.6.
        """

    def write(self, place: Place, files: tuple[NameFile, ...]) -> None:
        """Have files say what they shall; a container that is gone is fine.

        Raises:
            SystemFailure: one of them is not what it was when it was looked for, or it
                can't be written.
        """

    def exchange_hostname(self, process: Process, name: str = "") -> str:
        """Return what a container calls itself, and have it another name if there is one.

        Returns:
            "" if it has the host's hostname, or is gone.

        Raises:
            SystemFailure: it is not allowed.
        """


class NameServer(Protocol):
    """Who answers for the names of networks; fed by lines, and started and ended as they are."""

    def flaw(self, network: ServedNetwork) -> str:
        """Return why nobody can be served there now, with what helps; "" if one can."""

    def enter(
        self,
        network: ServedNetwork,
        container: ServedContainer,
        contested: list[tuple[str, Contested]] | None = None,
    ) -> bool:
        """Have a container found by these names, and no others, by whoever asks from now on.

        The server is started if it does not run, and not waited for.

        Args:
            network: it is on.
            container: with the names that it is to have.
            contested: is told of names that another one there has, or had, each with the network.

        Returns:
            False if it is so already.

        Raises:
            SystemFailure: a file can't be written, or nothing can be started.
            BusyError: others change names for longer than there is time.
        """

    def leave(self, network: str, container_id: str) -> bool:
        """Have a container found there no more; with the last one of all, the server ends.

        That the server can't be started, or told, is in the event log.

        Returns:
            False if it is not.

        Raises:
            SystemFailure: a file can't be written.
            BusyError: as `enter`.
        """

    def host_resolvers(self) -> tuple[str, ...]:
        """Return whom the host asks for names, as its /etc/resolv.conf spells them."""

    def is_news(self, network: str, why: str) -> bool:
        """Tell whether why a network's names can't be served has not been told yet; it is now."""

    def texts(self) -> dict[str, str]:
        """Return what the server reads, by the name of each file; see `model.served`."""

    def state(self) -> ServerState:
        """Return how the server is; off the hook's path."""

    def wake(self) -> None:
        """Have the server run and read all anew, or end where nobody is served.

        Raises:
            SystemFailure, BusyError: as `enter`.
        """


class NamesElsewhere(Protocol):
    """Names of networks that lead to containers on other hosts: the same server answers to them."""

    def there(self, network: str) -> tuple[Elsewhere, ...]:
        """Return who of a network is on other hosts, as it was told last.

        Raises:
            SystemFailure: it can't be read.
        """

    def networks(self) -> tuple[str, ...]:
        """List the networks of which somebody is on another host, sorted."""

    def tell(
        self,
        network: str,
        there: tuple[Elsewhere, ...],
        came: Callable[[str], tuple[str, str, str]] | None,
        contested: list[tuple[str, Contested]],
    ) -> bool:
        """Have those on other hosts found on a network, and no others there.

        Args:
            network: its name; it need not be served now.
            there: all of them; they are checked.
            came: the rank of a container here, by its id; None: whoever is here came first.
            contested: is told of names that those here lose by it, each with the network.

        Returns:
            False if it is so already.

        Raises:
            SystemFailure: a file can't be written.
            BusyError: others change names for longer than there is time.
        """
