"""The files that the name server reads: one for each network, in `RUN/names/served`.

They are a cache of what is on record. Each change puts a whole file in the place of the
former one: the server may read at any time, and a line that is half there ends 1.4. (A
thousand lines are read and written in 0.09 ms, beside 0.04 for one that is appended.)
Half-written ones lie a folder above, for the server reads whatever is in its own.

Beside them, in `RUN/names/elsewhere`, is who of a network is on other hosts. Those stand in the
network's file as long as somebody here is on it.
"""

from __future__ import annotations

from ocinet.base.clock import Deadline
from ocinet.base.errors import SystemFailure
from ocinet.base.files import Directory, is_directory
from ocinet.base.hostname import names_of_host
from ocinet.base.lock import Lock
from ocinet.engine.model.name_holders import settle_names
from ocinet.engine.model.served import (
    has_containers,
    has_elsewhere,
    lines_by_id,
    network_of,
    with_line,
    without_line,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.base.paths import Paths
    from ocinet.engine.model.elsewhere import Elsewhere
    from ocinet.engine.model.name_holders import Contested
    from ocinet.engine.model.served import ServedContainer, ServedNetwork

FOLDER = "names"
_SERVED, _FLAWS, _ELSEWHERE = "served", "flaws", "elsewhere"
# Each holder has it for some 0.1 ms, so of fifty who come at once all get it. Whoever hangs with it
# keeps nobody else from starting.
_PATIENCE_S = 1.0


class ServedFiles:
    """Reads and writes them.

    Args:
        paths: of the installation.
        deadline: of the operation, which waits for their lock no longer.
    """

    def __init__(self, paths: Paths, deadline: Deadline | None) -> None:
        self.folder = f"{paths.run}/{FOLDER}"
        self.path = f"{self.folder}/{_SERVED}"
        self._deadline = deadline

    def lock(self) -> Lock:
        """Return the lock that they are changed under, and that the server starts and stops under.

        No other lock is taken under it.
        """
        what, path = "the names that are served", f"{self.folder}/lock"
        deadline = self._deadline and Deadline(min(_PATIENCE_S, self._deadline.left_s))
        return Lock(path, what, deadline, leaves_stopped=True)

    def has(self, network: ServedNetwork) -> bool:
        """Tell whether a network is served."""
        with Directory(self.path) as served:
            return served.exists(network.file)

    def enter(
        self,
        network: ServedNetwork,
        container: ServedContainer,
        contested: list[tuple[str, Contested]] | None = None,
    ) -> bool:
        """Put a container's line into its network's file; needs the lock.

        Args:
            network: its.
            container: with the names that it is to have.
            contested: is told of names that another one has, or had, each with the network.

        Returns:
            False if it is there.

        Raises:
            SystemFailure: it can't be read or written.
        """
        with Directory(self.path) as served:
            before = _text(served.read(network.file))
            is_first = not before
            if is_first:
                before = self._begun(network)
            # What a container's line has by now, it has got.
            hosts = names_of_host(container.names)
            holding = settle_names(before, container.id, container.names, hosts)
            if contested is not None:
                contested += [(network.name, each) for each in holding.contested]
            line = container.replace(names=holding.names).line
            after = with_line(holding.text, network.head, line)
            if after == before:
                return False
            self._put(network.file, after)
            if is_first:
                self._drop_former(served, network)
                self._forget_flaw(network.name)
        return True

    def leave(self, network: str, container_id: str) -> bool:
        """Take a container's line out, and with the last one the file; needs the lock.

        Returns:
            False if it is in none.

        Raises:
            SystemFailure: it can't be read or written.
        """
        changed = False
        with Directory(self.path) as served:
            for file in self._files_of(served, network):
                before = _text(served.read(file))
                after = without_line(before, container_id)
                if not has_containers(after):  # also where somebody has broken it
                    served.remove(file)
                    changed = True
                elif after != before:
                    if has_elsewhere(before):
                        after = self._freed(network, before, after, container_id)
                    self._put_shorter(served, file, after)
                    changed = True
        return changed

    def elsewhere(self, network: str) -> str:
        """Return who of a network is on other hosts, as `model.elsewhere.spelled`; "" for none."""
        try:
            with Directory(f"{self.folder}/{_ELSEWHERE}", make=False) as kept:
                return _text(kept.read(network))
        except FileNotFoundError:  # a host of no cluster
            return ""

    def networks_elsewhere(self) -> tuple[str, ...]:
        """List the networks of which somebody is on another host, sorted."""
        try:
            with Directory(f"{self.folder}/{_ELSEWHERE}", make=False) as kept:
                return tuple(sorted(kept.names()))
        except FileNotFoundError:
            return ()

    def put_elsewhere(
        self,
        network: str,
        there: tuple[Elsewhere, ...],
        came: Callable[[str], tuple[str, str, str]] | None,
    ) -> tuple[bool, tuple[Contested, ...]]:
        """Have those on other hosts found, and no others there; needs the lock.

        Returns:
            Whether what the server reads is another by that, and the names that those here lose.

        Raises:
            SystemFailure: it can't be read or written.
        """
        from ocinet.engine.model.elsewhere import spelled, with_elsewhere

        text = spelled(there)
        if text != self.elsewhere(network):
            with Directory(f"{self.folder}/{_ELSEWHERE}") as kept:
                if text:
                    kept.replace(network, text)
                else:
                    kept.remove(network)
        taken = names_of_host([name for each in there for name in (*each.own, *each.aliases)])
        changed = False
        contested: list[Contested] = []
        with Directory(self.path) as served:
            for file in self._files_of(served, network):
                before = _text(served.read(file))
                merged = with_elsewhere(before, there, taken, came)
                contested += merged.contested
                if has_containers(before) and merged.text != before:
                    self._put(file, merged.text)
                    changed = True
        return changed, tuple(contested)

    def _begun(self, network: ServedNetwork) -> str:
        """Return what a network's file has before the first one here is in it."""
        kept = self.elsewhere(network.name)
        return self._gathered(network.head, kept) if kept else ""

    def _freed(self, network: str, before: str, after: str, container_id: str) -> str:
        """Return a file's text in which those elsewhere have the names that one here had."""
        kept = self.elsewhere(network)
        gone = lines_by_id(before).get(container_id, "").rstrip("\n").rpartition(" ")[2]
        wanted = any(name in kept for name in gone.split(",") if name)
        return self._gathered(after, kept) if wanted else after

    @staticmethod
    def _gathered(text: str, kept: str) -> str:
        from ocinet.engine.model.elsewhere import read_elsewhere, with_elsewhere

        there = read_elsewhere(kept)
        taken = names_of_host([name for each in there for name in (*each.own, *each.aliases)])
        return with_elsewhere(text, there, taken).text

    def note_flaw(self, network: str, why: str) -> bool:
        """Note why a network is not served; False if that is what was noted; needs the lock."""
        with Directory(self.folder) as folder:
            if folder.noted(f"{_FLAWS}/{network}") == why:
                return False
            folder.note(f"{_FLAWS}/{network}", why)
        return True

    def noted_flaw(self, network: str) -> str:
        """Return what was noted last of why a network is not served; "" since it is."""
        with Directory(self.folder) as folder:
            return folder.noted(f"{_FLAWS}/{network}")

    def texts(self) -> dict[str, str]:
        """Return what is in each file, by the file's name.

        Raises:
            SystemFailure: one can't be read.
        """
        with Directory(self.path) as served:
            names = sorted(filter(network_of, served.names()))
            return {name: _text(served.read(name)) for name in names}

    def are_there(self) -> bool:
        """Tell whether any network was ever served since the boot."""
        return is_directory(self.path)

    def is_empty(self) -> bool:
        """Tell whether no network is served."""
        with Directory(self.path) as served:
            return not any(map(network_of, served.names()))

    def put(self, file: str, text: str) -> None:
        """Have a file say this; "" removes it; needs the lock."""
        if text:
            self._put(file, text)
        else:
            with Directory(self.path) as served:
                served.remove(file)

    def _forget_flaw(self, network: str) -> None:
        with Directory(self.folder) as folder:
            folder.remove(f"{_FLAWS}/{network}")

    def _put(self, file: str, text: str) -> None:
        with Directory(self.folder) as folder:
            folder.replace(f"{_SERVED}/{file}", text)

    def _put_shorter(self, served: Directory, file: str, text: str) -> None:
        """Put it there on a full disk as well: nobody's address must be kept by that.

        There is room for it once the former has gone; if there is none, `check` finds it missing.
        """
        try:
            self._put(file, text)
        except SystemFailure:
            served.remove(file)
            try:
                self._put(file, text)
            except SystemFailure:
                return

    def _drop_former(self, served: Directory, network: ServedNetwork) -> None:
        """Remove the file that a network of the same name had when it was another one."""
        for file in self._files_of(served, network.name):
            if file != network.file:
                served.remove(file)

    @staticmethod
    def _files_of(served: Directory, network: str) -> list[str]:
        return [file for file in served.names() if network_of(file) == network]


def _text(data: bytes | None) -> str:
    """Return a file's lines but for those that can't be ours: an editor's, or half of one.

    `check` sees who is missing then; the next one that comes or goes writes the rest.
    """
    if not data:
        return ""
    if not data.isascii() or not data.endswith(b"\n"):
        lines = data.splitlines(keepends=True)
        data = b"".join(line for line in lines if line.isascii() and line.endswith(b"\n"))
    return data.decode()
