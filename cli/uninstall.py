"""uninstall: take back all that ocinet has registered, made and kept on this machine.

First whatever starts it, so that nothing is made any more; then what it made, by the
records; then these. What is listed is what is there, so it can be killed, and run again.
"""

from __future__ import annotations

import os
import shutil

from ocinet.base.errors import ConflictError, OcinetError, SystemFailure, failures
from ocinet.cli.command_tree import Command
from ocinet.cli.hooks_list import known_bundles
from ocinet.cli.parser import Parser, add_switch
from ocinet.cli.registration import report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from ocinet.cli.console import Console
    from ocinet.hooks.registration.inventory import Registered


def _configure(parser: Parser) -> None:
    says = "bundles to take ocinet out of besides (default: those of containers on record)"
    parser.add_argument("bundles", metavar="BUNDLE", nargs="*", help=says)
    add_switch(parser, "-n", "--dry-run", says="show what would be taken back, and change nothing")
    says = "do not ask; containers that are attached lose their network (default: refuse)"
    add_switch(parser, "-f", "--force", says=says)
    parser.examples("ocinet uninstall --dry-run", "ocinet uninstall /run/bundles/web")


def _uninstall(arguments: Namespace, console: Console) -> None:
    from ocinet.hooks.registration.inventory import registrations

    bundles = [os.path.abspath(path) for path in arguments.bundles]
    found = registrations([*known_bundles(console), *bundles])
    with console.engine() as engine:
        records = engine.containers.all()
        living = [each.container.name for each in records if not engine.containers.is_dead(each)]
        networks, links = engine.networks.names(), engine.cables.names()
    clusters = _clusters(console)
    _list(found, {"container": living, "network": networks, "link": links, "cluster": clusters},
          console)  # fmt: skip
    if arguments.dry_run:
        return
    if living and not arguments.force:
        are = "is" if len(living) == 1 else "are"
        raise ConflictError("cannot uninstall", f"{', '.join(living)} {are} attached",
                            "stop them, or say --force, which takes their network")  # fmt: skip
    if not arguments.force:
        console.confirm("Take all of this back?")
    with console.progress("stopping the watcher"):
        _take_back(found, console)
        if clusters:
            _leave_cluster(console)
        _take_down(console)
    for directory in _directories(console):
        try:
            shutil.rmtree(directory)
        except OSError as error:
            raise SystemFailure(f"cannot remove {directory}", error.strerror or "") from error


def _list(found: tuple[Registered, ...], kinds: dict[str, Sequence[str]], console: Console) -> None:
    """Show all that is taken back."""
    for registered in found:
        console.print(f"{registered.kind:<10} {registered.place}")
    for kind, names in kinds.items():
        for name in names:
            console.print(f"{kind:<10} {name}")
    for directory in _directories(console):
        console.print(f"{'directory':<10} {directory}")


def _directories(console: Console) -> list[str]:
    """Return what is kept, the records last: they tell what is there still."""
    paths = console.paths
    return [path for path in (paths.config, paths.state, paths.run) if os.path.isdir(path)]


def _clusters(console: Console) -> tuple[str, ...]:
    """Return the cluster that this host is in, if it is in one."""
    if not os.path.isdir(f"{console.paths.state}/cluster"):
        return ()
    from ocinet.cluster.kept import Keeping  # for who has one

    return Keeping(console.paths).names()


def _leave_cluster(console: Console) -> None:
    """Give this host's share back, also if etcd can't be told: that is said."""
    from ocinet.cluster.bulletin import rouse
    from ocinet.cluster.etcd import Etcd
    from ocinet.cluster.membership import Membership

    try:
        left = Membership(console.paths, Etcd).leave(None, force=True)
    except OcinetError as error:
        raise error.within("cannot leave the cluster") from error
    rouse(console.paths.run)
    if left.unwritten:
        console.say(f"ocinet: in etcd its share stays this host's: {left.unwritten}"
                    " (hint: ocinet cluster forget, on another host)")  # fmt: skip


def _take_back(found: tuple[Registered, ...], console: Console) -> None:
    """Take all registrations back, past errors.

    Raises:
        ConflictError: a watcher runs, which would wire what is unwired.
        OcinetError: what could not be taken back.
    """
    from ocinet.hooks.registration import unit
    from ocinet.watcher.bulletin import read_news

    unit.stop()
    news = read_news(console.paths.run)
    if news and news.is_alive:
        raise ConflictError("cannot uninstall", f"the watcher runs: process {news.pid}",
                            f"stop it first: kill {news.pid}")  # fmt: skip
    errors: list[OcinetError] = []
    for registered in found:
        console.tell(f"taking back {registered.place}")
        try:
            report(registered.take_back(), console)
        except OcinetError as error:
            errors.append(error)
    failures("cannot take all registrations back", errors)


def _take_down(console: Console) -> None:
    """Unwire who is wired, and remove networks, bridges and tables, past errors.

    Raises:
        OcinetError: what could not be removed; its records stay.
    """
    errors: list[OcinetError] = []
    with console.engine() as engine:
        for name in engine.cables.names():  # first: an end that comes back would be linked anew
            try:
                engine.cables.remove(name)
            except OcinetError as error:
                errors.append(error)
        for record in engine.containers.all():
            console.tell(f"unwiring {record.container.name}")
            try:
                engine.detach(record.container.id)
                # Of one that runs it stays on record that it was unwired by hand.
                engine.detach(record.container.id, force=True)
            except OcinetError as error:
                errors.append(error)
    with console.engine() as engine:  # another one: the first one's time may be up by now
        for name in engine.networks.names():
            console.tell(f"removing {name}")
            try:
                engine.networks.remove(name)
            except OcinetError as error:
                errors.append(error)
        engine.gc()
        failures("cannot take all down", errors)
        engine.networks.remove_tables()


COMMANDS = {"uninstall": Command(_configure, _uninstall)}
