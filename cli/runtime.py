"""runtime install, uninstall: a runtime for engines that gives containers networks."""

from __future__ import annotations

from ocinet.base.errors import RequestError
from ocinet.cli.command_tree import Command
from ocinet.cli.parser import Parser, add_switch, add_text
from ocinet.cli.registration import registration, report, tell_of_host_programs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ocinet.cli.console import Console
    from ocinet.hooks.registration.launcher import Launcher

_DAEMON_JSON = "/etc/docker/daemon.json"
_NAME = "ocinet"
_RUNTIME = "runc"
_RELOAD = "to make dockerd take it: the same with --reload, or systemctl reload docker"
_RELOAD_S = 10.0
_RESTART = "dockerd knows the runtime until it is restarted: systemctl restart docker"


def _configure_place(parser: Parser) -> None:
    says = f"name that engines know the runtime by (default: {_NAME})"
    parser.add_argument("--name", metavar="NAME", default=_NAME, help=says)
    says = "absolute path of the launcher (default: /usr/local/sbin/NAME-runtime)"
    add_text(parser, "--launcher", metavar="PATH", says=says)


def _configure_install(parser: Parser) -> None:
    says = f"runtime that does the work: runc, crun or an absolute path (default: {_RUNTIME})"
    parser.add_argument("--runtime", metavar="RUNTIME", default=_RUNTIME, help=says)
    _configure_place(parser)
    says = f"name it in Docker's daemon.json (default without FILE: {_DAEMON_JSON})"
    parser.add_argument("--docker", metavar="FILE", nargs="?", const=_DAEMON_JSON, help=says)
    says = "with --docker: for containers that name no runtime, too"
    add_switch(parser, "--default", says=says)
    says = "with --docker: have dockerd read it now, and wait until it knows the runtime"
    add_switch(parser, "--reload", says=says)
    parser.examples(
        "ocinet runtime install --docker --reload",
        "ocinet runtime install --runtime crun --name ocinet-crun --docker",
        "podman --runtime /usr/local/sbin/ocinet-runtime run --network=none …",
    )


def _install(arguments: Namespace, console: Console) -> None:
    from ocinet.hooks.registration.launcher import Launcher, install

    for flag in ("default", "reload"):
        if getattr(arguments, flag) and arguments.docker is None:
            raise RequestError("", f"--{flag} is about Docker", "say --docker, too")
    launcher = Launcher(
        runtime=arguments.runtime,
        name=arguments.name,
        chosen_path=arguments.launcher or "",
        docker=arguments.docker or "",
        default=arguments.default,
    )
    done = install(launcher, registration(console))
    report(done, console)
    if arguments.reload:
        _reload(launcher, console)
    elif launcher.docker in done.changed:
        console.say(_RELOAD)
    tell_of_host_programs(console)


def _reload(launcher: Launcher, console: Console) -> None:
    from ocinet.engine.records.settings import engine_sockets, load_or_defaults
    from ocinet.watcher.docker_reload import reload_docker  # a third of a second

    settings, _flaws = load_or_defaults(console.paths)
    sockets = engine_sockets(settings, console.environment)
    reload_docker(sockets, launcher.name, launcher.path, _RELOAD_S)


def _configure_uninstall(parser: Parser) -> None:
    _configure_place(parser)
    says = "take it out of this daemon.json, too (default: of those that install was told of; "
    says += f"without FILE: {_DAEMON_JSON})"
    parser.add_argument("--docker", metavar="FILE", nargs="?", const=_DAEMON_JSON, help=says)


def _uninstall(arguments: Namespace, console: Console) -> None:
    from ocinet.hooks.registration.launcher import launcher_path, uninstall
    from ocinet.hooks.registration.launcher_text import DockerFile

    launcher = arguments.launcher or launcher_path(arguments.name)
    docker = DockerFile(arguments.docker, arguments.name) if arguments.docker else None
    done = uninstall(launcher, docker)
    report(done, console)
    if set(done.changed) - {launcher}:
        console.say(_RESTART)


COMMANDS = {
    "runtime install": Command(_configure_install, _install),
    "runtime uninstall": Command(_configure_uninstall, _uninstall),
}
