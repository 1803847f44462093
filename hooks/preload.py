"""The preload: what a hook loads, compiled and in order, so that it need not look for it.

    …/ocinet/hooks/__pycache__/preload-PART.cpython-311.bin

    magic   4 bytes, of the interpreter's byte code, as in a .pyc
    size    4 bytes: that of code and what
    code    of `preloaded`, which judges the rest and loads it
    what    the folder of hook.py; the paths of the modules and of their folders, and of
            each the time of its last change and its size; and of each module its name,
            the names that it begins with, what it imports of ours, and its code
    asleep  code of functions that no usual act calls, of each module apart: see `asleep`

Code and what are one marshalled pair, and all that is read at once.

A part is what is loaded at once, for nobody shall wait for what it has no use for: a
container that asks for nothing needs no engine. Python would look for each of some
hundred modules in its folder, open it, and read it, which takes as long as all the
wiring. `hook.py` reads one file, and the first half of it looks whether it is of these
very files, and runs what the second half holds.

It is a cache like the files beside it. Where there is none, or it is another
interpreter's, or was made somewhere else, or any module of the part has changed, or
its folder has another one more or less, modules are loaded as Python always does.
"""

from __future__ import annotations

import ast
import os
import sys
from contextlib import suppress
from importlib.util import MAGIC_NUMBER
from marshal import dumps, loads
from typing import TYPE_CHECKING, NamedTuple

from ocinet.base.atomic import replace_file
from ocinet.base.temporaries import sweep_quietly
from ocinet.hooks.asleep import put_to_sleep, read_awake
from ocinet.hooks.preloaded import is_current

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import CodeType
    from typing import TypeGuard

    from ocinet.hooks.preloaded import Part, Preloaded

# What both doors have loaded before they want an engine.
_COMMON = (
    "ocinet.hooks.entry.engine_access",
    "ocinet.engine.model.attachment",
    "ocinet.engine.records.settings",
    "ocinet.base.events",
)
_ENGINE = "ocinet.engine.lifecycle"
_ATTACH = (
    _ENGINE,
    "ocinet.engine.attach",
    "ocinet.engine.ruleset.network_sets",
    "ocinet.engine.settle",
    "ocinet.engine.records.claim_attempt",
    "ocinet.ipam.allocation",
)
_DETACH = (_ENGINE, "ocinet.engine.detach", "ocinet.engine.firewall.conntrack")
# Who asks for one of these has all of it loaded, see `entry.on_demand`.
_SERVING = (
    "ocinet.engine.kernel.name_server",
    "ocinet.engine.kernel.served_files",
    "ocinet.engine.kernel.name_program",
)
_SAID = ("ocinet.request.access", "ocinet.engine.model.access")
_ACCESS = (
    "ocinet.engine.records.accesses",
    "ocinet.engine.access",
    "ocinet.engine.plan.access_steps",
    "ocinet.engine.records.mentions",
    "ocinet.engine.records.resolved_names",
    "ocinet.engine.kernel.names_elsewhere",
)
_LINKED = ("ocinet.engine.linked_names",)
_UNLAN = (
    "ocinet.engine.plan.lan_steps",
    "ocinet.engine.lan_ends",
    "ocinet.engine.kernel.lan_links",
)
_LAN = ("ocinet.engine.plan.driver_macvlan", *_UNLAN, "ocinet.engine.adopted")
# Of each part what is imported with it, and what has been imported by then.
PARTS = {
    "stage": (("ocinet.hooks.entry.stage", *_COMMON), ()),
    "created": (("ocinet.hooks.entry.created",), ("ocinet.hooks.entry.stage", *_COMMON)),
    "wrapper": (("ocinet.hooks.wrapper.create",), ()),
    "injection": (
        (
            "ocinet.hooks.wrapper.injection",
            "ocinet.hooks.config.hook_entry",
            "ocinet.engine.model.naming",
            *_COMMON,
        ),
        ("ocinet.hooks.wrapper.create",),
    ),
    "attach": (_ATTACH, _COMMON),
    "names": (
        ("ocinet.engine.kernel.name_files", "ocinet.engine.plan.name_files"),
        (*_COMMON, *_ATTACH),
    ),
    "served": (("ocinet.engine.serving", *_SERVING), (*_COMMON, *_ATTACH)),
    "said": (_SAID, ("ocinet.hooks.entry.created", *_COMMON)),
    "access": (_ACCESS, (*_COMMON, *_ATTACH, *_SAID)),
    "linked": (_LINKED, (*_COMMON, *_ATTACH)),
    "lan": (_LAN, (*_COMMON, *_ATTACH)),
    "detach": (_DETACH, _COMMON),
    "unserved": (("ocinet.engine.plan.serving_steps", *_SERVING), (*_COMMON, *_DETACH)),
    "closing": (
        (*_ACCESS, "ocinet.engine.firewall.element_messages", "ocinet.engine.model.refused"),
        (*_COMMON, *_DETACH),
    ),
    "unlinked": (_LINKED, (*_COMMON, *_DETACH)),
    "unlan": (_UNLAN, (*_COMMON, *_DETACH)),
}
_SIZE = 4  # bytes of the size
_OPTIMIZE = 2  # without docstrings: a sixth less to read
_OURS = "ocinet."
_LOADER = "ocinet.hooks.preloaded"
_PACKAGE = "__init__.py"


