"""Who is on a network, in each other's `/etc/hosts`: what is left where no name server serves it.

    # Others on lan, as ocinet finds them by now.
    10.9.0.3    db 77b100000000

Where aardvark-dns is not installed, or port 53 is somebody else's, those that it could not be
told of are noted in the index of links by the network (`on:lan`). From then on who comes to
that network, leaves it, or is renamed, writes the lines of all who have to know: under a lock of
the network's, with the records as they are by then, so that the last writer leaves what is so.

Bounded: the first `MOST` on a network know each other. Each that comes rewrites the files of
all others, which takes 0.2 ms for each, and a hook has its container waiting; and a file of more
lines is read through at every look-up of a name.
"""

from __future__ import annotations

from ocinet.base.errors import OcinetError
from ocinet.base.events import WARNED
from ocinet.base.hostname import names_of_host
from ocinet.engine.model.attachment import ATTACHED
from ocinet.engine.model.name_holders import OWN_END, own_part, settle_names
from ocinet.engine.model.served import HOST_NAME
from ocinet.engine.others_lines import write_others
from ocinet.engine.plan.serving import names_in_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.elsewhere import Elsewhere, Merged
    from ocinet.engine.model.name_holders import Contested
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.storage import Records

MOST = 64
ON = "on:"  # no name and no id of a container has a colon


def note_unserved(records: Records, record: Attachment, networks: Iterable[str]) -> None:
    """Note on which networks no name server knows a container, where one should.

    Raises:
        SystemFailure: it can't be written.
    """
    for network in networks:
        records.linked.add(ON + network, record.container.id)


def forget_unserved(records: Records, container_id: str, networks: Iterable[str]) -> None:
    """Forget it, as a container leaves these networks."""
    for network in networks:
        records.linked.remove(ON + network, container_id)


def leave_peers(
    operation: Operation, machine: Machine, record: Attachment, networks: Iterable[str]
) -> None:
    """Have a container that has left networks find nobody there any more."""
    for network in networks:
        with operation.locks.hosts(record.container.id):
            write_others(machine, record, _topic(network), ())


def tell_peers(
    operation: Operation,
    machine: Machine,
    records: Records,
    networks: Iterable[str],
    newcomer: str = "",
) -> None:
    """Have those on networks that are not served know each other, as they are by now.

    What can't be written is an event of whose file it is.

    Args:
        operation: by whose time, locks and log it goes.
        machine: with the files.
        records: as they are by now.
        networks: that somebody came to, or left.
        newcomer: the id of the one that came.
    """
    for network in dict.fromkeys(networks):
        unserved = records.linked.linkers((ON + network,))
        if newcomer in unserved and len(unserved) > MOST:
            # Without a look at the others: of a thousand, all records would be read for nothing.
            _tell_unknown(operation, records, network, newcomer)
        elif unserved:
            try:
                with operation.locks.peers(network):
                    _write_all(operation, machine, records, network, newcomer)
            except OcinetError as error:  # nobody is kept from starting by others' files
                operation.log.append("names not told", network=network, error=str(error))


def _tell_unknown(operation: Operation, records: Records, network: str, newcomer: str) -> None:
    why = (
        f"nobody finds it on {network} by its name: no name server serves that, and /etc/hosts"
        f" has the first {MOST} alone: apt-get install aardvark-dns"
    )
    record = records.attachments.get(newcomer)
    name = record.container.name if record else newcomer
    operation.log.append(WARNED, container=newcomer, name=name, warning=why)


