"""hooks add, remove, install, uninstall, verify: register the hook; and `hook` itself."""

from __future__ import annotations

from ocinet.base.errors import RequestError
from ocinet.cli.command_tree import Command
from ocinet.cli.parser import Parser, add_format, add_switch, add_text
from ocinet.cli.printing import show_json
from ocinet.cli.registration import registration, report, tell_of_host_programs
from ocinet.cli.request_flags import add_request, read_annotations, read_request
from ocinet.cli.targets import read_shared, record_shared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ocinet.cli.console import Console
    from ocinet.hooks.registration.verify import Finding

_CDI = "/etc/cdi"
_STAGES = ("createRuntime", "prestart")
_VERBS = ("add", "create", "check", "install", "list", "ls", "remove", "rm", "uninstall", "verify")


def _configure_hook(parser: Parser) -> None:
    from argparse import REMAINDER

    says = "createRuntime, prestart or poststop, and the registration's flags"
    parser.add_argument("arguments", metavar="STAGE", nargs=REMAINDER, help=says)


def _hook(arguments: Namespace, console: Console) -> int:
    from ocinet.cli.command_tree import resolve
    from ocinet.hooks.entry.stage import main

    if arguments.arguments and arguments.arguments[0] in _VERBS:
        # What runtimes run is never called so; people leave the s out.
        resolve(["hooks", arguments.arguments[0]])
        raise RequestError("", "a runtime is the one that runs ocinet hook", "ocinet hooks "
                           + " ".join(arguments.arguments))  # fmt: skip
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


def _bundle(path: str) -> str:
    """Return a bundle's directory, also where its config.json itself is named."""
    from ocinet.request.config_json import CONFIG

    directory, _, name = path.rpartition("/")
    return (directory or ".") if name == CONFIG else path


def _add(arguments: Namespace, console: Console) -> None:
    from itertools import islice

    from ocinet.hooks.registration.bundle import add
    from ocinet.hooks.registration.installation import write_flaws
    from ocinet.hooks.registration.verify import request_flaws
    from ocinet.request.config_json import CONFIG

    arguments.bundle = _bundle(arguments.bundle)
    annotations = read_annotations(arguments)
    request = read_request(annotations) if annotations else None
    with console.engine() as engine:
        if request:
            request, shared = read_shared(engine, request, annotations, console.look_up)
            record_shared(engine, shared)
        changed = add(
            arguments.bundle,
            request,
            registration(console),
            engine.containers.find,
            netns_dir=console.paths.netns,
            stage=arguments.stage,
        )
    if not changed:
        console.say(f"{arguments.bundle} is like that already")
    # No error: who may run a bundle of another's trusts that one with all of root's rights anyway.
    for what in islice(write_flaws(f"{arguments.bundle}/{CONFIG}"), 1):
        console.say(f"ocinet: {what}: whoever can write the bundle asks as root does"
                    f" (hint: chown -R root {arguments.bundle})")  # fmt: skip
    # No error: what it asks for may come before the container does.
    for flaw in request_flaws(arguments.bundle, console.paths):
        console.say(f"ocinet: {flaw.what} (hint: {flaw.hint})")


def _configure_remove(parser: Parser) -> None:
    says = "the directory that has the config.json"
    parser.add_argument("bundle", metavar="BUNDLE", help=says)


def _remove(arguments: Namespace, console: Console) -> None:
    from ocinet.hooks.registration.bundle import remove

    arguments.bundle = _bundle(arguments.bundle)
    if not remove(arguments.bundle):
        console.say(f"there is nothing of ocinet's in {arguments.bundle}")


def _configure_place(parser: Parser) -> None:
    add_switch(parser, "--podman", says="podman's hooks, and that podman reads them")
    says = "hooks directory, absolute (default: with --podman, /etc/containers/oci/hooks.d)"
    add_text(parser, "--hooks-dir", metavar="DIR", says=says)
    says = "devices for --device ocinet.dev/net=NETWORK, in that directory (default: /etc/cdi)"
    parser.add_argument("--cdi", metavar="DIR", nargs="?", const=_CDI, help=says)