class _Module(NamedTuple):
    """A module as it was read.

    Attributes:
        name: with its package's.
        path: of its source.
        imports: what it imports of ours when it is loaded: of each module its name, and
            what is imported under which name.
        code: compiled, without these imports.
    """

    name: str
    path: str
    imports: list[tuple[str, tuple[tuple[str, str], ...]]]
    code: CodeType

    @property
    def needed(self) -> Iterable[str]:
        """What is loaded before it, its package first; names in modules are among them."""
        yield self.name.rpartition(".")[0]
        for source, bound in self.imports:
            yield source
            yield from (f"{source}.{wanted}" for wanted, _alias in bound)

    @property
    def names(self) -> dict[str, object]:
        """What it finds in its namespace when its code begins to run."""
        if self.path.endswith(_PACKAGE):
            path = [os.path.dirname(self.path)]
            return {"__file__": self.path, "__package__": self.name, "__path__": path}
        return {"__file__": self.path, "__package__": self.name.rpartition(".")[0]}


def preload_path(script: str, part: str) -> str:
    """Return where a part for this interpreter is, as `hook.preload` has it.

    Args:
        script: path of an installation's `hook.py`.
        part: its name.
    """
    name = f"preload-{part}.{sys.implementation.cache_tag}.bin"
    return f"{os.path.dirname(script)}/__pycache__/{name}"


def refresh(script: str) -> bool:
    """Make the parts anew if one is not as the modules are; for this interpreter.

    Args:
        script: path of an installation's `hook.py`.

    Returns:
        False if there was nothing to do.

    Raises:
        OSError: a module can't be read, or a part can't be written; what was
            there is there still.
    """
    sweep_quietly(os.path.dirname(preload_path(script, "stage")))
    if all(_is_fresh(script, part) for part in PARTS):
        return False
    installation = _Installation(script.rsplit("/", 3)[0])
    *_, loader = installation.in_order((_LOADER,))
    home = os.path.dirname(script)
    awake = read_awake(home)
    for part, (wanted, loaded) in PARTS.items():
        there = installation.in_order(loaded)
        modules = [module for module in installation.in_order(wanted) if module not in there]
        marks = installation.marks((*modules, loader))
        code, asleep = _trimmed(modules, part, awake)
        what: Part = (home, list(marks), list(marks.values()), len(asleep), code)
        at_once = dumps((loader.code, what))
        size = len(at_once).to_bytes(_SIZE, "little")
        replace_file(preload_path(script, part), MAGIC_NUMBER + size + at_once + asleep)
    return True


def _trimmed(
    modules: Iterable[_Module], part: str, awake: Mapping[tuple[str, str], set[str]]
) -> tuple[list[Preloaded], bytes]:
    """Return what is loaded at once of a part, and those who sleep, marshalled by module."""
    trimmed: list[Preloaded] = []
    asleep = b""
    for module in modules:
        code, functions = put_to_sleep(module.code, awake.get((part, module.name), ()))
        theirs = dumps(functions)
        place = (len(asleep), len(theirs))
        trimmed.append((module.name, module.names, module.imports, code, place))
        asleep += theirs
    return trimmed, asleep


