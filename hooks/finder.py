"""Takes modules out of the code archive: what `hook.py` starts with if there is one.

What it does not find, or not as its source is now, Python's own finders look for.
"""

from __future__ import annotations

import sys
from _frozen_importlib import ModuleSpec  # importlib costs 2 ms
from marshal import loads
from posix import pread, stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_NAMESPACE = "ocinet"  # a folder without an __init__
_PACKAGE = "__init__.py"


class Finder:
    """A finder for `sys.meta_path`, and the loader of what it finds.

    Args:
        root: the folder that has `ocinet`.
        fd: the archive, open for as long as the interpreter runs.
        modules: of each, its source's path below the root, time of change in ns and
            size; and where its code is in the archive: offset and length.
        groups: of some modules, where the code of all that they import is, with
            names, in the order in which it has to run.
    """

    def __init__(
        self,
        root: str,
        fd: int,
        modules: dict[str, tuple[str, int, int, int, int]],
        groups: dict[str, tuple[tuple[int, int], ...]],
    ) -> None:
        self._root = root
        self._fd = fd
        self._modules = modules
        self._groups = groups

    def find_spec(
        self, name: str, _path: object = None, _target: object = None
    ) -> ModuleSpec | None:
        """Return a module's spec, or None if it is not in the archive as it is now.

        Effects:
            Of a module with a group, all that it imports is loaded first.
        """
        if name == _NAMESPACE:
            # Python's own finder would list every folder of the path before it finds this one.
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [f"{self._root}/{name}"]
            return spec
        for place in self._groups.pop(name, ()):
            self._load_group(place)
        source = self._source(name)
        if not source:
            return None
        folder, _, file = source.rpartition("/")
        loader: Any = self  # of the form, not of the class: `importlib.abc` is not imported here
        spec = ModuleSpec(name, loader, origin=source, is_package=file == _PACKAGE)
        spec.has_location = True  # so that the module has a __file__
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations = [folder]
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to the import system."""

    def exec_module(self, module: ModuleType) -> None:
        """Run a module's code."""
        exec(self._read(self._modules[module.__name__][3:]), module.__dict__)  # noqa: S102  as importlib does

    def _read(self, place: tuple[int, ...]) -> Any:
        offset, length = place
        return loads(pread(self._fd, length, offset))  # noqa: S302  as safe as a .pyc beside it

    def _source(self, name: str) -> str:
        """Return where a module's source is; "" if the archive has it not as it is now."""
        entry = self._modules.get(name)
        if entry is None:
            return ""
        source = f"{self._root}/{entry[0]}"
        try:
            status = stat(source)
        except OSError:
            return ""
        is_same = status.st_mtime_ns == entry[1] and status.st_size == entry[2]
        return source if is_same else ""

    def _load_group(self, place: tuple[int, int]) -> None:
        """Load modules in order, without the import system's turn for each: half of its time."""
        loaded = sys.modules
        module_type = type(sys)
        for name, code in self._read(place):
            parent, _, stem = name.rpartition(".")
            source = "" if name in loaded else self._source(name)
            if not source or parent not in loaded:
                continue  # it or its package has changed: who imports it will find it
            module = loaded[name] = module_type(name)
            names = module.__dict__
            folder, _, file = source.rpartition("/")
            if file == _PACKAGE:
                names["__package__"] = name
                names["__path__"] = [folder]
            else:
                names["__package__"] = parent
            names["__file__"] = source
            try:
                exec(code, names)  # noqa: S102  as importlib does
            except BaseException:
                del loaded[name]
                raise
            setattr(loaded[parent], stem, module)