def _configure_install(parser: Parser) -> None:
    _configure_place(parser)
    says = "wire containers without any ocinet.* annotation too (default: only those that ask)"
    add_switch(parser, "--always", says=says)
    _add_stage(parser)
    parser.examples(
        "ocinet hooks install --podman",
        "ocinet hooks install --hooks-dir /usr/share/containers/oci/hooks.d",
        "ocinet hooks install --cdi",
    )


def _directory(arguments: Namespace) -> str:
    """Return the hooks directory that is meant.

    Raises:
        RequestError: none is, or CDI is, too.
    """
    from ocinet.hooks.registration.hooks_dir import HOOKS_DIR

    hooks = arguments.podman or arguments.hooks_dir is not None
    if hooks and arguments.cdi is not None:
        raise RequestError("", "hooks and devices are two registrations", "name one at a time")
    if not hooks and arguments.cdi is None:
        raise RequestError("", "where to is not said", "say --podman, --hooks-dir DIR or --cdi")
    return HOOKS_DIR if arguments.hooks_dir is None else str(arguments.hooks_dir)


def _networks(console: Console) -> set[str]:
    """Return the networks that get a device: the default one is there when it is asked for."""
    from ocinet.engine.model.request import DEFAULT_NETWORK
    from ocinet.engine.records.networks import NetworkStore

    return {DEFAULT_NETWORK, *NetworkStore(console.paths).names()}


def _install(arguments: Namespace, console: Console) -> None:
    from ocinet.hooks.registration import cdi_specs, hooks_dir

    directory = _directory(arguments)
    ours = registration(console)
    if arguments.cdi is None:
        installed = hooks_dir.install(
            ours,
            directory=directory,
            always=arguments.always,
            stage=arguments.stage,
            environment=console.environment if arguments.podman else None,
        )
    elif arguments.always:
        raise RequestError("", "--always does not go with --cdi", "a device is asked for by name")
    else:
        installed = cdi_specs.install(
            ours, _networks(console), directory=arguments.cdi, stage=arguments.stage
        )
    report(installed, console)
    tell_of_host_programs(console)


def _uninstall(arguments: Namespace, console: Console) -> None:
    from ocinet.hooks.registration import cdi_specs, hooks_dir

    directory = _directory(arguments)
    if arguments.cdi is None:
        report(hooks_dir.uninstall(directory=directory), console)
    else:
        report(cdi_specs.uninstall(directory=arguments.cdi), console)


def _configure_verify(parser: Parser) -> None:
    says = "the directory of a bundle that was added (default: what the flags name)"
    parser.add_argument("bundle", metavar="BUNDLE", nargs="?", help=says)
    _configure_place(parser)
    add_format(parser)


def _findings(arguments: Namespace, console: Console) -> tuple[Finding, ...]:
    from ocinet.hooks.registration.verify import verify_bundle, verify_cdi, verify_directory

    environment = console.environment
    if arguments.bundle is None:
        directory = _directory(arguments)
        if arguments.cdi is not None:
            return verify_cdi(arguments.cdi, _networks(console), environment)
        return verify_directory(directory, environment, podman=arguments.podman)
    if arguments.podman or arguments.hooks_dir is not None or arguments.cdi is not None:
        raise RequestError("", "a bundle and a directory are two things", "verify them apart")
    return verify_bundle(_bundle(arguments.bundle), environment)


def _verify(arguments: Namespace, console: Console) -> int:
    with console.progress("running the hook as a runtime would"):
        findings = _findings(arguments, console)
    if arguments.format == "json":
        fields = [{"ok": check.ok, "what": check.what, "hint": check.hint} for check in findings]
        show_json(console, fields)
    else:
        for check in findings:
            hint = f" (hint: {check.hint})" if check.hint else ""
            console.print(f"{console.verdict(ok=check.ok)}   {check.what}{hint}")
    return 0 if all(check.ok for check in findings) else 1


COMMANDS = {
    "hook": Command(_configure_hook, _hook),
    "hooks add": Command(_configure_add, _add),
    "hooks remove": Command(_configure_remove, _remove),
    "hooks install": Command(_configure_install, _install),
    "hooks uninstall": Command(_configure_place, _uninstall),
    "hooks verify": Command(_configure_verify, _verify),
}
