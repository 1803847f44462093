"""Parts of the preload that few need: each is loaded when the first of its modules is imported.

So nobody has to know beforehand what a container will ask for, and what it asks for does not cost
the looking for a dozen modules in their folders: 50 million instructions, where an attach has 60.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from typing import Any

# By what is done, the modules that are imported first of a part.
FIRST_OF = {
    "attach": {
        "ocinet.request.access": "said",
        "ocinet.engine.model.access": "said",
        "ocinet.engine.records.accesses": "access",
        "ocinet.engine.access": "access",
        "ocinet.engine.kernel.name_files": "names",
        "ocinet.engine.plan.name_files": "names",
        "ocinet.engine.serving": "served",
        "ocinet.engine.kernel.name_server": "served",
        "ocinet.engine.linked_names": "linked",
        "ocinet.engine.plan.driver_macvlan": "lan",
    },
    "detach": {
        "ocinet.engine.records.accesses": "closing",
        "ocinet.engine.access": "closing",
        "ocinet.engine.plan.serving_steps": "unserved",
        "ocinet.engine.kernel.name_server": "unserved",
        "ocinet.engine.linked_names": "unlinked",
        "ocinet.engine.plan.lan_steps": "unlan",
    },
}
# What a part takes for loaded, where that is in another one.
_BEFORE = {"access": "ocinet.engine.model.access"}


def load_on_demand(preload: Callable[[str], None], act: str) -> None:
    """Have such parts loaded from now on.

    Args:
        preload: loads a part.
        act: "attach" or "detach": what is loaded by then differs.

    Effects:
        `sys.meta_path` begins with what does it, for the rest of the process.
    """
    parts = FIRST_OF[act]
    finder: Any = type(sys)("parts")  # a module: a class costs each hook as much as ten of these

    def find_spec(name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        if name not in parts:
            return None
        part = parts[name]
        before = _BEFORE.get(part)
        if before in parts and before not in sys.modules:
            preload(parts[before])
        preload(part)
        if name not in sys.modules:  # the part is stale: Python finds it as it always does
            return None
        from _frozen_importlib import ModuleSpec as Spec

        return Spec(name, finder)

    finder.find_spec = find_spec
    finder.create_module = lambda spec: sys.modules[spec.name]
    finder.exec_module = lambda _module: None
    sys.meta_path.insert(0, finder)
