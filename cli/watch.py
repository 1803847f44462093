"""watch: be the watcher."""

from __future__ import annotations

from ocinet.base.errors import OcinetError
from ocinet.cli.command_tree import Command
from ocinet.cli.parser import Parser, add_text
from ocinet.watcher.logs import FORMATS, LEVELS, make_log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from ocinet.cli.console import Console


def _configure(parser: Parser) -> None:
    says = "an engine's socket (default: the settings' engines, and DOCKER_HOST for Docker's)"
    add_text(parser, "--engine", metavar="SOCKET", says=says, several=True)
    says = f"the least that is logged: {', '.join(LEVELS)} (default: info)"
    parser.add_argument("--log-level", choices=LEVELS, default="info", metavar="LEVEL", help=says)
    says = "how it is logged: auto (console on a terminal, else json), console, json"
    parser.add_argument("--log-format", choices=FORMATS, default="auto", metavar="FORM", help=says)
    says = "where its page is shown, as 127.0.0.1:4900 (default: the setting web, else nowhere)"
    add_text(parser, "--web", metavar="ADDRESS:PORT", says=says)
    says = "where Prometheus scrapes it: unix:PATH or 127.0.0.1:PORT (default: as the settings say)"
    add_text(parser, "--metrics", metavar="PLACE", says=says)
    parser.examples(
        "ocinet watch",
        "ocinet watch --engine /run/docker.sock --log-level debug",
        "ocinet watch --web 127.0.0.1:4900 --metrics 127.0.0.1:9690",
    )


def _run(arguments: Namespace, console: Console) -> None:
    from ocinet.engine.model.loopback import LoopbackPlace
    from ocinet.engine.model.metrics_place import MetricsPlace
    from ocinet.engine.records.settings import socket_path
    from ocinet.hooks.registration import firewalld, link_managers
    from ocinet.watcher.service import Service

    web = _place(arguments.web, LoopbackPlace.parse, "cannot show the page")
    metrics = _place(arguments.metrics, MetricsPlace.parse, "cannot serve metrics")
    sockets = tuple(socket_path(text) for text in arguments.engine)
    log = make_log(arguments.log_level, arguments.log_format, environment=console.environment)
    for manager in link_managers.unguarded():
        log.warning("links are not ours alone", error=link_managers.describe(manager))
    missing = firewalld.what_is_missing()
    if missing:
        log.warning("firewall rejects containers", error=missing)
    Service(console.paths, log, sockets, console.environment, web, metrics).run()


def _place(text: str | None, parse: Callable[[str], object], what: str) -> str:
    """Return a place as settings have it, or "".

    Raises:
        RequestError: others than this machine could reach it there; with what can't be done.
    """
    try:
        return str(parse(text)) if text else ""
    except OcinetError as error:
        raise error.within(what) from error


COMMANDS = {"watch": Command(_configure, _run)}
