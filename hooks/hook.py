"""The script that runtimes and the launcher run.

    python3 -I -S …/ocinet/hooks/hook.py STAGE [FLAG]…
    python3 -I -S …/ocinet/hooks/hook.py runtime [OCINET_…=DIR]… RUNTIME ARGUMENT…

A script is compiled anew at each start, so there is next to nothing in it. The
flags keep the environment and site-packages out, and with them what others put
there; the folder that holds the package is all that it adds. What it loads from
there is preloaded, where somebody has prepared that: see `preload`.
"""

import gc
import posix
import sys
from _frozen_importlib_external import MAGIC_NUMBER
from marshal import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType


def read_part(script: str, part: str) -> "list[tuple[str, dict[str, object], CodeType]]":
    """Return a part of the preload; empty unless it is of these very files and this Python."""
    folder = script.rpartition("/")[0]
    name = f"preload-{part}.{sys.implementation.cache_tag}.bin"
    with open(f"{folder}/__pycache__/{name}", "rb", buffering=0) as file:
        if file.read(len(MAGIC_NUMBER)) != MAGIC_NUMBER:
            return []
        home, paths, noted, modules = loads(file.read())  # noqa: S302  # as safe as a .pyc
    seen = [(status.st_mtime_ns, status.st_size) for status in map(posix.stat, paths)]
    return modules if (home, noted) == (folder, seen) else []


def preload(part: str) -> None:
    """Load modules in order, without the import system's turn for each: half of its time."""
    try:
        modules = read_part(__file__, part)
    except Exception:  # noqa: BLE001  # no file, half of one, a source gone: all is as with it, only slower
        return
    for name, names, code in modules:
        parent, _, stem = name.rpartition(".")
        if name not in sys.modules and parent in sys.modules:
            module = sys.modules[name] = type(sys)(name)
            module.__dict__.update(names)
            exec(code, module.__dict__)  # noqa: S102  # as importlib does
            setattr(sys.modules[parent], stem, module)


if __name__ == "__main__":
    gc.disable()  # a run is too short to have garbage, and loading code sets it off
    sys.dont_write_bytecode = True  # runtimes may hand their hooks a umask of 0
    root = __file__.rsplit("/", 3)[0]
    sys.path.append(root)
    # Python's own finder would list every folder of the path before it finds this one.
    namespace = sys.modules["ocinet"] = type(sys)("ocinet")
    namespace.__path__ = [f"{root}/ocinet"]
    if sys.argv[1:2] == ["runtime"]:
        preload("wrapper")
        from ocinet.hooks.wrapper.create import main as make_container

        status = make_container(sys.argv[1:], preload=preload)
    else:
        preload("stage")
        from ocinet.hooks.entry.stage import main

        status = main(sys.argv[1:], preload=preload)
    # Nothing is buffered, so the interpreter need not be taken down first.
    posix._exit(status)
