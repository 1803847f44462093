"""What a command works with: arguments come in, data goes out, people are told."""

from __future__ import annotations

import os
import sys
from functools import cached_property

from ocinet.base.errors import RequestError, SystemFailure
from ocinet.base.paths import Paths
from ocinet.base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from typing import TextIO

    from ocinet.engine.engine import Engine

    OpenEngine = Callable[[Paths], AbstractContextManager[Engine]]


def _open_engine(paths: Paths) -> AbstractContextManager[Engine]:
    from ocinet.engine.engine import Engine
    from ocinet.engine.records.settings import load_or_defaults

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
        is_root: whether the user may change networks; None: see the process.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        streams: Streams | None = None,
        open_engine: OpenEngine = _open_engine,
        execute: Callable[[str, list[str]], object] = os.execvp,
        is_root: bool | None = None,
    ) -> None:
        streams = streams or Streams(sys.stdin, sys.stdout, sys.stderr)
        self.environment = environment
        self.stdin = streams.stdin
        self.stdout = streams.stdout
        self.stderr = streams.stderr
        self.execute = execute
        self._open_engine = open_engine
        self._warned = False
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

    def print(self, text: str) -> None:
        """Print a line of data."""
        self.stdout.write(text + "\n")

    def say(self, text: str) -> None:
        """Tell a person one line."""
        self.stdout.flush()
        self.stderr.write(text + "\n")

    def confirm(self, question: str) -> None:
        """Ask; go on only after a yes.

        Raises:
            RequestError: the answer is something else, or there is none.
        """
        self.stderr.write(f"{question} [y/N] ")
        self.stderr.flush()
        if self.stdin.readline().strip().lower() not in ("y", "yes"):
            raise RequestError("", "nothing was done, for the answer was not yes", "say --force")
