"""What a runtime is told to run: the interpreter, the script, and the little around them.

The same entry stands in a bundle's `config.json` and in a hooks directory:

    {"path": "/usr/bin/python3.11",
     "args": ["python3", "-I", "-S", "/…/ocinet/hooks/hook.py", "createRuntime"],
     "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
     "timeout": 30}

Of an installation in folders by version, what is told does not change with it, nor with
Python: `hook` starts the version that is current (`packaging/layout`). It takes what an
interpreter takes, so that an entry is known for ours by its words, whichever it is.

    {"path": "/usr/lib/ocinet/hook",
     "args": ["python3", "-I", "-S", "/usr/lib/ocinet/current/ocinet/hooks/hook.py", …
"""

from __future__ import annotations

import posix

from ocinet.base.value import Value
from ocinet.request.config_json import FLAGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SEARCH_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
REGISTERED_TIMEOUT_S = 60  # the hook's own deadline leaves time to undo before that


def lasting(interpreter: str, script: str) -> tuple[str, str]:
    """Return by which paths an installation is registered, so that they hold after an upgrade.

    Args:
        interpreter: that runs it now.
        script: its `hook.py`, which may be in a folder of its version.
    """
    installed = script.rsplit("/", 4)[0]
    starter, current = f"{installed}/hook", f"{installed}/current"
    try:
        posix.stat(starter)
        posix.stat(current)
    except OSError:
        return interpreter, script
    return starter, f"{current}/ocinet/hooks/hook.py"


class Registration(Value):
    """What every entry of one registration has in common.

    Attributes:
        interpreter: absolute and resolved; or what starts one.
        script: absolute path of `hook.py`.
        environment: `NAME=value`; all that the hook gets to see.
    """

    interpreter: str
    script: str
    environment: tuple[str, ...] = (f"PATH={SEARCH_PATH}",)

    def command(self, *words: str) -> list[str]:
        """Return the command line that runs the script with these words."""
        return [self.interpreter, *FLAGS, self.script, *words]

    def entry(self, stage: str, *flags: str) -> dict[str, Any]:
        """Return the hook entry for one stage (runtime-spec, config.md, POSIX-platform hooks)."""
        return {
            "path": self.interpreter,
            "args": ["python3", *self.command(stage, *flags)[1:]],
            # Always told: without it a hook inherits whatever its runtime has, and with podman a
            # poststop has none at all, in which `nft` is not to be found.
            "env": list(self.environment),
            "timeout": REGISTERED_TIMEOUT_S,
        }
