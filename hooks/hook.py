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


def preload(part: str) -> None:
    """Load a part of the preload: its first half, which is code, judges and loads the rest."""
    folder = __file__.rpartition("/")[0]
    name = f"{folder}/__pycache__/preload-{part}.{sys.implementation.cache_tag}.bin"
    loader: dict[str, object] = {}
    try:
        file = open(name, "rb", buffering=0)  # noqa: SIM115  # who sleeps is read from it later
        status = posix.fstat(file.fileno())
        if status.st_uid not in (0, posix.geteuid()) or status.st_mode & 0o022:
            return  # somebody else could have written it, and this is root
        if file.read(len(MAGIC_NUMBER)) == MAGIC_NUMBER:
            size = int.from_bytes(file.read(4), "little")
            code, rest = loads(file.read(size))  # noqa: S302  # as safe as a .pyc
            exec(code, loader)  # noqa: S102
    except Exception:  # noqa: BLE001  # no file, or half of one: all is as with it, only slower
        return
    if loader:
        loader["load"](folder, rest, file)  # type: ignore[operator]


def tell(_kind: type[BaseException], error: BaseException, _trace: object) -> None:
    """Say in one line what can't be loaded; runc skips what comes after a poststop that fails."""
    try:
        posix.write(2, f"ocinet: cannot load its code: {error}\n".encode())
    finally:
        posix._exit("poststop" not in sys.argv)


if __name__ == "__main__":
    sys.excepthook = tell
    gc.disable()  # a run is too short to have garbage, and loading code sets it off
    sys.dont_write_bytecode = True  # runtimes may hand their hooks a umask of 0
    root = __file__.rsplit("/", 3)[0]
    sys.path.append(root)
    # Python's own finder would list every folder of the path before it finds this one.
    namespace = sys.modules["ocinet"] = type(sys)("ocinet")
    namespace.__path__ = [f"{root}/ocinet"]
    if None in (sys.stdin, sys.stdout, sys.stderr):
        from ocinet.base.descriptors import open_closed_streams

        open_closed_streams()
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
