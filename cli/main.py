"""The entry point: find the command, run it, tell what went wrong, exit.

Nothing is imported here that a command does not need: `ocinet --help` must not
wait for the engine.
"""

from __future__ import annotations

import os
import sys

from ocinet.base.errors import OcinetError, SystemFailure, told
from ocinet.cli.command_tree import EVERYONES, Entry, help_text, resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from ocinet.cli.command_tree import Command
    from ocinet.cli.console import Console

_USAGE = 2
_INTERRUPTED = 130  # as a shell tells of SIGINT
_BROKEN_PIPE = 141  # and of SIGPIPE


def main(arguments: list[str] | None = None, console: Console | None = None) -> int:
    """Run one command.

    Args:
        arguments: without the program's name; None means the process's own.
        console: None means the process's own streams and environment.

    Returns:
        The exit code, see `command_tree.EXIT_CODES`.
    """
    if None in (sys.stdin, sys.stdout, sys.stderr):
        from ocinet.base.descriptors import open_closed_streams

        open_closed_streams()
    stderr = console.stderr if console else sys.stderr
    _keep_code_closed()
    try:
        return _run(sys.argv[1:] if arguments is None else arguments, console)
    except OcinetError as error:
        _tell(stderr, error)
        return error.exit_code
    except KeyboardInterrupt:
        stderr.write("\nocinet: interrupted\n")
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader has gone, as in `ocinet ps | head -1`. What is left in the
        # buffer must go somewhere, or the interpreter complains at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return _BROKEN_PIPE
    except OSError as error:
        _tell(stderr, told("cannot do that", error))
        return SystemFailure.exit_code
    except ImportError as error:  # as without descriptors or memory; a package may be broken, too
        _tell(stderr, SystemFailure("cannot load a part of ocinet", str(error)))
        return SystemFailure.exit_code
    except Exception as error:  # the edge: a person gets a line, not a trace
        if os.environ.get("OCINET_DEBUG"):
            raise
        why = f"this is a fault in ocinet: {type(error).__name__}: {error}"
        _tell(stderr, OcinetError("", why, "OCINET_DEBUG=1 shows where; please report it"))
        return OcinetError.exit_code


def _keep_code_closed() -> None:
    """Have Python keep no compiled modules where the umask would let others replace them.

    It makes `__pycache__` by the umask, and what lies there root runs next time. The umask
    itself stays as it is, for who is run by us.
    """
    umask = os.umask(0o077)
    os.umask(umask)
    if umask & 0o022 != 0o022:
        sys.dont_write_bytecode = True


def _run(arguments: list[str], console: Console | None) -> int:
    if arguments in (["--version"], ["-v"]):
        arguments = ["version"]
    entry, rest = resolve(arguments)
    if not isinstance(entry, Entry):
        return _help(entry, rest, console)
    from importlib import import_module

    from ocinet.cli.console import Console
    from ocinet.cli.parser import HelpAsked, Parser

    console = console or Console(os.environ)
    command: Command = import_module(f"ocinet.cli.{entry.module}").COMMANDS[entry.words]
    parser = Parser(entry.words, entry.summary)
    command.configure(parser)
    try:
        parsed = parser.parse_args(rest)
    except HelpAsked as asked:
        console.write(str(asked))
        code = None
    else:
        if entry.words not in EVERYONES:
            console.check_root()
        code = command.run(parsed, console)
    console.write(flush=True)
    return code or 0


def _help(group: str, rest: list[str], console: Console | None) -> int:
    """Show all commands, or a group's: as data where asked for, else as an error."""
    stream: TextIO
    if rest:
        stream = console.stdout if console else sys.stdout
    else:
        stream = console.stderr if console else sys.stderr
    stream.write(help_text(group))
    stream.flush()
    return 0 if rest else _USAGE


def _painted(stderr: TextIO) -> tuple[str, str]:
    """Return the two words that begin an error's lines, in colours at a terminal."""
    words = "ocinet", "hint"
    try:
        from ocinet.cli.colours import BAD, HINT, paint  # for who is told of an error
    except ImportError:  # which may be what is to be told
        return words
    return paint(words[0], BAD, stderr, os.environ), paint(words[1], HINT, stderr, os.environ)


def _tell(stderr: TextIO, error: OcinetError) -> None:
    """Print an error in two lines at most: what and why, and what to do.

    Where nobody can be told, the exit code still does.
    """
    named, hinted = _painted(stderr)
    line = ": ".join(part for part in (named, error.what, error.why) if part)
    hint = f"\n{hinted}: {error.hint}" if error.hint else ""
    try:
        stderr.write(f"{line}{hint}\n")
    except OSError:  # no room; Python would exit with 120 for what is left in the buffer
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


if __name__ == "__main__":
    sys.exit(main())
