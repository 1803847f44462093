"""What is registered with runtimes and engines, and telling what came of it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.cli.console import Console
    from ocinet.hooks.config.hook_entry import Registration
    from ocinet.hooks.registration.foreign_files import Installed


def registration(console: Console) -> Registration:
    """Return what is to be registered, ready to start fast."""
    from ocinet.hooks.preload import refresh
    from ocinet.hooks.registration.installation import own_script, resolve

    resolved = resolve(console.environment)
    try:
        refresh(own_script())
    except OSError as error:
        console.say(f"ocinet: each start takes some milliseconds longer: {error.filename} can't be"
                    f" written: {error.strerror}")  # fmt: skip
    return resolved


def tell_of_host_programs(console: Console) -> None:
    """Say which programs of the host are in ocinet's way, and what keeps them out of it.

    It comes after what was asked for is done, so that not to know is no failure of that.
    """
    try:
        from ocinet.hooks.registration import firewalld, link_managers

        found = [link_managers.describe(manager) for manager in link_managers.unguarded()]
        found += filter(None, [firewalld.what_is_missing()])
    except (OSError, ImportError) as error:
        found = [f"cannot tell whether other programs change links or drop packets: {error}"
                 " (hint: ocinet doctor)"]  # fmt: skip
    for warning in found:
        console.say(f"ocinet: {warning}")


def report(installed: Installed, console: Console) -> None:
    """Print the files that changed, and say what is still in the way."""
    for path in installed.changed:
        console.print(path)
    for warning in installed.warnings:
        console.say(f"ocinet: {warning}")
