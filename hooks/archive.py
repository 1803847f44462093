"""The code archive: all that a hook may load, compiled, in one file.

    …/ocinet/hooks/__pycache__/archive.cpython-311.bin

    magic       4 bytes, of the interpreter's byte code, as in a .pyc
    head        the code of `finder.py`, and where everything is; marshalled
    modules     from HEAD on: the code of each, and of groups of them, marshalled

A hook loads some sixty modules, and to find them one by one in their folders
takes as long as all the wiring. So `hook.py` runs the finder, which takes them out
of this file. It is a cache like the files beside it: where
there is none, or it is another interpreter's, or a module has changed since,
modules are loaded as Python always does.
"""

from __future__ import annotations

import ast
import os
import sys
from importlib.util import MAGIC_NUMBER
from marshal import dumps, loads
from typing import TYPE_CHECKING, NamedTuple

from ocinet.base.atomic import replace_file

if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

HEAD = 1 << 16  # bytes: what `hook.py` reads at once
_PACKAGES = ("base", "ipam", "engine", "request", "hooks")
# What a script imports, and what that imports when there is something to do: each
# comes with all that it imports, less what those before it in its row have brought.
_ROWS = (
    ("ocinet.hooks.entry.stage", "ocinet.engine.engine"),
    ("ocinet.hooks.wrapper.create",),
)
_AT_ONCE = 8  # modules of a group in one piece: memory for more is new to the process
_OPTIMIZE = 2  # without docstrings: a sixth less to read


class Source(NamedTuple):
    """A module's file as it was seen.

    Attributes:
        path: below the folder that has `ocinet`.
        mtime_ns: time of its last change.
        size: bytes.
    """

    path: str
    mtime_ns: int
    size: int


def archive_path(script: str) -> str:
    """Return where the archive for this interpreter is.

    Args:
        script: path of an installation's `hook.py`.
    """
    name = f"archive.{sys.implementation.cache_tag}.bin"
    return f"{os.path.dirname(script)}/__pycache__/{name}"


def refresh(script: str) -> bool:
    """Make the archive anew if it is not as the modules are; for this interpreter.

    Args:
        script: path of an installation's `hook.py`.

    Returns:
        False if there was nothing to do.

    Raises:
        OSError: it can't be read or written; what was there is there still.
    """
    root = script.rsplit("/", 3)[0]
    path = archive_path(script)
    sources = _sources(root)  # noted before they are read: a change meanwhile shows
    if _archived(path) == sources:
        return False
    os.makedirs(os.path.dirname(path), exist_ok=True)
    replace_file(path, _content(root, sources), durable=False)
    return True


def _sources(root: str) -> dict[str, Source]:
    found = {}
    for package in _PACKAGES:
        for folder, _, files in os.walk(f"{root}/ocinet/{package}"):
            for file in sorted(name for name in files if name.endswith(".py")):
                path = f"{folder}/{file}"[len(root) + 1 :]
                status = os.stat(f"{root}/{path}")
                name = path[: -len(".py")].replace("/", ".").removesuffix(".__init__")
                found[name] = Source(path, status.st_mtime_ns, status.st_size)
    return found


def _archived(path: str) -> dict[str, Source]:
    """Return the sources that an archive was made of; none if it is not of this interpreter."""
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
        if not head.startswith(MAGIC_NUMBER):
            return {}
        _, modules, _ = loads(head[len(MAGIC_NUMBER) :])  # noqa: S302  as safe as a .pyc
    except (FileNotFoundError, EOFError, TypeError, ValueError):
        return {}  # it is to be made anew
    return {name: Source(*entry[:3]) for name, entry in modules.items()}


def _content(root: str, sources: dict[str, Source]) -> bytes:
    body = bytearray()

    def add(content: Any) -> tuple[int, int]:
        """Append to the body; returns offset and length."""
        data = dumps(content)
        body.extend(data)
        return HEAD + len(body) - len(data), len(data)

    texts = {name: _read(f"{root}/{source.path}") for name, source in sources.items()}
    codes = {name: _compiled(text, f"{root}/{sources[name].path}") for name, text in texts.items()}
    modules = {name: (*source, *add(codes[name])) for name, source in sources.items()}
    groups = {}
    for row in _ROWS:
        order: list[str] = []
        for first in row:
            start = len(order)
            _add_imports(first, texts, order)
            # Not itself: the import system is about to load it.
            group = [(name, codes[name]) for name in order[start:-1]]
            groups[first] = tuple(
                add(group[at : at + _AT_ONCE]) for at in range(0, len(group), _AT_ONCE)
            )
    finder = codes["ocinet.hooks.finder"]
    head = MAGIC_NUMBER + dumps((finder, modules, groups))
    if len(head) > HEAD:
        raise RuntimeError(f"an index of {len(modules)} modules is too long")
    return head.ljust(HEAD, b"\0") + body


def _add_imports(name: str, texts: dict[str, bytes], order: list[str]) -> None:
    """Add a module to the order in which modules are loaded, after all that it imports."""
    if name in order:
        return
    parent = name.rpartition(".")[0]
    if parent in texts:
        _add_imports(parent, texts, order)
    for statement in ast.parse(texts[name]).body:
        if isinstance(statement, ast.ImportFrom) and statement.module:
            names = [f"{statement.module}.{alias.name}" for alias in statement.names]
            for one in (statement.module, *names):
                if one in texts:
                    _add_imports(one, texts, order)
    order.append(name)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _compiled(text: bytes, path: str) -> CodeType:
    tree = _Unannotated().visit(ast.parse(text, path))
    flags = annotations.compiler_flag  # it stands in no module any more
    code: CodeType = compile(tree, path, "exec", flags, dont_inherit=True, optimize=_OPTIMIZE)
    return code


class _Unannotated(ast.NodeTransformer):
    """Takes out what only type checkers read, of functions: classes need theirs at run time."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        return None if node.module == "__future__" else node


if __name__ == "__main__":
    refresh(f"{os.path.dirname(os.path.abspath(__file__))}/hook.py")
