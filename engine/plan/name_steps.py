"""The step that tells a container names, in files of its own."""

from __future__ import annotations

from ocinet.base.errors import OcinetError
from ocinet.engine.model.naming import NameFile, Place
from ocinet.engine.plan.steps import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.plan.machine import Machine


class WriteNames(Step):
    """Have files of a container say what they shall.

    Attributes:
        place: whose they are.
        files: each with what it says.
    """

    place: Place
    files: tuple[NameFile, ...]

    def describe(self) -> tuple[str, ...]:
        """Return what they say, as comments.

        No command does it: a path in a container's files leads wherever its image wants.
        """
        return tuple(
            f"# /{file.path} of the container:\n"
            + "\n".join(f"#   {line}" for line in file.text.splitlines())
            for file in self.files
        )

    def apply(self, machine: Machine) -> bool:
        """Write them; what can't be written is noted: a container gets on without, as before."""
        files = machine.name_files(self.place.process)
        if files is None:
            return False
        try:
            files.write(self.place, self.files)
        except OcinetError as error:
            machine.warnings.append(str(error))
            return False
        return True

    @property
    def in_place(self) -> WriteNames:
        """The part of it that mounts nothing."""
        return self.replace(files=tuple(file for file in self.files if not file.mounted))

    def inverse(self) -> Step:
        """Return the step that has them say what they said before."""
        files = tuple(
            file.replace(text=file.before, before=file.text, mounted=False) for file in self.files
        )
        return WriteNames(self.place, files)


class SetHostname(Step):
    """Have a container call itself by a name: its UTS namespace's.

    Attributes:
        place: whose it is.
        hostname: that it is to have.
        before: that it had.
    """

    place: Place
    hostname: str
    before: str

    def describe(self) -> tuple[str, ...]:
        """Return the command that does it."""
        return (f"nsenter --uts=/proc/{self.place.process.pid}/ns/uts hostname {self.hostname}",)

    def apply(self, machine: Machine) -> bool:
        """Set it; what is refused is noted: others find the container by that name all the same."""
        process = self.place.process
        files = machine.name_files(process)
        try:
            return bool(files and files.exchange_hostname(process, self.hostname))
        except OcinetError as error:
            machine.warnings.append(str(error))
            return False

    def inverse(self) -> Step:
        """Return the step that gives it back what it had."""
        return self.replace(hostname=self.before, before=self.hostname)
