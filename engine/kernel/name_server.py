"""What serves the names of networks: the files, and the program that reads them, together."""

from __future__ import annotations

import posix

from ocinet.base.errors import BusyError, OcinetError, told

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Address
    from ocinet.base.clock import Deadline
    from ocinet.base.paths import Paths
    from ocinet.engine.kernel.name_program import NameProgram
    from ocinet.engine.kernel.served_files import ServedFiles
    from ocinet.engine.model.name_holders import Contested
    from ocinet.engine.model.request import Protocol
    from ocinet.engine.model.served import ServedContainer, ServedNetwork, ServerState

_DNS = 53
_TAKEN_BY = " is taken by "
_MISSING = "aardvark-dns is not installed: apt-get install aardvark-dns"


class NameServer:
    """See `seams.NameServer`.

    Args:
        paths: of the installation.
        deadline: of the operation.
    """

    def __init__(self, paths: Paths, deadline: Deadline | None) -> None:
        self._paths = paths
        self._deadline = deadline
        self._opened: tuple[ServedFiles, NameProgram] | None = None

    @property
    def _parts(self) -> tuple[ServedFiles, NameProgram]:
        if self._opened is None:
            # Nobody needs them where no names are served.
            from ocinet.engine.kernel.name_program import NameProgram
            from ocinet.engine.kernel.served_files import ServedFiles

            files = ServedFiles(self._paths, self._deadline)
            self._opened = files, NameProgram(files.folder, files.path)
        return self._opened

    def flaw(self, network: ServedNetwork) -> str:
        """Return why nobody can be served there now, with what helps; "" if one can."""
        files, program = self._parts
        if files.has(network) and program.pid:
            return ""
        if not program.find():
            return _MISSING
        return _taken(network.gateways, program, files.noted_flaw(network.name))

    def enter(
        self,
        network: ServedNetwork,
        container: ServedContainer,
        contested: list[tuple[str, Contested]] | None = None,
    ) -> bool:
        """Have a container found by its names, by whoever asks from now on."""
        files, program = self._parts
        with files.lock():
            changed = files.enter(network, container, contested)
            runs = program.tell() if changed else bool(program.pid)
            if not runs:
                _start(program)
        return changed

    def leave(self, network: str, container_id: str) -> bool:
        """Have a container found by its names no more; with the last of all, the server ends."""
        files, program = self._parts
        try:
            with files.lock():
                changed = files.leave(network, container_id)
                try:
                    if changed and files.is_empty():
                        program.stop()
                    elif changed and not program.tell():
                        _start(program)
                except OcinetError as error:  # its line is out: its record need not stay for that
                    self._tell(network, error)
        except BusyError as error:  # nor for a line that `gc` takes out
            return self._tell_left(network, container_id, error)
        return changed

    def _tell(self, network: str, error: OcinetError) -> None:
        from ocinet.base.events import EventLog  # of few

        why = f"{error}; the next container that comes or goes starts it, or: ocinet check --repair"
        EventLog(self._paths.run).append("names not served", network=network, why=why)

    def _tell_left(self, network: str, container_id: str, error: BusyError) -> bool:
        from ocinet.base.events import EventLog  # of few

        why = f"it has gone and is found by name still: {error}; {error.hint}, then: ocinet gc"
        log = EventLog(self._paths.run)
        log.append("names not told", network=network, container=container_id, error=why)
        return False

    def host_resolvers(self) -> tuple[str, ...]:
        """Return the words behind `nameserver` in the host's /etc/resolv.conf."""
        try:
            # Whatever is there: a FIFO that nobody writes to would be waited for.
            fd = posix.open("/etc/resolv.conf", posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK)
            try:
                text = posix.read(fd, 1 << 16).decode("utf-8", "replace")
            finally:
                posix.close(fd)
        except OSError:
            return ()
        lines = [line.split() for line in text.splitlines()]
        return tuple(words[1] for words in lines if words[:1] == ["nameserver"] and words[1:])

    def texts(self) -> dict[str, str]:
        """Return what the server reads, by the name of each file."""
        return self._parts[0].texts()

    def state(self) -> ServerState:
        """Return how the server is."""
        from ocinet.engine.model.served import ServerState, gateways_of

        files, program = self._parts
        pid = program.pid
        wanted = [at for text in files.texts().values() for at in gateways_of(text)]
        heard = _heard_by(pid) if pid else ()
        return ServerState(
            program=program.find(),
            pid=pid,
            starting=program.is_starting(),
            stopped=program.is_stopped(),
            stale=bool(pid) and program.is_stale(),
            unheard=tuple(
                (address, _taken((address,), program)) for address in wanted if address not in heard
            ),
        )

    def ailment(self) -> str:
        """Return "" if it runs where somebody is served, unstopped, and asks whom the host asks.

        Else what differs each time that it ails. For who looks each second: neither sockets
        nor lines are looked at.
        """
        files, program = self._parts
        if not files.are_there() or files.is_empty() or program.is_starting():
            return ""
        return program.ailment()

    def wake(self) -> None:
        """Have the server run and read all anew, or end where nobody is served."""
        files, program = self._parts
        with files.lock():
            if files.is_empty():
                program.stop()
            elif not program.tell():
                _start(program)

    def is_news(self, network: str, why: str) -> bool:
        """Tell whether a reason is another one than that which was told last."""
        files, _ = self._parts
        with files.lock():
            return files.note_flaw(network, why)


def _start(program: NameProgram) -> None:
    path = program.find()
    if not path:
        return  # `flaw` tells of it
    try:
        program.start(path)
    except OSError as error:
        raise told(f"cannot start {path}", error) from error


def _taken(gateways: tuple[Address, ...], program: NameProgram, before: str = "") -> str:
    """Return who has port 53 at one of these addresses, other than our server.

    Args:
        gateways: the addresses.
        program: our server.
        before: what this has returned last: whom it names need not be looked for.
    """
    from ocinet.engine.kernel.listeners import listeners, name_holder

    protocols: tuple[Protocol, ...] = ("udp", "tcp")
    for protocol in protocols:
        try:
            found = listeners(protocol, _DNS)
        except OcinetError:
            return ""  # the server will see
        for listener in found:
            if not any(listener.takes(address.family, address) for address in gateways):
                continue
            # Ours may be about to end, when nothing notes its id any more.
            pid = _holder(listener.inode, before)
            if not program.is_ours(pid):
                return (
                    f"{listener}{_TAKEN_BY}{name_holder(pid)}: have that listen on its own"
                    " addresses alone (dnsmasq: bind-interfaces), or make the network with --no-dns"
                )
    return ""


def _holder(inode: int, before: str) -> int:
    """Return a process that has a socket open; 0 for none."""
    from ocinet.engine.kernel.listeners import process_with, sockets_of

    # All of /proc takes 28 ms where 150 processes run, and each attach comes here.
    pid = before.partition(f"{_TAKEN_BY}process ")[2].partition(" ")[0]
    if pid.isdigit() and inode in sockets_of(int(pid)):
        return int(pid)
    return process_with(inode)


def _heard_by(pid: int) -> tuple[Address, ...]:
    """Return the addresses at which a process takes queries over UDP."""
    from ocinet.engine.kernel.listeners import listeners, sockets_of

    own = sockets_of(pid)
    try:
        return tuple(each.address for each in listeners("udp", _DNS) if each.inode in own)
    except OcinetError:
        return ()