def _write_all(
    operation: Operation, machine: Machine, records: Records, network: str, newcomer: str
) -> None:
    there = [
        record
        for record in records.attachments.all()  # by time
        if record.state == ATTACHED
        and record.boot_id == operation.boot_id
        and any(endpoint.network == network for endpoint in record.endpoints)
    ]
    unserved = {record.container.id for record in there if network not in record.served}
    for noted in records.linked.linkers((ON + network,)):
        if noted not in unserved:  # killed, or served by now
            forget_unserved(records, noted, (network,))
    known = there[:MOST]
    far = machine.names_elsewhere.there(network)[: MOST - len(known)]
    names, contested = _names_on(known, network, far)
    if newcomer in unserved:  # else the server's lines have told
        _tell_contested(operation, records, network, contested, newcomer)
    lines = {
        record.container.id: tuple(
            f"{interface.address}\t{words}\n"
            for endpoint in record.endpoints
            if endpoint.network == network
            for interface in endpoint.addresses
            for words in _words(record.container.id, names.get(record.container.id, ()))
        )
        for record in known
    }
    host = _host_lines(records, network) + tuple(
        f"{address}\t{words}\n"
        for each in far
        for address in each.addresses
        for words in _words(each.key, names.get(each.key, ()))
    )
    for record in known:
        own = record.container.id
        is_first = record.endpoints[0].network == network
        others = (host if is_first and own in unserved else ()) + tuple(
            line
            for other, spelled in lines.items()
            if other != own and (other in unserved or own in unserved)
            for line in spelled
        )
        try:
            with operation.locks.hosts(own):
                failed = write_others(machine, record, _topic(network), others)
        except OcinetError as error:  # who hangs with one file in hand keeps nobody from the rest
            failed = [f"whom it finds on {network} is as before: {error}"]
        for warning in failed:
            operation.log.append(WARNED, container=own, name=record.container.name,
                                 warning=warning)  # fmt: skip


def _tell_contested(
    operation: Operation,
    records: Records,
    network: str,
    contested: list[Contested],
    newcomer: str,
) -> None:
    """Leave events of the names that a newcomer does not get, and of those that it takes."""
    for each in contested:
        if newcomer in (each.loser, each.holder):
            from ocinet.engine.lost_names import tell_lost

            tell_lost(operation, records, network, each, newcomer)


def _words(container_id: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names as they stand in lines: its own in one, each alias in another.

    musl reads 511 bytes of a line (__lookup_name), and a name may have 253.
    """
    own = own_part(container_id, names)
    aliases = (name for name in names[len(own) :] if name != OWN_END)
    return (*filter(None, (" ".join(own),)), *aliases)


def _host_lines(records: Records, name: str) -> tuple[str, ...]:
    """Return the lines of the host, as who is on a network reaches it."""
    network = records.networks.find(name)
    if network is None or not network.host:
        return ()
    return tuple(f"{pool.gateway}\t{HOST_NAME}\n" for pool in network.pools if pool.gateway)


def _names_on(
    records: list[Attachment], network: str, there: tuple[Elsewhere, ...]
) -> tuple[dict[str, tuple[str, ...]], list[Contested]]:
    """Return the names that each of a network's has, the first who came first, and the rest.

    Who has lost its last one has none there.
    """
    text, names = "\n", {}
    contested: list[Contested] = []
    for record in records:
        container_id = record.container.id
        wanted = names_in_line(record, network)
        holding = settle_names(text, container_id, wanted, names_of_host(wanted))
        contested += holding.contested
        if holding.names:
            text = f"{holding.text}{container_id}   {','.join(holding.names)}\n"
        else:
            text = holding.text
    if there:
        merged = _beside_elsewhere(text, records, there)
        text = merged.text
        contested += merged.contested
    for line in text.splitlines():
        if line:
            names[line.partition(" ")[0]] = tuple(line.split(" ")[3].split(","))
    return names, contested


def _beside_elsewhere(text: str, records: list[Attachment], there: tuple[Elsewhere, ...]) -> Merged:
    from ocinet.engine.model.elsewhere import with_elsewhere

    came = {record.container.id: record.time for record in records}
    taken = names_of_host([name for each in there for name in (*each.own, *each.aliases)])
    return with_elsewhere(text, there, taken, lambda own: (came[own], "", own))


def _topic(network: str) -> str:
    return f"on {network}"
