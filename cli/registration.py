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
    from ocinet.hooks.registration.installation import resolve

    resolved = resolve(console.environment)
    try:
        refresh(resolved.script)
    except OSError as error:
        console.say(f"ocinet: each start takes some milliseconds longer: {error.filename} can't be"
                    f" written: {error.strerror}")  # fmt: skip
    return resolved


def report(installed: Installed, console: Console) -> None:
    """Print the files that changed, and say what is still in the way."""
    for path in installed.changed:
        console.print(path)
    for warning in installed.warnings:
        console.say(f"ocinet: {warning}")
