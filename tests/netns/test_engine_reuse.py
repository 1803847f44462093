"""The kernel gives a dead namespace's inode number to the next one: DEV:INODE can come again.

The tests don't wait for it to do so: they write the new number into the old record.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from builders import on, tcp
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import link_json
from hosts.namespace.wired_host import WiredHost, open_sandbox, records
from hosts.waiting import wait_until
from ocinet.base.address import Address
from ocinet.cli.targets import open_target

if TYPE_CHECKING:
    from ocinet.engine.model.attachment import Attachment, Container


def _renumber(host: WiredHost, former: Attachment, container: Container) -> None:
    """Have a record's sandbox bear the number that a container's sandbox has.

    Not before its links are gone: the kernel frees the number after them.
    """
    ifname = former.endpoints[0].host_ifname
    wait_until(lambda: not link_json(ifname), "the dead sandbox's link is gone")
    with host.engine() as engine, open_sandbox(container) as sandbox:
        engine.records.attachments.put(former.replace(sandbox=sandbox.identity))


@in_namespaces
def test_attach_in_sandbox_with_dead_ones_number_wires_it() -> None:
    """A restart after a silent death is no second call of a hook, whatever the number says."""
    with WiredHost() as host:
        former = host.up("web", on("lan", publish=(tcp(8080),)))
        host.sleepers.pop("web").end()
        web = host.start("web")
        _renumber(host, former, web)

        record = host.attach(web, on("lan", publish=(tcp(8080),)))

        assert host.addresses("web") == [str(record.endpoints[0].addresses[0])]
        assert record.container.process == web.process
        with open_sandbox(web) as sandbox:  # the kernel may have given it the number again
            assert record.sandbox == sandbox.identity


@in_namespaces
def test_plan_in_sandbox_with_dead_ones_number_shows_the_whole_wiring() -> None:
    """What attach would do is planned, not nothing."""
    with WiredHost() as host:
        former = host.up("web")
        host.sleepers.pop("web").end()
        web = host.start("web")
        _renumber(host, former, web)

        with host.engine() as engine, open_sandbox(web) as sandbox:
            steps = [type(step).__name__ for step in engine.plan(web, on("lan"), sandbox)]

        assert "AddVeth" in steps


@in_namespaces
def test_open_target_in_sandbox_with_dead_ones_number_is_a_new_container() -> None:
    """A process is not taken for a container whose namespace is gone."""
    with WiredHost() as host:
        former = host.up("web")
        host.sleepers.pop("web").end()
        other = host.start("other")
        _renumber(host, former, other)
        assert other.process

        with host.engine() as engine:
            target = open_target(engine, f"pid:{other.process.pid}", lambda *_: (), name="other")
            target.sandbox.close()

        assert target.container.id == "other"


@in_namespaces
def test_attach_in_sandbox_that_outlived_its_first_process_leaves_it_as_it_is() -> None:
    """Where the links that were made are there, it is the same sandbox, whoever lives in it."""
    with WiredHost() as host:
        former = host.up("web")
        (before,) = former.endpoints
        heir = subprocess.Popen(
            ["nsenter", "-n", "-t", str(host.sleepers["web"].pid), "sh", "-c", "echo; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert heir.stdout is not None
        heir.stdout.readline()  # it is inside
        host.sleepers.pop("web").end()

        record = host.attach(host.container("web", heir.pid), on("lan"))

        assert record.endpoints == former.endpoints
        assert record.container.process != former.container.process
        link = link_json(before.host_ifname)
        assert link is not None
        assert link["ifindex"] == before.host_ifindex
        heir.communicate()


@in_namespaces
def test_address_of_who_died_is_free_though_its_link_is_there_still() -> None:
    """The kernel takes a dead sandbox down in its own time, later on a busy machine."""
    wanted = on("lan", addresses=(Address.parse("10.9.0.9"),))
    with WiredHost() as host:
        host.up("dead", wanted)
        sleeper = host.sleepers.pop("dead")
        held = os.open(f"/proc/{sleeper.pid}/ns/net", os.O_RDONLY)
        sleeper.end()
        heir = host.up("heir", wanted)
        os.close(held)
        assert str(heir.endpoints[0].addresses[0]) == "10.9.0.9/24"
        assert host.pings("heir", "10.9.0.1")
        assert not [name for name in records() if "dead" in name]
