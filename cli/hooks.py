"""hooks add, remove, install, uninstall, verify: register the hook; and `hook` itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocinet.base.errors import RequestError
from ocinet.cli.commands import Command
from ocinet.cli.output import show_json
from ocinet.cli.parser import (
    Parser,
    add_format,
    add_request,
    add_switch,
    add_text,
    asked,
    read_request,
)

if TYPE_CHECKING:
    from argparse import Namespace

    from ocinet.cli.console import Console
    from ocinet.hooks.hooksd import Installed

_STAGES = ("createRuntime", "prestart")


def _configure_hook(parser: Parser) -> None:
    from argparse import REMAINDER

    says = "createRuntime, prestart or poststop, and the registration's flags"
    parser.add_argument("arguments", metavar="STAGE", nargs=REMAINDER, help=says)


def _hook(arguments: Namespace, console: Console) -> int:
    from ocinet.hooks.stage import main

    return main(arguments.arguments, environment=console.environment)


def _add_stage(parser: Parser) -> None:
    says = "stage to register besides poststop: prestart for runtimes older than spec 1.0.2 "
    says += "(default: createRuntime)"
    parser.add_argument("--stage", choices=_STAGES, default=_STAGES[0], help=says)


def _configure_add(parser: Parser) -> None:
    says = "the directory that has the config.json"
    parser.add_argument("bundle", metavar="BUNDLE", help=says)
    add_request(parser)
    _add_stage(parser)
    parser.examples(
        "ocinet hooks add /run/bundles/web --net lan --ip 10.9.0.5 -p 8080:80",
        "ocinet hooks add /run/bundles/log --net container:web",
    )


def _add(arguments: Namespace, console: Console) -> None:
    from ocinet.hooks.bundle import add
    from ocinet.hooks.registration import resolve

    given = asked(arguments)
    request = read_request(given) if given else None
    with console.engine() as engine:
        changed = add(
            arguments.bundle,
            request,
            resolve(console.environment),
            engine.parts.attachments.find,
            netns_dir=console.paths.netns,
            stage=arguments.stage,
        )
    if not changed:
        console.say(f"{arguments.bundle} is like that already")


def _configure_remove(parser: Parser) -> None:
    says = "the directory that has the config.json"
    parser.add_argument("bundle", metavar="BUNDLE", help=says)


def _remove(arguments: Namespace, console: Console) -> None:
    from ocinet.hooks.bundle import remove

    if not remove(arguments.bundle):
        console.say(f"there is nothing of ocinet's in {arguments.bundle}")


def _configure_place(parser: Parser) -> None:
    add_switch(parser, "--podman", says="register with podman")
    says = "hooks directory, absolute (default: podman's for administrators)"
    add_text(parser, "--hooks-dir", metavar="DIR", says=says)


def _configure_install(parser: Parser) -> None:
    _configure_place(parser)
    says = "wire containers without any ocinet.* annotation too (default: only those that ask)"
    add_switch(parser, "--always", says=says)
    _add_stage(parser)
    parser.examples(
        "ocinet hooks install --podman",
        "ocinet hooks install --hooks-dir /usr/share/containers/oci/hooks.d",
    )


def _directory(arguments: Namespace) -> str:
    """Return the hooks directory that is meant.

    Raises:
        RequestError: none is.
    """
    from ocinet.hooks.hooksd import HOOKS_DIR

    if arguments.hooks_dir is None and not arguments.podman:
        raise RequestError("", "where to is not said", "say --podman or --hooks-dir DIR")
    return HOOKS_DIR if arguments.hooks_dir is None else str(arguments.hooks_dir)


def _install(arguments: Namespace, console: Console) -> None:
    from ocinet.hooks.hooksd import install
    from ocinet.hooks.registration import resolve

    installed = install(
        resolve(console.environment),
        directory=_directory(arguments),
        always=arguments.always,
        stage=arguments.stage,
        environment=console.environment,
    )
    _report(installed, console)


def _uninstall(arguments: Namespace, console: Console) -> None:
    from ocinet.hooks.hooksd import uninstall

    _report(uninstall(directory=_directory(arguments)), console)


def _report(installed: Installed, console: Console) -> None:
    """Print the files that changed, and say what is still in the way."""
    for path in installed.changed:
        console.print(path)
    for warning in installed.warnings:
        console.say(f"ocinet: {warning}")


def _configure_verify(parser: Parser) -> None:
    says = "the directory of a bundle that was added (default: what --podman names)"
    parser.add_argument("bundle", metavar="BUNDLE", nargs="?", help=says)
    _configure_place(parser)
    add_format(parser)


def _verify(arguments: Namespace, console: Console) -> int:
    from ocinet.hooks.verify import verify_bundle, verify_podman

    if arguments.bundle is None:
        findings = verify_podman(_directory(arguments), console.environment)
    elif arguments.podman or arguments.hooks_dir is not None:
        raise RequestError("", "a bundle and a hooks directory are two things", "verify them apart")
    else:
        findings = verify_bundle(arguments.bundle, console.environment)
    if arguments.format == "json":
        show_json(console, [{"ok": one.ok, "what": one.what, "hint": one.hint} for one in findings])
    else:
        for one in findings:
            hint = f" (hint: {one.hint})" if one.hint else ""
            console.print(f"{'ok ' if one.ok else 'BAD'}   {one.what}{hint}")
    return 0 if all(one.ok for one in findings) else 1


COMMANDS = {
    "hook": Command(_configure_hook, _hook),
    "hooks add": Command(_configure_add, _add),
    "hooks remove": Command(_configure_remove, _remove),
    "hooks install": Command(_configure_install, _install),
    "hooks uninstall": Command(_configure_place, _uninstall),
    "hooks verify": Command(_configure_verify, _verify),
}
