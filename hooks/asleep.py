"""What of the preload sleeps: functions that a usual start or stop of a container never calls.

Half of the code that an attach loads is for what goes wrong, or is rarely asked for, and to
make code objects of it takes a tenth of the time. So it lies behind what is read at once, and
a stub stands where such a function is defined. The first that is called of a module wakes
the module's (`preloaded.wake`), and then all is as if none had slept.

Who is awake is a list of what ran when it was tried (`make awake`), beside this file:

    PART MODULE FUNCTION…
"""

from __future__ import annotations

from types import CodeType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

LIST = "awake.txt"
# What `inspect` calls so: it takes long to import. A function has the first, a class has not.
CO_OPTIMIZED, CO_GENERATOR = 0x1, 0x20


def _stub(*args: object, **kwargs: object) -> object:
    import ocinet

    return ocinet.wake(args, kwargs)  # type: ignore[attr-defined]  # see `preloaded.load`


_STUB = _stub.__code__


def read_awake(folder: str) -> dict[tuple[str, str], set[str]]:
    """Return who stays awake, by part and module.

    Args:
        folder: of an installation's hooks.

    Raises:
        OSError: the list can't be read.
    """
    with open(f"{folder}/{LIST}", encoding="ascii") as file:
        lines = [line.split() for line in file]
    return {(part, module): set(functions) for part, module, *functions in lines}


def put_to_sleep(code: CodeType, awake: Container[str]) -> tuple[CodeType, list[CodeType]]:
    """Return a module's code with stubs in it, and the code of those who sleep.

    Args:
        code: of a module, or of a class in it.
        awake: names of functions, with those of their classes before them.
    """
    constants: list[object] = []
    asleep: list[CodeType] = []
    for constant in code.co_consts:
        kept = constant
        if not isinstance(constant, CodeType):
            pass
        elif not constant.co_flags & CO_OPTIMIZED:
            kept, inner = put_to_sleep(constant, awake)
            asleep += inner
        elif _can_sleep(constant) and constant.co_qualname not in awake:
            kept = _stub_of(constant)
            asleep.append(constant)
        constants.append(kept)
    return code.replace(co_consts=tuple(constants)), asleep


def _can_sleep(code: CodeType) -> bool:
    """Tell whether a function can get other code later.

    Not with variables of what is around it, as where `super()` is called, nor a generator
    (Python 3.13 warns); and what has no name is called where it stands.
    """
    return not (code.co_freevars or code.co_flags & CO_GENERATOR or code.co_name[0] == "<")


def _stub_of(code: CodeType) -> CodeType:
    """Return what stands for a function, and can be told from others by its place."""
    return _STUB.replace(
        co_filename=code.co_filename, co_firstlineno=code.co_firstlineno,
        co_name=code.co_name, co_qualname=code.co_qualname,
    )  # fmt: skip
