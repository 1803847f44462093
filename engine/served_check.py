"""Whether names are served as they are on record, and the server as it has to be.

The server's files are a cache: what is missing there comes from the records again.
"""

from __future__ import annotations

from functools import partial
from time import sleep

from ocinet.base.errors import BusyError
from ocinet.base.hostname import names_of_host
from ocinet.base.value import Value
from ocinet.engine.linked_names import write_anew
from ocinet.engine.model.attachment import ATTACHED
from ocinet.engine.model.name_holders import settle_names
from ocinet.engine.model.served import has_elsewhere, lines_by_id
from ocinet.engine.naming import plan_names
from ocinet.engine.peers import ON, forget_unserved
from ocinet.engine.plan.serving import is_between, served_container, served_network
from ocinet.engine.serving import host_resolvers, is_recorded, served_on
from ocinet.engine.waiting_names import serve_anew

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ocinet.base.address import Address
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.network import Network
    from ocinet.engine.model.served import ServedContainer, ServedNetwork, ServerState
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.storage import Records

_LOOKS, _BETWEEN_S = 10, 0.02


class Unserved(Value):
    """One thing about names that is not as it has to be.

    Attributes:
        what: in one line.
        repair: puts it right; None where that is a person's, as `what` says.
    """

    what: str
    repair: Callable[[], object] | None = None


