"""The service: watches engines until it is told to stop, and changes nothing then.

SIGTERM, SIGINT    stop; every network stays as it is
SIGHUP             read the settings anew, and look through all lists
"""

from __future__ import annotations

import os
import signal
from time import monotonic
from typing import TYPE_CHECKING

from ocinet.base.clock import unix_s
from ocinet.base.errors import BusyError, OcinetError
from ocinet.base.events import WARNED
from ocinet.base.lock import Lock
from ocinet.engine.kernel.sandbox import check_privilege
from ocinet.engine.records.settings import engine_sockets, load
from ocinet.watcher import notify
from ocinet.watcher.bulletin import Bulletin
from ocinet.watcher.cgroups import Cgroups
from ocinet.watcher.container_jobs import ContainerJobs
from ocinet.watcher.dispatch import Dispatch
from ocinet.watcher.docker_api import Client
from ocinet.watcher.engine_calls import EngineCalls
from ocinet.watcher.exporting import Exporting
from ocinet.watcher.keeper import Keeper
from ocinet.watcher.lookout import Lookout
from ocinet.watcher.pace import Pace
from ocinet.watcher.page.showing import Showing
from ocinet.watcher.port_holder import PortHolder
from ocinet.watcher.remembered import Remembered
from ocinet.watcher.sight import Sight
from ocinet.watcher.watch import Shared, Watch
from ocinet.watcher.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from ocinet.base.address import Address
    from ocinet.base.paths import Paths
    from ocinet.engine.model.network import Network
    from ocinet.engine.model.settings import Settings
    from ocinet.watcher.own_figures import OwnFigures

WORKERS = 4
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_LONGEST_JOB_S = 90.0  # an engine's answer, and an attach with all its waits
_SETTLE_S = 60.0
_SETTLE_INTERVAL_S = 0.02
_HIDDEN_INTERVAL_S = 1.0
_HIDDEN_EXTENSION_S = 30
_IN_PASSING_S = 2.0
_STOP_S = 25.0  # an operation's own deadline is 20 s
_POLICY = {
    "all": "every container with --net=none gets a network, unless it says ocinet.net=none",
    "labelled": "containers with --net=none and an ocinet.* label get a network",
}


