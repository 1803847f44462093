"""What is asked of fakes, in order, and where they are made to fail.

Each method of a fake that stands in for one of ours notes its name here, as
`links.add_veth`. Those that change something are acts, and are counted.

To have the third act from now on fail, before it did anything:

    host.trace.fail_at(2)

For a rollback sweep, go on until nothing fails any more:

    for number in itertools.count():
        host = FakeHost()
        before = host.state()
        host.trace.fail_at(number)
        try:
            attach(host)
        except KernelError:
            assert host.state() == before
        else:
            break

`fail_at(2, done=True)` fails once the act is done, as where a process is killed
then; give the error that is to end it. `fail_on("firewall.open")` fails the next call
of that name, acts or looks. `before` is called with each name before anything happens:
what it does comes between, as another process would.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

from ocinet.base.errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Callable

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


class Trace:
    """What was asked, in order.

    Attributes:
        acts: what changed something, or was to.
        looks: what changed nothing.
        before: called with each name first.
    """

    def __init__(self) -> None:
        self.acts: list[str] = []
        self.looks: list[str] = []
        self.before: Callable[[str], None] = lambda _name: None
        self._countdown = -1
        self._after = False
        self._name = ""
        self._error: BaseException | None = None

    def fail_at(
        self, number: int, error: BaseException | None = None, *, done: bool = False
    ) -> None:
        """Have the act fail that is the NUMBERth from now on, counted from 0.

        Args:
            number: of the act.
            error: what to raise; a `KernelError` if there is none.
            done: once it is done, and not before.
        """
        self._countdown, self._after, self._error = number, done, error

    def fail_on(self, name: str, error: BaseException | None = None) -> None:
        """Have the next call of that name fail, before it did anything."""
        self._name, self._error = name, error

    def enter(self, name: str, *, acts: bool) -> bool:
        """Note a call; return whether it is to fail once it is done."""
        self.before(name)
        (self.acts if acts else self.looks).append(name)
        if name == self._name:
            self._name = ""
            raise self._failure(name)
        if not acts or self._countdown < 0:
            return False
        self._countdown -= 1
        if self._countdown < 0 and not self._after:
            raise self._failure(name)
        return self._countdown < 0

    def leave(self, name: str) -> None:
        """Fail after an act, as was asked for."""
        raise self._failure(name)

    def _failure(self, name: str) -> BaseException:
        return self._error or KernelError(f"cannot do {name}", "it was made to fail")


class Traced(Protocol):
    """A fake that notes what is asked of it."""

    seam: str

    @property
    def trace(self) -> Trace:
        """Where it notes that."""


_Fake = TypeVar("_Fake", bound=Traced)


def act(
    method: Callable[Concatenate[_Fake, _Given], _Result],
) -> Callable[Concatenate[_Fake, _Given], _Result]:
    """Note each call of a method that changes something, and let it fail."""

    @functools.wraps(method)
    def wrapped(fake: _Fake, /, *args: _Given.args, **kwargs: _Given.kwargs) -> _Result:
        name = f"{fake.seam}.{method.__name__}"
        fails = fake.trace.enter(name, acts=True)
        result = method(fake, *args, **kwargs)
        if fails:
            fake.trace.leave(name)
        return result

    return wrapped


def look(
    method: Callable[Concatenate[_Fake, _Given], _Result],
) -> Callable[Concatenate[_Fake, _Given], _Result]:
    """Note each call of a method that changes nothing, and let it fail."""

    @functools.wraps(method)
    def wrapped(fake: _Fake, /, *args: _Given.args, **kwargs: _Given.kwargs) -> _Result:
        fake.trace.enter(f"{fake.seam}.{method.__name__}", acts=False)
        return method(fake, *args, **kwargs)

    return wrapped
