"""What the command imports before it has done anything: that is most of what a user waits for."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import ocinet.cli

if TYPE_CHECKING:
    from pathlib import Path

# As the console script, but without what it imports itself, and with its path at the end.
_RUN = """\
import sys
bare = set(sys.modules)
root, told, *arguments = sys.argv[1:]
sys.path.append(root)
from ocinet.cli.main import main
if arguments == ["--help"]:
    code = main(arguments)
else:
    import os
    from ocinet.cli.console import Console
    code = main(arguments, Console(os.environ, is_root=True))
names = sorted(set(sys.modules) - bare)
with open(told, "w") as file:
    file.write("\\n".join(names))
sys.exit(code)
"""
# Each costs a tenth of a bare interpreter's start, or much more.
DEAR = {
    "asyncio", "bz2", "ctypes", "dataclasses", "datetime", "difflib", "docker", "inspect",
    "ipaddress", "json", "logging", "lzma", "pathlib", "platform", "pyroute2", "shutil",
    "socket", "structlog", "subprocess", "tempfile", "threading", "tomllib", "typing",
}  # fmt: skip


def _imported(tmp_path: Path, *arguments: str) -> set[str]:
    """Return what a run of the command imports, the interpreter's own modules left out."""
    root = next(iter(ocinet.cli.__path__)).rsplit("/", 2)[0]
    told = tmp_path / "told"
    names = ("RUN", "STATE", "CONFIG")
    environment = {f"OCINET_{name}_DIR": str(tmp_path / name) for name in names}
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", _RUN, root, str(told), *arguments],
        check=True, stdout=subprocess.PIPE, env=environment,
    )  # fmt: skip
    return set(told.read_text().splitlines())


def test_help_imports_nothing_but_the_list_of_commands(tmp_path: Path) -> None:
    """Neither argparse nor the engine: it is text."""
    imported = _imported(tmp_path, "--help")

    assert {name for name in imported if name.startswith("ocinet.")} <= {
        "ocinet.base", "ocinet.base.errors", "ocinet.base.names", "ocinet.base.value",
        "ocinet.cli", "ocinet.cli.command_tree", "ocinet.cli.main",
    }  # fmt: skip
    assert "argparse" not in imported
    assert not imported & DEAR


def test_ps_imports_nothing_dear(tmp_path: Path) -> None:
    """Looking at records needs no JSON library, no archive formats, no type hints."""
    imported = _imported(tmp_path, "ps")

    assert "argparse" in imported
    assert not imported & DEAR
