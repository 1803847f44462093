"""The half of the preload that runs: judges what the other half holds, loads it, and wakes.

Its code comes first in each part, so that `hook.py`, which is compiled at each start,
need not hold it. It imports nothing of ours: nothing is there yet.
"""

import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from io import FileIO
    from types import CodeType
    from typing import BinaryIO

    # Name; what its namespace begins with; of each module of ours that it imports from,
    # its name and what is imported under which name; code without these imports; where
    # that of its functions is which sleep, after what is read at once, and its length.
    Preloaded = tuple[
        str,
        dict[str, object],
        list[tuple[str, tuple[tuple[str, str], ...]]],
        CodeType,
        tuple[int, int],
    ]
    # Folder of hook.py; paths; of each its time and size; size of what sleeps; modules in order.
    Part = tuple[str, list[str], list[tuple[int, int]], int, list[Preloaded]]


def is_current(folder: str, part: "Part", file: "BinaryIO | FileIO") -> bool:
    """Tell whether a part is of these very files, and whole.

    Args:
        folder: that hook.py is in.
        part: as it was read.
        file: that it was read from, up to who sleeps.

    Raises:
        OSError: one of them is gone.
        TypeError, ValueError: it is no part.
    """
    home, paths, noted, asleep, _modules = part
    if posix.fstat(file.fileno()).st_size != file.tell() + asleep:
        return False
    seen = [(status.st_mtime_ns, status.st_size) for status in map(posix.stat, paths)]
    return (home, noted) == (folder, seen)


def load(folder: str, part: "Part", file: "FileIO") -> None:
    """Load modules in order, and bind what they import of each other.

    Without the import system's turn for each, which takes half of the time; and an
    import of a name from a module that is there costs Python 3.11 ten thousand
    instructions: it asks it for a `__path__`, and makes two errors of the answer.

    Args:
        folder: that hook.py is in.
        part: as it was read.
        file: that it was read from, up to who sleeps; it stays open for these.
    """
    try:
        if not is_current(folder, part, file):
            return
    except Exception:  # noqa: BLE001  # a source is gone: all is as without it, only slower
        return
    ours = sys.modules["ocinet"].__dict__
    ours["wake"] = wake
    sleeping = ours.setdefault("sleeping", {})
    start = file.tell()
    for name, names, imports, code, asleep in part[-1]:
        if name in sys.modules:
            continue
        parent, _, stem = name.rpartition(".")
        try:
            package = sys.modules[parent]
            for source, bound in imports:
                there = sys.modules[source].__dict__
                for wanted, alias in bound:
                    names[alias] = there[wanted]
        except KeyError:  # what comes before it was not loaded: the import system will
            return
        module = sys.modules[name] = type(sys)(name)
        module.__dict__.update(names)
        sleeping[name] = file, start, asleep
        exec(code, module.__dict__)  # noqa: S102  # as importlib does
        setattr(package, stem, module)


def wake(args: "tuple[object, ...]", kwargs: "dict[str, object]") -> object:
    """Give functions that sleep their code, those of one module, and call one of them.

    Who calls this is the stub of that one; whoever calls the function from now on finds the
    function itself. Nobody does meanwhile: a hook has one thread.

    Args:
        args: what the stub was called with.
        kwargs: and by name.
    """
    from gc import get_referrers
    from marshal import loads

    frame = sys._getframe(1)  # noqa: SLF001  # `inspect` has no other way
    stub, names = frame.f_code, frame.f_globals
    file, start, (offset, size) = sys.modules["ocinet"].__dict__["sleeping"][names["__name__"]]
    asleep = posix.pread(file.fileno(), size, start + offset)
    codes = {_place(code): code for code in loads(asleep)}  # noqa: S302  # as safe as the rest
    functions: dict[tuple[int, str], Callable[..., object]] = {}
    for thing in get_referrers(names):  # as each function of the module does, wherever it is
        if type(thing) is type(wake) and _place(thing.__code__) in codes:
            functions[_place(thing.__code__)] = thing
            thing.__code__ = codes[_place(thing.__code__)]
    return functions[_place(stub)](*args, **kwargs)


def _place(code: "CodeType") -> "tuple[int, str]":
    return code.co_firstlineno, code.co_qualname
