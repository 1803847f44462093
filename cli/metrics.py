"""metrics: the figures that Prometheus reads, printed or put where node_exporter finds them."""

from __future__ import annotations

from ocinet.base.errors import RequestError, SystemFailure
from ocinet.cli.command_tree import Command
from ocinet.cli.parser import Parser, add_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ocinet.cli.console import Console

_ENDING = ".prom"  # others are not read by node_exporter, nor may they be: it would read half of it
_MODE = 0o644  # node_exporter is not root; names and figures are what is in there


def _configure(parser: Parser) -> None:
    says = "put it there whole, for node_exporter's textfile collector (default: print it)"
    add_text(parser, "--textfile", metavar="FILE.prom", says=says)
    parser.examples(
        "ocinet metrics | promtool check metrics",
        "ocinet metrics --textfile /var/lib/prometheus/node-exporter/ocinet.prom",
    )


def _metrics(arguments: Namespace, console: Console) -> None:
    path = arguments.textfile
    if path is not None and not path.endswith(_ENDING):
        raise RequestError(
            "", f"node_exporter reads no file called {path!r}", f"a name that ends with {_ENDING}"
        )
    text = _gather(console)
    if path is None:
        console.write(text)
        return
    from ocinet.base.atomic import replace_file

    try:
        replace_file(path, text, mode=_MODE, durable=False)
    except OSError as error:
        raise SystemFailure(f"cannot write {path}", error.strerror or str(error)) from error


def _gather(console: Console) -> str:
    """Return all that can be told without being the watcher.

    Raises:
        OcinetError: the kernel would not say, or something can't be read.
    """
    from platform import python_version
    from time import monotonic

    from ocinet.base.version import own_version
    from ocinet.picture.exposition import render
    from ocinet.picture.metrics import GATHERED, families
    from ocinet.picture.observe import take
    from ocinet.picture.tally import tally
    from ocinet.watcher.bulletin import read_news, watching

    began = monotonic()
    with console.engine() as engine:
        picture = take(engine, console.paths.run)
    counts = tally(console.paths.run)
    build = own_version(), python_version()
    told = families(picture, counts, watching(read_news(console.paths.run)), build)
    return render([*told, (GATHERED, {(): round(monotonic() - began, 6)})])


COMMANDS = {"metrics": Command(_configure, _metrics)}
