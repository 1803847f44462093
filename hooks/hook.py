"""The script that runtimes and the launcher run.

    python3 -I -S …/ocinet/hooks/hook.py STAGE [FLAG]…
    python3 -I -S …/ocinet/hooks/hook.py runtime [OCINET_…=DIR]… RUNTIME ARGUMENT…

A script is compiled anew at each start, so there is next to nothing in it. The
flags keep the environment and site-packages out, and with them what others put
there; the folder that holds the package is all that it adds. What is loaded from
there comes out of the code archive, if there is one: see `archive`.
"""

import gc
import posix
import sys
from _frozen_importlib_external import MAGIC_NUMBER
from marshal import loads

if __name__ == "__main__":
    gc.disable()  # a run is too short to have garbage, and loading code sets it off
    here = __file__.rpartition("/")[0]
    root = here.rsplit("/", 2)[0]
    sys.path.append(root)
    try:
        archive = f"{here}/__pycache__/archive.{sys.implementation.cache_tag}.bin"
        fd = posix.open(archive, posix.O_RDONLY | posix.O_CLOEXEC)
        head = posix.read(fd, 1 << 16)
        if head.startswith(MAGIC_NUMBER):
            code, *places = loads(head[len(MAGIC_NUMBER) :])  # noqa: S302  as safe as a .pyc
            exec(code)  # noqa: S102  as above; it defines Finder
            sys.meta_path.insert(0, globals()["Finder"](root, fd, *places))
    except (OSError, EOFError, TypeError, ValueError):
        pass  # there is none, or half of one: all is as with it, only slower
    if sys.argv[1:2] == ["runtime"]:
        from ocinet.hooks.wrapper.create import main as make_container

        status = make_container(sys.argv[1:])
    else:
        from ocinet.hooks.entry.stage import main

        status = main(sys.argv[1:])
    # Nothing is buffered, so the interpreter need not be taken down first.
    posix._exit(status)
