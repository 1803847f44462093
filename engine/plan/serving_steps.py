"""The steps that have a container found by its names on a network, and no more."""

from __future__ import annotations

from ocinet.base.errors import OcinetError
from ocinet.engine.model.served import ServedContainer, ServedNetwork
from ocinet.engine.plan.steps import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.plan.machine import Machine

_FOLDER = "/run/ocinet/names/served"
_TELL = f"kill -HUP $(cat {_FOLDER}/aardvark.pid)"


class ServeNames(Step):
    """Have a network's name server know a container.

    Attributes:
        network: it is on.
        container: with its names there.
        former: what the server knew of it before; None: nothing.
    """

    network: ServedNetwork
    container: ServedContainer
    former: ServedContainer | None = None

    def describe(self) -> tuple[str, ...]:
        """Return the commands that do the same."""
        file = f"{_FOLDER}/{self.network.file}"
        head = self.network.head.replace("\n", "\\n")
        return (
            f"[ -s {file} ] || printf '{head}' > {file}",
            f"echo '{self.container.line.rstrip()}' >> {file}",
            _TELL,
        )

    def apply(self, machine: Machine) -> bool:
        """Tell the server; a container gets on without, and asks whom the host asks."""
        try:
            return machine.name_server.enter(self.network, self.container, machine.contested)
        except OcinetError as error:
            machine.unserved.append(self.network.name)
            machine.warnings.append(f"on {self.network.name} it is not found by name: {error}")
            return False

    def inverse(self) -> Step:
        """Return the step that has the server know what it knew."""
        if self.former:
            return ServeNames(self.network, self.former, self.container)
        return ForgetNames(self.network.name, self.container.id)


class ForgetNames(Step):
    """Have a network's name server know a container no more.

    Attributes:
        network: its name.
        container_id: whole.
    """

    network: str
    container_id: str

    def describe(self) -> tuple[str, ...]:
        """Return the commands that do the same."""
        return (f"sed -i '/^{self.container_id} /d' {_FOLDER}/net-{self.network}*", _TELL)

    def apply(self, machine: Machine) -> bool:
        """Tell the server."""
        return machine.name_server.leave(self.network, self.container_id)

    def inverse(self) -> Step | None:
        """Return None: whoever takes a container down, does not put it back."""
        return None
