"""Runs one command, and keeps what was run for the report of a failed test."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SHOWN = 1500  # characters of one output in the transcript


@dataclass(frozen=True)
class Result:
    """How a command ended.

    Attributes:
        argv: as asked, without the words that enter the namespace.
        status: exit status; negative for a signal, as in `subprocess`.
        stdout: decoded output.
        stderr: decoded error output.
        duration_s: from start to end.
    """

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str
    duration_s: float

    def json(self) -> Any:
        """Return stdout, parsed as JSON."""
        return json.loads(self.stdout or "null")

    def __str__(self) -> str:
        """Render as a shell session would look."""
        lines = [f"$ {shlex.join(self.argv)}    [{self.status}, {self.duration_s * 1000:.0f} ms]"]
        lines += [text.rstrip()[-_SHOWN:] for text in (self.stdout, self.stderr) if text.strip()]
        return "\n".join(lines)


class CommandFailed(AssertionError):
    """A command that had to succeed did not, or took too long.

    Attributes:
        result: what it had printed by then.
    """

    def __init__(self, result: Result, why: str) -> None:
        super().__init__(f"{why}\n{result}")
        self.result = result


@dataclass
class Transcript:
    """What was run, in order, by whom."""

    lines: list[str] = field(default_factory=list)

    def add(self, where: str, text: object) -> None:
        """Append one entry under the name of the place where it happened."""
        self.lines.append(f"[{where}] {text}")

    def __str__(self) -> str:
        """Return everything, oldest first."""
        return "\n".join(self.lines)


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode(errors="replace")


def run_command(
    argv: Sequence[str],
    *,
    enter: Sequence[str] = (),
    env: Mapping[str, str],
    stdin: str = "",
    timeout_s: float = 30,
) -> Result:
    """Run a command to its end and return what it said.

    Output goes through files, not pipes: a detached container inherits them,
    and a pipe would have no end before the container has.

    Args:
        argv: the command.
        enter: words to put before it, as `nsenter …`.
        env: its whole environment.
        stdin: what it reads; "" is an empty input.
        timeout_s: then its process group is killed.

    Raises:
        CommandFailed: it did not end in time.
    """
    started = time.monotonic()
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        given.write(stdin.encode())
        given.seek(0)
        process = subprocess.Popen(
            [*enter, *argv], env=dict(env), stdin=given, stdout=out, stderr=err,
            start_new_session=True,
        )  # fmt: skip
        try:
            status = process.wait(timeout_s)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            result = Result(tuple(argv), -signal.SIGKILL, _text(out), _text(err), timeout_s)
            raise CommandFailed(result, f"not done after {timeout_s:g} s") from error
        duration_s = time.monotonic() - started
        return Result(tuple(argv), status, _text(out), _text(err), duration_s)
