"""ipam ls, ipam release, reservation add, ls, rm: which address is whose."""

from __future__ import annotations

from ocinet.base.address import Address
from ocinet.base.clock import now
from ocinet.base.errors import ConflictError, NotFoundError, OcinetError, RequestError, failures
from ocinet.base.names import SHOWN_ID, check_container, did_you_mean
from ocinet.cli.command_tree import Command
from ocinet.cli.parser import Parser, add_format, add_switch, add_text
from ocinet.cli.printing import Table, age, show, tell_unreadable
from ocinet.ipam.pool import check_static
from ocinet.ipam.reservation import Reservation
from ocinet.request.grammar import read_mac

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from ocinet.cli.console import Console
    from ocinet.engine.engine import Engine
    from ocinet.engine.model.network import Network


def _configure_ls(parser: Parser) -> None:
    says = "show whose each address of that network is (default: how full all networks are)"
    parser.add_argument("network", metavar="NETWORK", nargs="?", help=says)
    add_switch(parser, "--no-trunc", says=f"show whole ids (default: {SHOWN_ID} characters)")
    add_format(parser)


def _ls(arguments: Namespace, console: Console) -> None:
    with console.engine() as engine:
        store = engine.networks
        networks = (store.get(arguments.network),) if arguments.network else store.readable()
        if not arguments.network:
            tell_unreadable(engine, console)
        shown = [_encode(engine, network) for network in networks]
        names = {record.container.id: record.container.name for record in engine.containers.all()}
    if arguments.network:
        table = Table("ADDRESS", "CONTAINER ID", "NAME", "INTERFACE", "PID", "AGE")
        for lease in shown[0]["leases"]:
            container_id = lease["container"]
            table.add(
                lease["address"],
                container_id if arguments.no_trunc else container_id[:SHOWN_ID],
                names.get(container_id, "-"),
                lease["ifname"],
                str(lease["pid"] or "-"),
                age(lease["time"]),
            )
        for address in shown[0]["unreadable"]:
            table.add(address, "?", "(its lease can't be read)", "?", "?", "?")
    else:
        table = Table("NETWORK", "SUBNET", "ALLOCATABLE", "HELD", "RESERVED", "UNREADABLE")
        for network in shown:
            unreadable = str(len(network["unreadable"]))
            for pool in network["pools"]:
                numbers = [str(pool[key]) for key in ("allocatable", "held", "reserved")]
                table.add(network["network"], pool["subnet"], *numbers, unreadable)
    show(console, arguments, shown, table)


def _encode(engine: Engine, network: Network) -> dict[str, Any]:
    """Return all that is known of a network's addresses, as a JSON object."""
    leases = engine.addresses.leases
    return {
        "network": network.name,
        "pools": [
            {
                "subnet": str(usage.pool.subnet),
                "size": usage.size,
                "allocatable": usage.allocatable,
                "held": usage.held,
                "reserved": usage.reserved,
            }
            for usage in leases.usage(network.name, network.pools)
        ],
        "leases": [
            {
                "address": str(lease.address),
                "container": lease.holder.container,
                "ifname": lease.holder.ifname,
                "host_ifname": lease.holder.host_ifname,
                "sandbox": lease.holder.sandbox,
                "pid": lease.holder.process.pid if lease.holder.process else None,
                "time": lease.time,
            }
            for lease in leases.leases(network.name)
        ],
        "unreadable": list(leases.quarantined(network.name)),
    }


def _configure_release(parser: Parser) -> None:
    parser.add_argument("network", metavar="NETWORK", help="a network's name")
    says = "shown as unreadable by 'ocinet ipam ls NETWORK'"
    parser.add_argument("address", metavar="ADDRESS", help=says)


def _release(arguments: Namespace, console: Console) -> None:
    address = Address.parse(arguments.address)
    with console.engine() as engine:
        network = engine.networks.get(arguments.network)
        leases = engine.addresses.leases
        if leases.release_quarantined(network.name, address):
            console.print(str(address))
            return
        lease = leases.lease(network.name, address)
    what = f"cannot release {address}"
    if lease:
        holder = lease.holder.container
        raise ConflictError(what, f"{holder} holds it", f"ocinet detach {holder}")
    raise NotFoundError(what, "it is free", f"see: ocinet ipam ls {network.name}")