class Service:
    """All engines, the workers that they share, and the signals.

    Args:
        paths: of the installation.
        log: see `logs.make_log`.
        sockets: paths of engines' sockets; empty: as the settings say.
        environment: `DOCKER_HOST` takes the place of Docker's socket; a service
            manager's variables are heeded.
        web: where the page is shown; "": as the settings say.
        metrics: where its figures are scraped; "": as the settings say.

    Raises:
        OcinetError: the settings can't be read.
    """

    def __init__(
        self,
        paths: Paths,
        log: Any,
        sockets: Sequence[str] = (),
        environment: Mapping[str, str] = os.environ,
        web: str = "",
        metrics: str = "",
    ) -> None:
        self._paths = paths
        self._log = log
        self._sockets = tuple(sockets)
        self._environment = environment
        self._settings = load(paths)
        self._notifier = notify.Notifier(environment)
        self._bulletin = Bulletin(paths.run)
        self._workers = Workers(WORKERS, self._report)
        self._lookout = Lookout(Cgroups(), self._appeared, self._report)
        self._engine = EngineCalls(paths, self._neighbours, self._settings_in_force, self._warn)
        self._shared = Shared(self._workers, self._settings_in_force, self._repair, self._bulletin)
        self._keeper = Keeper(
            self._engine.changes, self._engine, Pace(), self._workers, log, self._report
        )
        self._port_holder = PortHolder(
            self._engine.hold_ports, lambda: self._settings.hold_ports, log, self._report
        )
        self._web = web
        self._page = Showing(
            paths.run, self._engine.picture, self._bulletin.shown, log, self._report
        )
        self._metrics = metrics
        self._exporting = Exporting(self._make_figures, log, self._report)
        self._watches: dict[str, Watch] = {}
        self._passing_clients: dict[str, Client] = {}  # for what an attach asks in passing
        self._next_repair = 0.0
        self._repaired_s = 0.0  # since 1970
        self._ready_by = 0.0  # until then others may wait for us; 0: they don't

    def run(self) -> None:
        """Be the service until a signal ends it.

        Raises:
            BusyError: another one runs already.
            SystemFailure: this process may not change networks.
        """
        check_privilege()
        try:
            with Lock(f"{self._paths.run}/locks/watcher", "the watcher", None):
                # The threads inherit this: signals are for the loop below alone.
                signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
                self._serve()
        except BusyError as error:
            raise BusyError("cannot watch", f"{error.why}: one watcher serves all engines",
                            "stop that one first") from error  # fmt: skip

    def _serve(self) -> None:
        self._log.info("watcher started", policy=_POLICY[self._settings.select])
        _import_ahead()
        self._workers.start()
        self._lookout.start()
        self._keeper.start()
        self._port_holder.start()
        try:
            self._watch_wanted()
            self._page.adapt(self._web or self._settings.web)
            self._export_wanted()
            self._ready_by = monotonic() + _SETTLE_S
            self._loop()
        finally:
            self._notifier.tell(notify.STOPPING)
            self._stop()
            self._bulletin.withdraw()

    def _loop(self) -> None:
        while True:
            received = self._wait_for_signal()
            if received is None:
                self._keep_time()
            elif received == signal.SIGHUP:
                self._reload()
            else:
                self._log.info("watcher stops", signal=received.name)
                return

    def _wait_for_signal(self) -> signal.Signals | None:
        """Wait for one of ours, but no longer than until something is due.

        Where the wait is interrupted, as by a suspension, and its time is over,
        Python returns whatever happens to stand in memory: at worst a SIGHUP of
        earlier on, which does no harm.
        """
        received = signal.sigtimedwait(_SIGNALS, self._pause_s())
        if received is None or received.si_signo not in _SIGNALS:
            return None
        return signal.Signals(received.si_signo)

    def _pause_s(self) -> float:
        """Return the seconds until something is due."""
        if self._ready_by:
            return _HIDDEN_INTERVAL_S if self._hidden() else _SETTLE_INTERVAL_S
        pause_s = max(0.0, self._next_repair - monotonic())
        watchdog_s = self._notifier.watchdog_s
        return min(pause_s, watchdog_s / 2) if watchdog_s else pause_s

    def _keep_time(self) -> None:
        if self._ready_by and (self._is_settled() or monotonic() > self._ready_by):
            if self._hidden():
                # systemd.service(5): it would be stopped, and the other engines unwatched.
                extension = f"EXTEND_TIMEOUT_USEC={_HIDDEN_EXTENSION_S * 1_000_000}"
                self._notifier.tell(extension, self._status())
            else:
                self._ready_by = 0.0
                self._notifier.tell(notify.READY, self._status())
                self._bulletin.ready()
                self._log.info("watcher ready", engines=list(self._watches))
                if not any(map(os.path.exists, self._watches)):
                    self._log.info("no engine is there: what is attached is kept as it is")
        if monotonic() >= self._next_repair:
            self._next_repair = monotonic() + self._settings.reconcile_interval_s
            self._repair()
            self._keeper.look()
            self._port_holder.look()
        if self._notifier.watchdog_s and self._is_well():
            self._notifier.tell(notify.WATCHDOG)

    def _is_well(self) -> bool:
        """Tell whether everything that should run does; if not, the manager starts us anew."""
        stuck_s = self._workers.longest_s()
        ended = [watch.path for watch in self._watches.values() if not watch.alive]
        threads = {"keeper": self._keeper.alive, "port holder": self._port_holder.alive,
                   "exporter": self._exporting.alive}  # fmt: skip
        ended += [name for name, alive in threads.items() if not alive]
        if stuck_s > _LONGEST_JOB_S or ended:
            self._log.error("watcher is not well", stuck_s=round(stuck_s), ended=ended)
            return False
        return True

    def _reload(self) -> None:
        self._notifier.tell_reloading()
        try:
            self._settings = load(self._paths)
        except OcinetError as error:
            self._log.error("settings not read, the former ones hold", error=str(error))
        else:
            self._watch_wanted()
            self._export_wanted()
            for watch in self._watches.values():
                watch.reconcile()
            self._keeper.look()
            self._port_holder.look()
            self._page.adapt(self._web or self._settings.web)
            self._log.info("settings read", policy=_POLICY[self._settings.select])
        if not self._ready_by:
            self._notifier.tell(notify.READY, self._status())

    def _watch_wanted(self) -> None:
        """Watch the engines that the settings name, and no others."""
        wanted = self._wanted()
        for path in [path for path in self._watches if path not in wanted]:
            watch = self._watches.pop(path)
            del self._passing_clients[path]
            watch.stop()
            watch.join(_STOP_S)
        self._bulletin.watched(wanted)
        for path in wanted:
            if path not in self._watches:
                self._passing_clients[path] = Client(path, _IN_PASSING_S)
                self._watches[path] = self._make_watch(path)
                self._watches[path].start()

    def _export_wanted(self) -> None:
        """Have figures scraped where the command says, or else the settings."""
        self._exporting.adapt(self._metrics or self._settings.metrics, self._settings.metrics_group)

    def _make_figures(self) -> OwnFigures:
        from ocinet.watcher.own_figures import OwnFigures  # where somebody scrapes

        return OwnFigures(self._paths.run, self._engine.look, self._bulletin, self._workers,
                          lambda: self._repaired_s)  # fmt: skip

    def _wanted(self) -> tuple[str, ...]:
        return self._sockets or engine_sockets(self._settings, self._environment)

    def _make_watch(self, path: str) -> Watch:
        log = self._log.bind(engine=path)
        client = Client(path)
        remembered = Remembered(client.carried, log)
        sight = Sight(path, log)
        jobs = ContainerJobs(client, self._engine, remembered, sight, self._settings_in_force, log)
        dispatch = Dispatch(
            jobs, remembered, self._workers, self._lookout, self._settings_in_force, log
        )
        return Watch(client, dispatch, self._shared, log)

    def _appeared(self, container_id: str) -> None:
        """Tell all watches of a container's cgroup; the lookout calls this."""
        for watch in list(self._watches.values()):
            watch.appeared(container_id)

    def _settings_in_force(self) -> Settings:
        return self._settings

    def _neighbours(self, network: Network) -> dict[Address, str]:
        """Return the addresses that engines gave out on a bridge; see `parts.Neighbours`."""
        holders: dict[Address, str] = {}
        for path, client in list(self._passing_clients.items()):
            if not os.path.exists(path):
                continue
            try:
                holders |= client.endpoints(network.device)
            except OcinetError as error:
                self._log.debug("endpoints not listed", engine=path, error=str(error))
        return holders

    def _is_settled(self) -> bool:
        """Tell whether all that ran before us is wired, as far as its engine answers."""
        listed = all(watch.settled.is_set() for watch in self._watches.values())
        return listed and self._workers.idle(0)

    def _repair(self) -> None:
        """Queue the repair of what is not about one container of an engine's."""
        self._workers.submit("repair", "repair", self._repair_now)

    def _repair_now(self) -> None:
        try:
            # The first container of a boot would come too late for an early attach.
            # It restores what somebody flushed as well.
            is_awaited = any(os.path.exists(path) for path in self._watches)
            if is_awaited and self._settings.select == "all" and self._engine.prepare():
                self._log.info("default network made ready")
        except OcinetError as error:
            self._log.warning("default network not ready", error=str(error))
        if self._hidden():
            return  # by processes that can't be seen, everybody would be dead
        try:
            for leftover in self._engine.collect():
                self._log.info(
                    "collected", kind=leftover.kind, name=leftover.name, why=leftover.why
                )
        except OcinetError as error:
            self._log.warning("not collected", error=str(error))
        else:
            self._repaired_s = round(unix_s(), 3)

    def _hidden(self) -> list[str]:
        """Return the sockets of engines whose processes can't be seen."""
        return [path for path, watch in list(self._watches.items()) if watch.hidden]

    def _status(self) -> str:
        if hidden := self._hidden():
            return f"STATUS=in another pid namespace than {', '.join(hidden)}"
        return f"STATUS=watching {', '.join(self._watches)}"

    def _stop(self) -> None:
        self._page.stop()
        for watch in self._watches.values():
            watch.stop()
        self._lookout.stop()
        self._keeper.stop()
        self._port_holder.stop()
        self._exporting.stop()
        if not self._workers.stop(_STOP_S):
            self._log.warning("a job was left behind", longest_s=round(self._workers.longest_s()))
        for watch in self._watches.values():
            watch.join(1)
        self._keeper.join(1)
        self._port_holder.join(1)
        self._page.join(1)
        self._exporting.join(1)

    def _warn(self, container: str, warning: str) -> None:
        self._log.warning(WARNED, container=container, warning=warning)

    def _report(self, error: BaseException) -> None:
        self._log.error("internal error", exc_info=error)


def _import_ahead() -> None:
    """Import what the first attach of a boot needs besides the others.

    In the middle of that attach it would take some 150 ms, as long as Docker
    takes from the network's connection to the container's first process: the
    attach would be no early one.
    """
    from ocinet.engine import create_network  # noqa: F401  # to be loaded is all that is asked
    from ocinet.engine.firewall import programs  # noqa: F401
    from ocinet.engine.kernel import bridge  # noqa: F401
