"""Running a registered hook as a runtime would, where nothing can be harmed.

In a network and mount namespace of its own, with an empty `/run` and no state,
against a process that stands for a container: up, a look with `ip`, the end of
that process, down, and a look at what is left. The hook gets its registered
arguments and environment, no more, and starts in a bundle.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from ocinet.base.errors import RequestError, SystemFailure
from ocinet.base.paths import Paths
from ocinet.hooks.config.hook_entry import REGISTERED_TIMEOUT_S, SEARCH_PATH
from ocinet.request.annotations import NET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    Json = dict[str, Any]

_ID = "ocinet-verify"
_WHAT = "cannot try the hook out"
_COMMAND_TIMEOUT_S = REGISTERED_TIMEOUT_S  # what it asks is asked on slow machines, too
_BUNDLE = "/run/ocinet-verify"
_CONFIG = {"linux": {"namespaces": [{"type": "network"}]}}
_HOST_IFNAME = re.compile(r"oc[0-9a-f]{13}")
# The settings are the operator's, networks and state are none: what is defined
# may name bridges that are not in here.
_MAKE_HOST = """\
set -e
settings=$(mktemp -d)
cp -a {config}/ocinet.toml {config}/ocinet.toml.d "$settings" 2>/dev/null || true
mount -t tmpfs -o mode=755 scratch /run
mkdir -p /run/netns {bundle}
for place in {config} {state} {run}; do
    mkdir -p $place
    mount -t tmpfs -o mode=700 scratch $place
done
cp -a "$settings"/. {config}
rm -rf "$settings"
ip link set lo up
echo ready
exec cat
"""
# `cat` ends when our end of its pipe does, so these two outlive us in no case.
_MAKE_CONTAINER = "ip link set lo up; echo ready; exec cat"


def try_out(up: Json, down: Json) -> list[str]:
    """Run a hook's two stages.

    Args:
        up: its entry for createRuntime or prestart.
        down: its entry for poststop.

    Returns:
        What was seen, a line each.

    Raises:
        RequestError: the hook failed, made nothing, or left something behind.
        SystemFailure: there is no place to try it: not root, or a tool is missing.
    """
    with _scratch(Paths.from_environment(_environment(up))) as scratch:
        started = time.monotonic()
        _expect_silence("createRuntime", scratch.run_hook(up, pid=scratch.container.pid))
        duration_ms = (time.monotonic() - started) * 1000
        addresses = scratch.addresses()
        if not addresses:
            raise RequestError(_WHAT, "it ended well, but made no eth0 with an address")
        scratch.container.end()
        _expect_silence("poststop", scratch.run_hook(down, pid=0))
        left = scratch.leftovers()
        if left:
            raise RequestError(_WHAT, f"poststop has left {', '.join(left)}")
    return [
        f"createRuntime gave eth0 {' and '.join(addresses)} in {duration_ms:.0f} ms",
        "poststop left nothing behind",
    ]


def _environment(entry: Json) -> dict[str, str]:
    pairs = (str(line).partition("=") for line in entry.get("env") or ())
    return {name: value for name, _, value in pairs}


def _expect_silence(stage: str, result: subprocess.CompletedProcess[str]) -> None:
    output = " ".join((result.stderr or result.stdout).split())
    if result.returncode:
        how = f"exit status {result.returncode}" if result.returncode > 0 else "killed by a signal"
        raise RequestError(_WHAT, f"{stage} failed ({how}): {output or 'without a word'}")
    if output:
        raise RequestError(_WHAT, f"{stage} ended well, but said: {output}")


def _tool(name: str) -> str:
    path = shutil.which(name, path=SEARCH_PATH)
    if path is None:
        raise SystemFailure(_WHAT, f"{name} is missing", "install iproute2 and util-linux")
    return path


class _Holder:
    """A process that holds a namespace; it ends with the block, or with us."""

    def __init__(self, words: list[str]) -> None:
        self._process = subprocess.Popen(
            words, env={"PATH": SEARCH_PATH}, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self.pid = self._process.pid
        answer = self._process.stdout.readline().strip() if self._process.stdout else ""
        if answer != "ready":
            self.end()
            raise SystemFailure(_WHAT, f"no scratch namespace: {answer}", "run it as root")

    def end(self) -> None:
        """Kill it and wait until it is gone."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> _Holder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.returncode is None:
            self.end()