def _configure_add(parser: Parser) -> None:
    parser.add_argument("network", metavar="NETWORK", help="a network's name")
    parser.add_argument("name", metavar="NAME", help="a container's name: ids change, names stay")
    says = "address to keep, one of each family at most (default: what the container has now)"
    add_text(parser, "--ip", "--ip6", metavar="ADDRESS", says=says, several=True)
    says = "MAC to keep with it (default: derived from the address)"
    add_text(parser, "--mac", "--mac-address", metavar="MAC", says=says)
    parser.examples("ocinet reservation add lan web --ip 10.9.0.5", "ocinet reservation add lan db")


def _add(arguments: Namespace, console: Console) -> None:
    what = f"cannot reserve an address for {arguments.name}"
    try:
        name = check_container(arguments.name, "container name")
        mac = "" if arguments.mac is None else read_mac(arguments.mac)
        asked = tuple(Address.parse(text) for text in arguments.ip)
        if len({address.family for address in asked}) != len(asked):
            raise RequestError("", "there are two addresses of one family", "give one of each")
        with console.engine() as engine:
            network = engine.networks.get(arguments.network)
            addresses = asked or _present(engine, network, name)
            for address in addresses:
                _check_free(engine, network, address, name)
            store = engine.addresses.reservations
            for address in addresses:
                store.add(Reservation(network.name, name, address, mac, now()))
                console.print(str(address))
    except OcinetError as error:
        raise error.within(what) from error


def _present(engine: Engine, network: Network, name: str) -> tuple[Address, ...]:
    """Return the addresses that a container of that name has on the network now."""
    by_family = {
        interface.address.family: interface.address
        for record in engine.containers.all()
        if record.container.name == name
        for endpoint in record.endpoints
        if endpoint.network == network.name
        # Backwards, so that of several of a family the first one counts.
        for interface in reversed(endpoint.addresses)
    }
    if not by_family:
        raise RequestError("", f"{name} has none on {network.name} to keep", "say --ip ADDRESS")
    return tuple(by_family.values())


def _check_free(engine: Engine, network: Network, address: Address, name: str) -> None:
    check_static(network.pools, address)
    lease = engine.addresses.leases.lease(network.name, address)
    if lease is None:
        return
    record = engine.containers.get(lease.holder.container)
    if record is None or record.container.name != name:
        holder = record.container.name if record else lease.holder.container
        raise ConflictError("", f"{holder} holds {address} now", f"ocinet detach {holder}")


def _configure_reservations(parser: Parser) -> None:
    says = "show those on that network (default: on all)"
    parser.add_argument("network", metavar="NETWORK", nargs="?", help=says)
    add_format(parser)


def _ls_reservations(arguments: Namespace, console: Console) -> None:
    with console.engine() as engine:
        store = engine.addresses.reservations
        if arguments.network:
            kept = store.all(engine.networks.get(arguments.network).name)
        else:
            kept = tuple(
                reservation for network in store.networks() for reservation in store.all(network)
            )
    table = Table("NETWORK", "NAME", "ADDRESS", "MAC", "AGE")
    for reservation in kept:
        table.add(
            reservation.network,
            reservation.name,
            str(reservation.address),
            reservation.mac or "-",
            age(reservation.created),
        )
    shown = [
        {
            "network": reservation.network,
            "name": reservation.name,
            "address": str(reservation.address),
            "mac": reservation.mac,
            "created": reservation.created,
        }
        for reservation in kept
    ]
    show(console, arguments, shown, table)


def _configure_rm(parser: Parser) -> None:
    parser.add_argument("network", metavar="NETWORK", help="a network's name")
    parser.add_argument("names", metavar="NAME", nargs="+", help="a container's name")


def _rm(arguments: Namespace, console: Console) -> None:
    errors: list[OcinetError] = []
    with console.engine() as engine:
        store = engine.addresses.reservations
        for name in arguments.names:
            gone = store.remove(arguments.network, name)
            for reservation in gone:
                console.print(str(reservation.address))
            if not gone:
                names = [reservation.name for reservation in store.all(arguments.network)]
                hint = did_you_mean(name, names) or "see: ocinet reservation ls"
                errors.append(
                    NotFoundError(
                        f"cannot give up the reservation of {name}",
                        f"it has none on {arguments.network}",
                        hint,
                    )
                )
    failures("cannot give all reservations up", errors)


COMMANDS = {
    "ipam ls": Command(_configure_ls, _ls),
    "ipam release": Command(_configure_release, _release),
    "reservation add": Command(_configure_add, _add),
    "reservation ls": Command(_configure_reservations, _ls_reservations),
    "reservation rm": Command(_configure_rm, _rm),
}
