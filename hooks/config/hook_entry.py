"""What a runtime is told to run: the interpreter, the script, and the little around them.

The same entry stands in a bundle's `config.json` and in a hooks directory:

    {"path": "/usr/bin/python3.11",
     "args": ["python3", "-I", "-S", "/…/ocinet/hooks/hook.py", "createRuntime"],
     "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
     "timeout": 30}
"""

from __future__ import annotations

from ocinet.base.value import Value
from ocinet.request.config_json import FLAGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SEARCH_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
REGISTERED_TIMEOUT_S = 30  # the hook's own deadline leaves time to undo before that


class Registration(Value):
    """What every entry of one registration has in common.

    Attributes:
        interpreter: absolute and resolved.
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
            "env": list(self.environment),
            "timeout": REGISTERED_TIMEOUT_S,
        }