def _is_fresh(script: str, part: str) -> bool:
    try:
        with open(preload_path(script, part), "rb") as file:
            if file.read(len(MAGIC_NUMBER)) != MAGIC_NUMBER:
                return False
            size = int.from_bytes(file.read(_SIZE), "little")
            _loader, what = loads(file.read(size))  # noqa: S302  # as safe as a .pyc
            return is_current(os.path.dirname(script), what, file)
    except Exception:  # noqa: BLE001  # whatever is wrong with it, it is to be made anew
        return False


class _Installation:
    """The modules of an installation, each read once.

    Args:
        root: the folder that has `ocinet`.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._modules: dict[str, _Module | None] = {}
        self._marks: dict[str, tuple[int, int]] = {}

    def in_order(self, wanted: Iterable[str]) -> list[_Module]:
        """Return modules and all that they import, each behind what it imports itself."""
        order: list[_Module] = []
        seen: set[str] = set()

        def add(name: str) -> None:
            module = None if name in seen else self._module(name)
            seen.add(name)
            if module:
                for needed in module.needed:
                    add(needed)
                order.append(module)

        for name in wanted:
            add(name)
        return order

    def marks(self, modules: Iterable[_Module]) -> dict[str, tuple[int, int]]:
        """Return time and size of these modules, and of the folders that they are in."""
        paths = [module.path for module in modules]
        folders = dict.fromkeys(os.path.dirname(path) for path in paths)
        return {path: self._marks[path] for path in (*paths, *folders)}

    def _module(self, name: str) -> _Module | None:
        """Return a module; None if it is not ours, or a name in one."""
        if name not in self._modules:
            base = f"{self._root}/{name.replace('.', '/')}"
            paths = [f"{base}/{_PACKAGE}", f"{base}.py"] if name.startswith(_OURS) else []
            path = next(filter(os.path.isfile, paths), "")
            self._modules[name] = self._read(name, path) if path else None
        return self._modules[name]

    def _read(self, name: str, path: str) -> _Module:
        folder = os.path.dirname(path)
        # So that Python, where it has not made it yet, changes nothing of the folder later, and
        # whatever the umask is: Python makes it by that, and who can write there is root.
        cache = f"{folder}/__pycache__"
        with suppress(FileExistsError):
            os.mkdir(cache, 0o700)
            os.chmod(cache, 0o755)  # noqa: S103  # as it is installed, for all to read
        for place in (path, folder):  # noted before it is read: a change meanwhile shows
            status = os.stat(place)
            self._marks.setdefault(place, (status.st_mtime_ns, status.st_size))
        with open(path, "rb") as file:
            tree = ast.parse(file.read(), path)
        ours = [statement for statement in tree.body if _is_import_of_ours(statement)]
        tree.body = [statement for statement in tree.body if statement not in ours]
        imports = [
            (str(statement.module), tuple((a.name, a.asname or a.name) for a in statement.names))
            for statement in ours
        ]
        flags = annotations.compiler_flag  # the line that says so goes, too
        stripped = ast.fix_missing_locations(_Stripped().visit(tree))
        code = compile(stripped, path, "exec", flags, dont_inherit=True, optimize=_OPTIMIZE)
        return _Module(name, path, imports, code)


def _is_import_of_ours(statement: ast.stmt) -> TypeGuard[ast.ImportFrom]:
    if not isinstance(statement, ast.ImportFrom) or statement.level:
        return False
    return (statement.module or "").startswith(_OURS)


class _Stripped(ast.NodeTransformer):
    """Takes out what only type checkers read; classes need their annotations at run time.

    A twentieth of what an attach takes is spent on reading it.
    """

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        return None if node.module == "__future__" else node

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        # A name like any other to a compiler: what is under it would be loaded, never run.
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return [self.visit(statement) for statement in node.orelse]
        return self.generic_visit(node)


if __name__ == "__main__":
    refresh(f"{os.path.dirname(os.path.abspath(__file__))}/hook.py")
