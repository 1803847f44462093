"""Who may talk to whom, followed: as containers come, go, and change what they wish.

Who comes enters its names and those it speaks of first, and then looks who there is; who
goes leaves its names first, and then takes out what was entered. So of two who come, or one
who comes and one who goes, each sees the other, or is seen: what both enter is entered
twice, and who has entered something for one that has gone meanwhile takes it out again.
"""

from __future__ import annotations

from ocinet.engine.link_targets import leads_of, led_by, names_of
from ocinet.engine.plan.access import (
    between,
    concern,
    egress_names,
    far_parties,
    opens_nothing,
    own_elements,
    parties_of,
)
from ocinet.engine.plan.access_steps import ChangeAccess, ForgetRefused
from ocinet.engine.plan.detach import addresses_of
from ocinet.engine.plan.removal_steps import ForgetFlows
from ocinet.engine.plan.steps import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.journal import Journal
    from ocinet.engine.model.attachment import Attachment, Container
    from ocinet.engine.model.network import Network
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.access import Lead, Party
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.ruleset.elements import Element
    from ocinet.engine.storage import Records


EGRESS_NAMES = "@egress"  # no network is called so: who speaks of which DNS names


class Access:
    """What our table holds of one container, and who knows of it by name.

    Args:
        records: of all containers.
        container_id: whose it is.
    """

    def __init__(self, records: Records, container_id: str) -> None:
        self._records = records
        self._id = container_id
        # Each is a file, that is asked for again and again; none that is used changes.
        self._networks: dict[str, Network | None] = {}
        self._known: dict[str, tuple[Attachment, tuple[Party, ...]]] = {}

    def enter(self, record: Attachment | None) -> None:
        """Have others find it by its names, and whoever it speaks of find it."""
        for party in self._parties(record):
            self._records.mentions().enter(self._id, party.network, party.names, party.means)
        names = egress_names(record, self._network) if record else ()
        if names:
            self._records.mentions().enter(self._id, EGRESS_NAMES, (), names)

    def leave(self, record: Attachment | None, kept: Attachment | None = None) -> None:
        """Have nobody find it any more, but by what is kept."""
        stay = {party.network: party for party in self._parties(kept)}
        for party in self._parties(record):
            same = stay.get(party.network)
            names = tuple(name for name in party.names if not same or name not in same.names)
            means = tuple(name for name in party.means if not same or name not in same.means)
            self._records.mentions().leave(self._id, party.network, names, means)
        kept_names = egress_names(kept, self._network) if kept else ()
        said = egress_names(record, self._network) if record else ()
        gone = tuple(name for name in said if name not in kept_names)
        if gone:
            self._records.mentions().leave(self._id, EGRESS_NAMES, (), gone)
        # Its links with them: whoever they are to would find it by them for as long as it goes.
        for target in _targets(record) - _targets(kept):
            self._records.linked.remove(target, self._id)

    def open(
        self, before: Attachment, record: Attachment, journal: Journal, warnings: list[str]
    ) -> None:
        """Have our table hold what a record says, where before it held what another one said.

        Args:
            before: what there was.
            record: as it is written by now.
            journal: takes it back if what follows fails.
            warnings: get what has no effect, or none yet.

        Raises:
            OcinetError: it can't be entered.
        """
        journal.push(self.leave, record, before)
        self.enter(record)
        for step in self.change(before, record):
            journal.apply((step,))
            if isinstance(step, ChangeAccess):
                still = self._elements(record)
                gone = tuple(element for element in step.added if element not in still)
                journal.apply((ChangeAccess(gone, ()),) if gone else ())
        self.leave(before, record)
        warnings += self.unknown(record)

    def rename(self, before: Attachment, record: Attachment, machine: Machine) -> None:
        """Have it be meant by the names that it has by now, and by its former ones no more.

        Args:
            before: with its former name.
            record: as it is written by now.
            machine: whose table it is.
        """
        self.enter(record)
        for step in self.change(before, record):
            step.apply(machine)
            if isinstance(step, ChangeAccess):
                self._look_again(step.added, record, machine)
        self.leave(before, record)

    def held(self, record: Attachment | None) -> tuple[Element, ...]:
        """Return what our table holds by a record, as names lead by now."""
        return tuple(self._elements(record))

    def follow(self, former: tuple[Element, ...], record: Attachment, machine: Machine) -> None:
        """Have our table hold what a record says by now, where it held something else.

        What is open to where a name has led stays open: its connections go on.

        Args:
            former: what it held.
            record: of the container, whose lock is held.
            machine: whose table it is.
        """
        wanted = self.held(record)
        removed = tuple(element for element in former if element not in wanted)
        added = tuple(element for element in wanted if element not in former)
        if removed or added:
            ChangeAccess(removed, added).apply(machine)
            self._look_again(added, record, machine)

    def relink(
        self, gone: tuple[str, ...], came: tuple[str, ...], machine: Machine
    ) -> tuple[str, ...]:
        """Have links lead to a sandbox, or not any more, by the names of one in it.

        What was open by a link and is so no more is cut, as its target may be elsewhere now.

        Args:
            gone: names that one in its sandbox had.
            came: those that one has by now.
            machine: whose table it is.

        Returns:
            Which links open nothing, if one came.
        """
        record = self._records.attachments.get(self._id)
        former = self._by_links(record, gone, gone)
        wanted = self._by_links(record, (*gone, *came))
        removed = tuple(element for element in former if element not in wanted)
        if removed or wanted:
            ChangeAccess(removed, tuple(wanted)).apply(machine)
            still = self._by_links(record, (*gone, *came))
            late = tuple(element for element in wanted if element not in still)
            ChangeAccess(late, ()).apply(machine)
        if record and removed:
            ForgetFlows(addresses=addresses_of(record.endpoints)).apply(machine)
        return tuple(self._empty_links(self._parties(record))) if came else ()

    def _by_links(
        self, record: Attachment | None, names: tuple[str, ...], led: tuple[str, ...] = ()
    ) -> dict[Element, None]:
        """Return what is open between a container and those who have links by these names."""
        found: dict[Element, None] = {}
        lead = leads_of(self._records, self._id, record, led)
        linkers = (each for each in self._records.linked.linkers(names) if each != self._id)
        for other in map(self._records.attachments.get, linkers):
            for party in self._parties(record):
                for theirs in self._parties(other):
                    found |= dict.fromkeys(between(theirs, party, lead))
        return found

    def _look_again(self, added: tuple[Element, ...], record: Attachment, machine: Machine) -> None:
        """Take out what was entered for who has gone meanwhile."""
        still = self._elements(record) if added else {}
        gone = tuple(element for element in added if element not in still)
        if gone:
            ChangeAccess(gone, ()).apply(machine)

    def close(self, record: Attachment, kept: Attachment | None = None) -> tuple[Step, ...]:
        """Have nobody find a container any more but by what is kept, and return the steps."""
        if record.access is None:
            return ()
        # Looked at twice: of two who end at once the first to leave still finds the other, and
        # who comes in between finds it, and is found, behind.
        held = self._elements(record)
        self.leave(record, kept)
        held |= self._elements(record)
        stay = addresses_of(kept.endpoints) if kept else ()
        gone = tuple(each for each in addresses_of(record.endpoints) if each not in stay)
        return (*self.change(record, kept, held), ForgetRefused(gone))

    def change(
        self,
        before: Attachment | None,
        after: Attachment | None,
        held: dict[Element, None] | None = None,
    ) -> tuple[Step, ...]:
        """Return the steps from what is in of one record to what another one says.

        What was open and is so no more is cut: its connections are forgotten.

        Args:
            before: the one.
            after: the other.
            held: what is in of the one; None: as names lead by now.
        """
        former = self._elements(before) if held is None else held
        wanted = self._elements(after)
        removed = tuple(element for element in former if element not in wanted)
        added = tuple(element for element in wanted if element not in former)
        steps: list[Step] = [ChangeAccess(removed, added)] if removed or added else []
        narrower = removed or any(element.set.name.startswith("kept") for element in added)
        if after and before and before.endpoints and narrower:
            steps.append(ForgetFlows(addresses=addresses_of(after.endpoints)))
        return tuple(steps)

    def unknown(self, record: Attachment) -> tuple[str, ...]:
        """Tell what a container's user says and what has no effect, or none yet."""
        access = record.access
        if access is None:
            return ()
        told = []
        parties = self._parties(record)
        if (access.allow or access.expose) and not parties and access.egress is None:
            where = ", ".join(dict.fromkeys(end.network for end in record.endpoints))
            told.append(
                f"ocinet.allow and ocinet.expose open nothing on {where}: only where ocinet"
                " itself keeps containers apart: ocinet network create --icc=false"
            )
        if access.allow or access.expose:
            told += self._flaws_of_networks(parties)
        for name in dict.fromkeys(name for party in parties for name in party.means):
            if not self._is_called(parties, name):
                where = ", ".join(party.network for party in parties)
                told.append(f"nobody on {where} is called {name} yet: it is opened when it comes")
        told += self._empty_links(parties)
        for name in egress_names(record, self._network):
            if "." not in name:
                told.append(f"there is no network {name}, so nothing leaves for it")
            elif not self._records.resolved().addresses(name):
                told.append(
                    f"nothing leaves for {name} until the watcher has looked it up, which takes it"
                    " some seconds: ocinet watch"
                )
        return tuple(told)

    def _is_called(self, parties: tuple[Party, ...], name: str) -> bool:
        """Tell whether anybody of these networks is called so, here or on another host."""
        mentions = self._records.mentions()
        return any(
            mentions.called(party.network, name)
            or any(name in theirs.names for theirs in self._far(party))
            for party in parties
        )

    def _empty_links(self, parties: tuple[Party, ...]) -> list[str]:
        """Tell of links, of a container and to it, that open no port."""
        told = []
        record = self._records.attachments.get(self._id)
        if record is None:
            return []
        lead = leads_of(self._records, self._id, record)
        for party in parties:
            linked = self._linked(party, record, lead)
            for other in self._others(party, linked) if linked else ():
                for theirs in self._parties(other):
                    for client, server in ((party, theirs), (theirs, party)):
                        if opens_nothing(client, server, lead):
                            name, target = client.names[0], server.names[0]
                            told.append(
                                f"the link of {name} to {target} opens nothing on {party.network}:"
                                f" {target} exposes no port that is known, or by ocinet.expose;"
                                f" ocinet attach {name} --net {party.network} --allow {target}:PORT"
                            )
        return told

    def _flaws_of_networks(self, parties: tuple[Party, ...]) -> list[str]:
        """Tell of networks on which what is said opens nothing, or more than is said."""
        told = []
        for network in filter(None, (self._network(party.network) for party in parties)):
            if network.internal:
                told.append(
                    f"{network.name} is internal, so nothing passes the host between those on it:"
                    " ocinet.allow and ocinet.expose open nothing there"
                )
            elif not network.guard:
                told.append(
                    f"{network.name} has no guard (--no-guard), so any container on it can send as"
                    " one that is allowed"
                )
        return told

    def _network(self, name: str) -> Network | None:
        if name not in self._networks:
            self._networks[name] = self._records.networks.find(name)
        return self._networks[name]

    def _parties(self, record: Attachment | None) -> tuple[Party, ...]:
        if record is None:
            return ()
        known = self._known.get(record.container.id)
        if known is None or known[0] is not record:
            known = self._known[record.container.id] = record, parties_of(record, self._network)
        return known[1]

    def _elements(self, record: Attachment | None) -> dict[Element, None]:
        """Return all that our table is to hold by one record, and those it has to do with."""
        if record is None or record.access is None:
            return {}
        found = dict.fromkeys(
            own_elements(record, self._network, self._records.resolved().addresses)
        )
        lead = leads_of(self._records, self._id, record)
        for party in self._parties(record):
            for other in self._others(party, self._linked(party, record, lead)):
                for theirs in self._parties(other):
                    found |= dict.fromkeys(between(party, theirs, lead))
            for theirs in self._far(party):
                if concern(party, theirs):
                    found |= dict.fromkeys(between(party, theirs))
        return found

    def _far(self, party: Party) -> tuple[Party, ...]:
        """Return who of its network is on other hosts."""
        there = self._records.elsewhere().there(party.network)
        return far_parties(party.network, there) if there else ()

    def _linked(self, party: Party, record: Attachment, lead: Lead) -> set[str]:
        """Return the ids of those who have a link to a container, or to whom it has one."""
        linked = self._records.linked
        if linked.is_empty():
            return set()
        ids = {*map(lead, party.links), *linked.linkers(led_by(self._records, record))}
        return ids - {""}

    def _others(self, party: Party, linked: set[str]) -> list[Attachment]:
        """Return the records of those who speak of a container, or whom it speaks of."""
        mentions, network = self._records.mentions(), party.network
        ids = {each for name in party.names for each in mentions.meant_by(network, name)}
        called = {each: name for name in party.means for each in mentions.called(network, name)}
        ids |= called.keys() | linked
        ids.discard(self._id)
        records = (self._records.attachments.get(each) for each in sorted(ids))
        return [record for record in records if record and record.access is not None]


def _targets(record: Attachment | None) -> set[str]:
    """Return to whom a container has links."""
    links = record.resolution.links if record and record.resolution else ()
    return {linked.target for linked in links}


def relink(
    operation: Operation,
    machine: Machine,
    records: Records,
    owner: Attachment,
    gone: tuple[Container, ...] = (),
    came: tuple[Container, ...] = (),
) -> None:
    """Open to those with links what one in a container's sandbox comes with, and close what goes.

    Args:
        operation: by whose log it goes.
        machine: whose table it is.
        records: as they are by now.
        owner: whose sandbox it is; its lock is held.
        gone: who was in it, or was called so.
        came: who is in it by now.

    Raises:
        OcinetError: our table can't be changed.
    """
    if records.linked.is_empty():
        return
    left, new = (
        tuple(name for each in some for name in names_of(records, each)) for some in (gone, came)
    )
    told = Access(records, owner.container.id).relink(left, new, machine)
    operation.tell_warnings(owner.container, told)
