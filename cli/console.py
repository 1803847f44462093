"""What a command works with: arguments come in, data goes out, people are told."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from functools import cached_property

from ocinet.base.errors import RequestError, SystemFailure
from ocinet.base.paths import Paths
from ocinet.base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from typing import TextIO

    from ocinet.cli.engine_names import LookUp
    from ocinet.cli.progress import Progress
    from ocinet.engine.engine import Engine

    OpenEngine = Callable[[Paths], AbstractContextManager[Engine]]


def _open_engine(paths: Paths) -> AbstractContextManager[Engine]:
    from ocinet.engine.engine import Engine
    from ocinet.engine.records.settings import load_or_defaults

    # By the defaults where they can't be read: to look and to take down needs no more.
    settings, _ = load_or_defaults(paths)
    return Engine.open(paths, timeout_s=settings.lock_timeout_s)


class Streams(Value):
    """Where a command reads and writes.

    Attributes:
        stdin: answers to questions.
        stdout: data.
        stderr: people.
    """

    stdin: TextIO
    stdout: TextIO
    stderr: TextIO


class Console:
    """The edges of one run of the command.

    Args:
        environment: where the paths are read from.
        streams: None means the process's own.
        open_engine: makes the engine on the installation's paths.
        execute: becomes another program, as `os.execvp`.
        look_up: whom engines know by a name; None: those of this machine.
        is_root: whether the user may change networks; None: see the process.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        streams: Streams | None = None,
        open_engine: OpenEngine = _open_engine,
        execute: Callable[[str, list[str]], object] = os.execvp,
        look_up: LookUp | None = None,
        is_root: bool | None = None,
    ) -> None:
        streams = streams or Streams(sys.stdin, sys.stdout, sys.stderr)
        self.environment = environment
        self.stdin = streams.stdin
        self.stdout = streams.stdout
        self.stderr = streams.stderr
        self.execute = execute
        self._open_engine = open_engine
        self._look_up = look_up
        self._warned = False
        self._progress: Progress | None = None
        self._is_root = os.geteuid() == 0 if is_root is None else is_root

    @cached_property
    def paths(self) -> Paths:
        """The installation's directories."""
        return Paths.from_environment(self.environment)

    def check_root(self) -> None:
        """Make sure that the state may be read and the network changed.

        Raises:
            SystemFailure: the user is not root.
        """
        if not self._is_root:
            raise SystemFailure(
                "", "only root may see and change containers' networks", "run it with sudo"
            )

    def engine(self) -> AbstractContextManager[Engine]:
        """Return the engine, to be used in a `with` block.

        It looks and takes down even where the settings can't be read, which is
        told once.
        """
        from ocinet.engine.records.settings import load_or_defaults

        flaw = load_or_defaults(self.paths)[1]
        if flaw and not self._warned:
            self.say(f"ocinet: nothing can be attached now: {flaw}")
            self._warned = True
        return self._open_engine(self.paths)

    @property
    def look_up(self) -> LookUp:
        """What tells whom Docker, podman, runc and crun know by a name."""
        from ocinet.cli.engine_names import look_up_on

        return self._look_up or look_up_on(self.paths, self.environment)

    @contextmanager
    def progress(self, what: str) -> Iterator[None]:
        """Say at a terminal what is done meanwhile, if it takes over a second."""
        if not self.stderr.isatty() or self.environment.get("TERM") == "dumb":
            yield
            return
        from ocinet.cli.progress import Progress  # threads, for who looks

        with Progress(self.stderr, what) as self._progress:
            try:
                yield
            finally:
                self._progress = None

    def tell(self, what: str) -> None:
        """Say what is done now, where progress is told."""
        if self._progress:
            self._progress.tell(what)

    def verdict(self, *, ok: bool) -> str:
        """Return how a line begins that says of something whether it is as it has to be."""
        from ocinet.cli.colours import BAD, GOOD, paint

        word, colour = ("ok ", GOOD) if ok else ("BAD", BAD)
        return paint(word, colour, self.stdout, self.environment)

    def print(self, text: str) -> None:
        """Print a line of data; see `write`."""
        self.write(text + "\n")

    def write(self, text: str = "", *, flush: bool = False) -> None:
        """Write data.

        Raises:
            SystemFailure: there is no room for it.
            BrokenPipeError: its reader has gone.
        """
        if self._progress:
            self._progress.clear()
        try:
            self.stdout.write(text)
            if flush:
                self.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            why = error.strerror or str(error)
            raise SystemFailure("cannot write the output", why) from error

    def say(self, text: str) -> None:
        """Tell a person one line."""
        # Both may lead to one place: what was printed first shall stand there first.
        self.write(flush=True)
        self.stderr.write(text + "\n")

    def confirm(self, question: str) -> bool:
        """Ask; return whether the answer is yes. Any other is told to mean no.

        Raises:
            RequestError: there is nobody to answer.
        """
        self.stderr.write(f"{question} [y/N] ")
        self.stderr.flush()
        answer = self.stdin.readline()
        if not answer:
            self.stderr.write("\n")
            raise RequestError("", "nothing was done, for nobody answered", "say --force")
        if answer.strip().lower() in ("y", "yes"):
            return True
        self.say("ocinet: nothing was done")
        return False
