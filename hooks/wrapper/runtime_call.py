"""The command line of an OCI runtime, as far as the wrapper must understand it.

    runc [GLOBAL OPTION]… create [OPTION]… ID
    crun [GLOBAL OPTION]… run [OPTION]… ID

Options come before the word that they are for, in all runtimes. runc, as every
Go program, takes `-root X` for `--root X`; crun takes `-bDIR`.
"""

from __future__ import annotations

from ocinet.base.value import Value
from ocinet.request.config_json import CONFIG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

VERBS = ("create", "run")  # that make a container of a bundle
START = "start"
# Options that have a value, of runc and crun, in front of the verb and behind it.
# All others stand alone, or have their value behind a `=`.
GLOBAL_OPTIONS = ("root", "log", "log-format", "log-level", "criu", "rootless", "cgroup-manager")
_OWN_OPTIONS = ("bundle", "b", "config", "f", "console-socket", "pid-file", "pidfd-socket",
                "preserve-fds")  # fmt: skip


class RuntimeCall(Value):
    """What a runtime was told to do.

    Attributes:
        verb: create or run; "" for everything that is not the wrapper's matter,
            and for what the runtime will not understand either.
        id: the container's.
        bundle: absolute.
        config: absolute path of the config; the bundle's, unless crun is told
            of another one.
        pid_file: where the runtime shall write the process's id, absolute, or "".
        log: where the runtime shall write its own errors, or "".
        log_format: text or json.
        options: the words in front of the verb, for other calls of the kind.
        starts: the container that is to run its program now, or "".
    """

    verb: str = ""
    id: str = ""
    bundle: str = ""
    config: str = ""
    pid_file: str = ""
    log: str = ""
    log_format: str = "text"
    options: tuple[str, ...] = ()
    starts: str = ""


def parse_runtime_call(arguments: Sequence[str], cwd: str) -> RuntimeCall:
    """Read a runtime's arguments.

    Args:
        arguments: without the runtime's own name.
        cwd: what relative paths are relative to.
    """
    before, rest = _split_options(arguments, GLOBAL_OPTIONS)
    if rest and rest[0] == START:
        return RuntimeCall(starts=rest[-1])
    if not rest or rest[0] not in VERBS:
        return RuntimeCall()
    own, operands = _split_options(rest[1:], _OWN_OPTIONS)
    if len(operands) != 1:
        return RuntimeCall()
    bundle = _absolute(cwd, own.get("bundle", own.get("b", "")))
    bundle = bundle.rstrip("/") or "/"
    other, pid_file = own.get("config", own.get("f", "")), own.get("pid-file", "")
    return RuntimeCall(
        verb=rest[0],
        id=operands[0],
        bundle=bundle,
        config=_absolute(cwd, other) if other else f"{bundle}/{CONFIG}",
        pid_file=_absolute(cwd, pid_file) if pid_file else "",
        log=before.get("log", ""),
        log_format=before.get("log-format", "text"),
        options=tuple(arguments[: len(arguments) - len(rest)]),
    )


def _split_options(
    words: Sequence[str], with_value: tuple[str, ...]
) -> tuple[dict[str, str], Sequence[str]]:
    """Return the options that have a value, and the words behind all options."""
    options = {}
    index = 0
    while index < len(words) and words[index][:1] == "-":
        word = words[index]
        index += 1
        name, equals, value = word[2 if word[:2] == "--" else 1 :].partition("=")
        if name in with_value:
            if not equals:
                value = words[index] if index < len(words) else ""
                index += 1
            options[name] = value
        # crun's `-bDIR`. Before a letter it would be one of runc's words, as `-bundle`.
        elif word[:2] in ("-b", "-f") and word[2:3] in ("/", "."):
            options[word[1]] = word[2:]
    return options, words[index:]


def _absolute(cwd: str, path: str) -> str:
    return path if path.startswith("/") else f"{cwd}/{path}"
