"""wait: until containers are wired, seen from the host; and what waits inside of one."""

from __future__ import annotations

import math
import os
import time

from ocinet.base.clock import Deadline
from ocinet.base.errors import BusyError, RequestError, SystemFailure
from ocinet.base.names import check_container
from ocinet.cli.command_tree import Command
from ocinet.cli.parser import Parser, add_switch, add_text
from ocinet.engine.known import choose_record
from ocinet.engine.model.attachment import ATTACHED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ocinet.cli.console import Console
    from ocinet.engine.engine import Engine

_DEFAULT_S = 30
_INTERVAL_S = 0.05
# Where the script is, seen from a directory above this module: of an installed
# package, and of its sources.
_SCRIPTS = ("share/ocinet/ocinet-wait", "packaging/ocinet-wait")


def _configure(parser: Parser) -> None:
    says = "a container's name, id or the start of its id; it need not be known yet"
    parser.add_argument("containers", metavar="CONTAINER", nargs="*", help=says)
    says = f"give up after that many seconds (default: {_DEFAULT_S})"
    add_text(parser, "--timeout", metavar="SECONDS", says=says)
    says = "print the script that waits inside a container, for images that need it"
    add_switch(parser, "--script", says=says)
    parser.examples(
        "docker run -d --net=none --name web web-image && ocinet wait web",
        "ocinet wait --script > /srv/ocinet-wait && chmod +x /srv/ocinet-wait",
        "docker run --net=none -v /srv/ocinet-wait:/ocinet-wait:ro image /ocinet-wait server",
    )


def _wait(arguments: Namespace, console: Console) -> None:
    if arguments.script:
        if arguments.containers or arguments.timeout is not None:
            raise RequestError("", "--script goes with nothing else", "leave the rest out")
        console.write(_read_script(os.path.abspath(__file__)))
        return
    if not arguments.containers:
        raise RequestError("", "there is nothing to wait for", "name containers, or say --script")
    for text in arguments.containers:
        check_container(text, "container")
    timeout_s = _read_timeout(arguments.timeout)
    deadline = Deadline(timeout_s)
    with console.progress("waiting"), console.engine() as engine:
        while missing := _missing(engine, arguments.containers):
            console.tell(f"waiting for {', '.join(missing)}")
            if not deadline.left_s:
                are = "is" if len(missing) == 1 else "are"
                raise BusyError(
                    "cannot wait any longer",
                    f"{' and '.join(missing)} {are} not wired after {timeout_s:g} s",
                    "see: ocinet ps -a and ocinet events",
                )
            time.sleep(min(_INTERVAL_S, deadline.left_s))


def _read_timeout(text: str | None) -> float:
    if text is None:
        return _DEFAULT_S
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise RequestError("--timeout", f"{text!r} is no number of seconds", "as in --timeout 30")
    return seconds


def _missing(engine: Engine, texts: list[str]) -> list[str]:
    """Return which of the containers are not wired, or not known.

    The dead do not count: a container that is started again has their name.

    Raises:
        RequestError: a text means several of the living.
    """
    living = [record for record in engine.containers.all() if not engine.containers.is_dead(record)]
    wired = {
        record.container.id for record in living if record.state == ATTACHED and record.endpoints
    }
    running = [record for record in living if not record.left]
    missing = []
    for text in dict.fromkeys(texts):
        record = choose_record(running, text)
        if record is None or (record.member_of or record.container.id) not in wired:
            missing.append(text)
    return missing


def _read_script(module: str) -> str:
    """Return the script that is installed with a module.

    Raises:
        SystemFailure: it is not there, or can't be read.
    """
    what = "cannot print ocinet-wait"
    above = os.path.dirname(module)
    while above != "/":
        for path in (f"{above}/{script}" for script in _SCRIPTS):
            try:
                with open(path, encoding="utf-8") as file:
                    return file.read()
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise SystemFailure(what, f"{path}: {error.strerror}") from error
        above = os.path.dirname(above)
    raise SystemFailure(what, f"{_SCRIPTS[0]} is not there", "install ocinet again")


COMMANDS = {"wait": Command(_configure, _wait)}
