"""runc and crun in a lab."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

from hosts.lab.namespace import Namespace
from hosts.requirements import require
from hosts.waiting import has_ended, wait_until

if TYPE_CHECKING:
    from hosts.command import Result
    from hosts.engine.bundle import Bundle
    from hosts.lab.machine import Lab

RUNTIMES = ("runc", "crun")
each_runtime = pytest.mark.parametrize("runtime", RUNTIMES)
# The container keeps the runtime's stdout: it goes to a file of the bundle, so
# that it can be read while the container runs.
_TO_FILE = ("sh", "-c", 'exec "$@" > "$0"')


class Container:
    """A container of runc or crun.

    Attributes:
        id: the runtime's id.
        runtime: which one made it.
        bundle: what it was made of.
    """

    def __init__(self, runtime: Runtime, bundle: Bundle, container_id: str) -> None:
        self.runtime = runtime
        self.bundle = bundle
        self.id = container_id

    def state(self) -> dict[str, Any]:
        """Return what the runtime's `state` says."""
        state: dict[str, Any] = self.runtime("state", self.id).json()
        return state

    @cached_property
    def pid(self) -> int:
        """Id of the container's first process."""
        return int(self.state()["pid"])

    @cached_property
    def namespace(self) -> Namespace:
        """The container's sandbox, to look, listen and connect in.

        Commands run there see the lab's files, not the container's.
        """
        return self.runtime.lab.enter(self.id, self.pid)

    def start(self) -> None:
        """Run the entrypoint of a container that was only created."""
        self.runtime("start", self.id)

    def exec(self, *argv: str, check: bool = True) -> Result:
        """Run a command inside, with the container's files."""
        return self.runtime("exec", self.id, *argv, check=check)

    def read(self, path: str) -> str:
        """Return what is in a file of the container's."""
        return self.exec("cat", path).stdout

    def output(self) -> str:
        """Return what the entrypoint has printed so far."""
        return (self.bundle.path / f"{self.id}.stdout").read_text()

    def kill(self, signal: str = "KILL") -> None:
        """Send a signal to the first process and wait until it is gone."""
        pid = self.pid
        self.runtime("kill", self.id, signal)
        wait_until(lambda: has_ended(pid), f"the end of {self.id}")

    def end(self) -> None:
        """Kill it, and delete it."""
        self.kill()
        self.delete()

    def delete(self, *, force: bool = True, check: bool = True) -> Result:
        """Remove the container, which runs its poststop hooks."""
        words = ("delete", "--force", self.id) if force else ("delete", self.id)
        result = self.runtime(*words, check=check)
        if not result.status:
            self.runtime.lab.forget(self)
        return result


class Runtime:
    """An OCI runtime's command line; call it with the words after its name.

    Args:
        lab: where it runs.
        program: runc or crun.
    """

    def __init__(self, lab: Lab, program: str) -> None:
        require(program)
        self.lab = lab
        self.program = program

    def __call__(
        self, *words: str, check: bool = True, cwd: str = "/", timeout_s: float = 30
    ) -> Result:
        """Run the runtime, as `lab.runc("state", "web")`."""
        return self.lab.run(self.program, *words, check=check, cwd=cwd, timeout_s=timeout_s)

    def create(self, bundle: Bundle, container_id: str = "", *, verb: str = "create") -> Container:
        """Create a container, not started yet: its hooks have run.

        Raises:
            CommandFailed: the runtime refused; its stderr is in `.result`.
        """
        container = Container(self, bundle, container_id or bundle.id)
        self.lab.remember(container)
        words = [verb, "--bundle", str(bundle.path), container.id]
        if verb == "run":
            words.insert(1, "--detach")
        stdout = str(bundle.path / f"{container.id}.stdout")
        self.lab.run(*_TO_FILE, stdout, self.program, *words, cwd=str(bundle.path))
        return container

    def run(self, bundle: Bundle, container_id: str = "") -> Container:
        """Create and start a container that goes on beside the test.

        Raises:
            CommandFailed: the runtime refused; its stderr is in `.result`.
        """
        return self.create(bundle, container_id, verb="run")

    def run_to_end(self, bundle: Bundle, *, check: bool = True, timeout_s: float = 30) -> Result:
        """Run a container in the foreground; it is deleted when it ends."""
        words = ("run", "--bundle", str(bundle.path), bundle.id)
        return self(*words, check=check, cwd=str(bundle.path), timeout_s=timeout_s)
