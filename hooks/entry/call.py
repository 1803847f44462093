"""How the hook was called: the stage and the flags of a registration.

    createRuntime, prestart    up: attach; a failure stops the container
    poststop                   down: detach; it never fails, for runc would skip
                               the hooks after it
    (none)                     told from the state's status

The registration says through whose hands the annotations went. A bundle's own
entry, from `ocinet hooks add`, is as good as the bundle. One in a hooks
directory serves every container of an engine, and the annotations may be the
image's: those count for nothing (`--hooks-dir`). `--always` there stands for
containers without any of our keys, too. One of a CDI device names the network
that the container has asked for by it (`--device=NETWORK`), and its annotations
may be the image's as well.
"""

from __future__ import annotations

from ocinet.base.errors import RequestError
from ocinet.base.names import check_network, did_you_mean
from ocinet.base.value import Value
from ocinet.request.config_json import DEVICE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

STAGES = {"createRuntime": "up", "prestart": "up", "poststop": "down"}
FROM_HOOKS_DIR = "--hooks-dir"
ALWAYS = "--always"

_BY_STATUS = {"creating": "up", "created": "up", "stopped": "down"}
_USAGE = f"use: hook.py {'|'.join(STAGES)} [{FROM_HOOKS_DIR} [{ALWAYS}] | {DEVICE}NETWORK]"


class Call(Value):
    """How the hook was called.

    Attributes:
        act: up or down; "" if the state is to tell.
        from_hooks_dir: the annotations may be an image's.
        always: containers without any of our keys are meant, too.
        device: the network of a CDI device; "" if it is none's entry.
    """

    act: str = ""
    from_hooks_dir: bool = False
    always: bool = False
    device: str = ""


def parse_call(arguments: Sequence[str]) -> Call:
    """Read the command line of a registration.

    Raises:
        RequestError: a stage or flag is not known.
    """
    act, device, flags = "", "", set()
    for argument in arguments:
        if argument in STAGES and not act:
            act = STAGES[argument]
        elif argument in (FROM_HOOKS_DIR, ALWAYS):
            flags.add(argument)
        elif argument.startswith(DEVICE) and not device:
            device = check_network(argument[len(DEVICE) :])
        else:
            hint = did_you_mean(argument, (*STAGES, FROM_HOOKS_DIR, ALWAYS))
            raise RequestError("cannot run the hook", f"{argument!r} is no stage", hint or _USAGE)
    from_hooks_dir = FROM_HOOKS_DIR in flags or bool(device)
    return Call(act, from_hooks_dir, ALWAYS in flags, device)


def act_by_status(status: str) -> str:
    """Return what a hook that was given no stage has to do, by the state's status.

    Raises:
        RequestError: a hook is not called in that status.
    """
    act = _BY_STATUS.get(status, "")
    if not act:
        raise RequestError("cannot run the hook", f"no stage is given, and the status "
                           f"{status[:20]!r} tells none", _USAGE)  # fmt: skip
    return act
