"""The script that runtimes run: `python3 -I -S …/ocinet/hooks/hook.py STAGE [FLAG]…`.

A script is compiled anew at each start, so there is next to nothing in it. The
flags keep the environment and site-packages out, and with them what others put
there; the folder that holds the package is all that it adds.
"""

import gc
import os
import sys

if __name__ == "__main__":
    gc.disable()  # a run is too short to have garbage, and loading code sets it off
    sys.path.append(__file__.rsplit("/", 3)[0])
    from ocinet.hooks.stage import main

    # Nothing is buffered, so the interpreter need not be taken down first.
    os._exit(main(sys.argv[1:]))