@contextmanager
def _scratch(paths: Paths) -> Iterator[_Scratch]:
    """Make a host and a container; both are gone at the end of the block."""
    with ExitStack() as stack:
        for path in (paths.config, paths.state, paths.run):
            stack.enter_context(_mount_point(path))
        script = _MAKE_HOST.format(
            config=shlex.quote(paths.config), state=shlex.quote(paths.state),
            run=shlex.quote(paths.run), bundle=_BUNDLE,
        )  # fmt: skip
        _tool("ip")  # which the scripts need, and can't say so
        unshare = [_tool("unshare"), "--net", "--mount", "--propagation", "private"]
        host = stack.enter_context(_Holder([*unshare, "sh", "-c", script]))
        with open(f"/proc/{host.pid}/root{_BUNDLE}/config.json", "w", encoding="utf-8") as file:
            json.dump(_CONFIG, file)
        inside = [*_entering(host, host), _tool("unshare"), "--net", "sh", "-c", _MAKE_CONTAINER]
        yield _Scratch(paths, host, stack.enter_context(_Holder(inside)))


@contextmanager
def _mount_point(path: str) -> Iterator[None]:
    """Have a directory to mount on; one that had to be made is removed again."""
    made: list[str] = []
    part = path
    while not os.path.isdir(part) and not path.startswith("/run/"):
        made.append(part)
        part = os.path.dirname(part)
    for missing in reversed(made):
        os.mkdir(missing, 0o700)
    try:
        yield
    finally:
        for path in made:
            if not os.listdir(path):
                os.rmdir(path)


def _entering(net: _Holder, host: _Holder) -> list[str]:
    """Return the words that run the command after them in there."""
    return [
        _tool("nsenter"), f"--net=/proc/{net.pid}/ns/net", f"--mount=/proc/{host.pid}/ns/mnt",
        f"--wdns={_BUNDLE}", "--",
    ]  # fmt: skip


class _Scratch:
    """A host for one container, and that container."""

    def __init__(self, paths: Paths, host: _Holder, container: _Holder) -> None:
        self._paths = paths
        self._host = host
        self.container = container

    def run_hook(self, entry: Json, *, pid: int) -> subprocess.CompletedProcess[str]:
        """Run a stage with its own arguments and environment, as runc does.

        Args:
            entry: of the registration.
            pid: the container's, or 0 when it has stopped.
        """
        # As runc says it; crun's word for the first is "created".
        status = "creating" if pid else "stopped"
        state: Json = {"ociVersion": "1.0.2", "id": _ID, "status": status,
                 "bundle": _BUNDLE, "annotations": {NET: "bridge"}}  # fmt: skip
        if pid:
            state["pid"] = pid
        # What a runtime runs is `path`; the first of `args` is no more than the process's name.
        words = [*_entering(self._host, self._host), str(entry["path"]), *entry["args"][1:]]
        timeout_s = entry.get("timeout") or _COMMAND_TIMEOUT_S
        return self._run(words, _environment(entry), json.dumps(state), timeout_s)

    def addresses(self) -> list[str]:
        """Return the global addresses of the container's eth0."""
        return [
            f"{address['local']}/{address['prefixlen']}"
            for link in self._ip(self.container, "address", "show")
            if link.get("ifname") == "eth0"
            for address in link["addr_info"]
            if address["scope"] == "global"
        ]

    def leftovers(self) -> list[str]:
        """Name what is still there of the container."""
        names = [str(link.get("ifname")) for link in self._ip(self._host, "link", "show")]
        left = [name for name in names if _HOST_IFNAME.fullmatch(name)]
        root = f"/proc/{self._host.pid}/root"
        for place in (f"{self._paths.run}/attachments", "/run/netns"):
            if os.path.isdir(root + place):
                left += [f"{place}/{name}" for name in os.listdir(root + place)]
        return left

    def _ip(self, net: _Holder, *words: str) -> list[Json]:
        argv = [*_entering(net, self._host), _tool("ip"), "-j", *words]
        shown = self._run(argv, {"PATH": SEARCH_PATH}, "", _COMMAND_TIMEOUT_S)
        links: list[Json] = json.loads(shown.stdout or "[]")
        return links

    @staticmethod
    def _run(
        words: list[str], environment: dict[str, str], stdin: str, timeout_s: float
    ) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                words, env=environment, input=stdin, timeout=timeout_s,
                capture_output=True, text=True, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise RequestError(_WHAT, f"it ran longer than {timeout_s:g} s") from error