class ServedCheck:
    """One look at the names that are served.

    Args:
        operation: by whose locks it goes.
        machine: with the name server.
        records: who is on which network.
    """

    def __init__(self, operation: Operation, machine: Machine, records: Records) -> None:
        self._operation = operation
        self._machine = machine
        self._records = records

    def all(self) -> Iterator[Unserved]:
        """Find all there is, what others follow from first.

        Raises:
            OcinetError: a file can't be read.
        """
        wanted = self._wanted()
        yield from self._lines(wanted)
        yield from self._left_out()
        if wanted or not self._machine.name_server.texts():
            yield from self._server(frozenset(wanted))

    def _wanted(self) -> dict[str, list[tuple[str, ServedNetwork, ServedContainer]]]:
        """Return who is to be found on which network, by the name of its file."""
        wanted: dict[str, list[tuple[str, ServedNetwork, ServedContainer]]] = {}
        networks = {network.name: network for network in self._records.networks.readable()}
        resolvers = host_resolvers(self._machine)
        for record in self._records.attachments.all():
            if record.boot_id != self._operation.boot_id:
                continue
            for where, known in self._of(record, networks, resolvers):
                entry = record.container.name, where, known
                wanted.setdefault(where.file, []).append(entry)
        return wanted

    def _of(
        self, record: Attachment, networks: dict[str, Network], resolvers: tuple[Address, ...]
    ) -> Iterator[tuple[ServedNetwork, ServedContainer]]:
        on = [networks[end.network] for end in record.endpoints if end.network in networks]
        defined = {network.name: network for network in on}
        asked = resolvers if is_between(on) else ()
        for name in record.served:
            where = served_on(self._machine, defined[name]) if name in defined else None
            known = where and served_container(record, name, defined, asked)
            if where and known:
                yield where, known

    def _lines(
        self, wanted: dict[str, list[tuple[str, ServedNetwork, ServedContainer]]]
    ) -> Iterator[Unserved]:
        texts = self._machine.name_server.texts()
        for file, entries in wanted.items():
            text = texts.get(file, "")
            lines = lines_by_id(text)
            lacking = [entry for entry in entries if lines.get(entry[2].id) != _due(text, entry[2])]
            lacking = [now for entry in lacking if (now := self._still_lacking(entry))]
            network = entries[0][1]
            yield from self._elsewhere(network.name, text)
            if not lacking and not text.startswith(network.head):
                lacking = entries[:1]
            if lacking:
                names = ", ".join(sorted(name for name, _, _ in lacking)[:5])
                more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
                what = f"on {network.name}, {names}{more} can't be found by name as on record"
                yield Unserved(what, self._entering(lacking))

    def _still_lacking(
        self, entry: tuple[str, ServedNetwork, ServedContainer]
    ) -> tuple[str, ServedNetwork, ServedContainer] | None:
        """Return what is to be found, looked at with nobody at work on it; None if it is so.

        An attach writes its record before its line, and a detach takes its line out first.
        """
        _name, before, known = entry
        try:
            with self._operation.locks.container(known.id, wait=False):
                record = self._records.attachments.get(known.id)
                if record is None:
                    return None
                networks = {each.name: each for each in self._records.networks.readable()}
                for where, due in self._of(record, networks, host_resolvers(self._machine)):
                    text = self._machine.name_server.texts().get(where.file, "")
                    lacks = lines_by_id(text).get(due.id) != _due(text, due)
                    if where.name == before.name and lacks:
                        return record.container.name, where, due
        except BusyError:  # the next look sees what came of it
            return None
        return None

    def _elsewhere(self, network: str, text: str) -> Iterator[Unserved]:
        elsewhere = self._machine.names_elsewhere
        there = elsewhere.there(network)
        if not there and not has_elsewhere(text):
            return
        from ocinet.engine.model.elsewhere import with_elsewhere

        taken = names_of_host([name for each in there for name in (*each.own, *each.aliases)])
        if with_elsewhere(text, there, taken).text != text:
            what = f"on {network}, containers on other hosts can't be found by name as they told"
            yield Unserved(what, lambda: elsewhere.tell(network, there, None, []))

    def _entering(
        self, lacking: list[tuple[str, ServedNetwork, ServedContainer]]
    ) -> Callable[[], object]:
        def enter() -> None:
            for _name, where, known in lacking:
                # Who comes or goes just now does it itself.
                with self._operation.locks.container(known.id):
                    if is_recorded(self._records, where.name, known.id):
                        self._machine.name_server.enter(where, known)

        return enter

    def _left_out(self) -> Iterator[Unserved]:
        """Find who was not told of to a server, and could be by now.

        As whose attach found its files locked, who came before aardvark-dns was installed, or
        before ocinet served names at all.
        """
        # Settings that can't be read may say that no names are served.
        if self._operation.settings_flaw or not self._operation.settings.names:
            return
        living = [
            record
            for record in self._records.attachments.all()
            if record.boot_id == self._operation.boot_id
            and (record.container.process is None or record.container.process.alive)
        ]
        for network in self._records.networks.readable():
            left = [record for record in living if _could_be_served(record, network.name)]
            where = served_network(network) if left else None
            if where and not self._machine.name_server.flaw(where):
                noted = self._records.linked.linkers((f"{ON}{network.name}",))
                for record in left:
                    known = record.container
                    by = "by hosts files alone" if known.id in noted else "by nobody by its names"
                    what = (
                        f"on {network.name}, {known.name} is found {by}: it was not served when it"
                        " came, and can be"
                    )
                    yield Unserved(what, partial(self._serve, known.id, network.name))

    def _serve(self, container_id: str, network: str) -> None:
        with self._operation.locks.container(container_id):
            record = self._records.attachments.get(container_id)
            if record is None or not _could_be_served(record, network):
                return
            record = record.replace(served=(*record.served, network))
            serve_anew(self._machine, self._records, record, (network,))
            self._records.attachments.put(record)
            for step in plan_names(self._machine, self._records, record.container, record):
                step.apply(self._machine)
            forget_unserved(self._records, container_id, (network,))
            write_anew(self._operation, self._machine, self._records, record)

    def _server(self, wanted: frozenset[str]) -> Iterator[Unserved]:
        server = self._machine.name_server
        state = self._settled_state()
        if not wanted:
            if state.pid:
                yield Unserved("the name server runs, and nobody is to be found", server.wake)
        elif state.starting:
            return
        elif not state.program:
            yield Unserved(
                "names are on record and not served: aardvark-dns is not installed any more;"
                " apt-get install aardvark-dns, then: ocinet check --repair"
            )
        elif not state.pid:
            yield from self._ended(state)
        elif state.stopped:
            what = f"the name server, process {state.pid}, is stopped, so nobody is found by name"
            yield Unserved(what, server.wake)
        elif state.unheard:
            for address, why in state.unheard:
                what = f"names are not served at {address}"
                yield Unserved(f"{what}: {why}") if why else Unserved(what, server.wake)
        elif state.stale:
            what = "the name server asks whom the host asked before /etc/resolv.conf was changed"
            yield Unserved(what, server.wake)

    def _ended(self, state: ServerState) -> Iterator[Unserved]:
        """Tell why none runs: 1.14 ends where its port is taken, 1.4 stays and does without."""
        taken = [(address, why) for address, why in state.unheard if why]
        for address, why in taken:
            yield Unserved(f"names are not served at {address}: {why}")
        if not taken or len(taken) < len(state.unheard):
            what = "the name server has ended, so nobody is found by name"
            yield Unserved(what, self._machine.name_server.wake)

    def _settled_state(self) -> ServerState:
        """Return the server's state, once it is not about to be another.

        Versions before 1.11 close all their sockets when they read anew.
        """
        state = self._machine.name_server.state()
        for _look in range(_LOOKS):
            if not state.pid or not any(not why for _address, why in state.unheard):
                break
            sleep(_BETWEEN_S)
            state = self._machine.name_server.state()
        return state


def _could_be_served(record: Attachment, network: str) -> bool:
    return (
        record.state == ATTACHED
        and network not in record.served
        and any(endpoint.network == network for endpoint in record.endpoints)
    )


def _due(text: str, container: ServedContainer) -> str:
    """Return the line that a container is to have, beside others who want the same names."""
    names = settle_names(text, container.id, container.names, names_of_host(container.names)).names
    return container.replace(names=names).line
