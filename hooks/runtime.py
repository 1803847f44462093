"""The script behind `ocinet-runtime create`: what the launcher runs.

    python3 -I -S …/ocinet/hooks/runtime.py [OCINET_…=DIR]… RUNTIME ARGUMENT…

As tiny as `hook.py`, and for the same reasons.
"""

import gc
import os
import sys

if __name__ == "__main__":
    gc.disable()
    sys.path.append(__file__.rsplit("/", 3)[0])
    from ocinet.hooks.wrapper import main

    os._exit(main(sys.argv[1:]))
