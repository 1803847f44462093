"""The walls between the rooms hold: an import that goes through one is seen."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PACKAGES = ("base", "ipam", "engine", "request", "picture", "hooks", "watcher", "cluster", "cli")

_LAYERS = "imports point downward only"
_DOORS = "hooks and watcher are two doors: neither knows the other"
_ROOMS = "the engine's transactions stand on its rooms, and these on values"
_VALUES = "a request knows the engine by its values alone"
_APART = "hooks and picture: neither knows the other"
_PURE = "what decides does nothing"
_ACYCLIC = "no circle, in any room"

# The contract that forbids it, a module, and what it is made to import.
_BREACHES = [
    (_LAYERS, "base.names", "ocinet.ipam.pool"),
    (_DOORS, "hooks.entry.state", "ocinet.watcher.logs"),
    (_ROOMS, "engine.kernel.sysctl", "ocinet.engine.firewall.table"),
    (_ROOMS, "engine.netlink.framing", "ocinet.engine.kernel.sysctl"),
    (_ROOMS, "engine.firewall.table", "ocinet.engine.gc"),
    (_VALUES, "request.podman_files", "ocinet.engine.records.settings"),
    (_PURE, "engine.plan.detach", "ocinet.engine.kernel.links"),
    (_PURE, "engine.model.network", "ocinet.base.files"),
    (_PURE, "engine.ruleset.nft", "posix"),
    (_PURE, "request.grammar", "socket"),
    (_PURE, "picture.values", "socket"),
    (_APART, "picture.observe", "ocinet.hooks.entry.state"),
    (_ACYCLIC, "base.value", "ocinet.base.address"),
]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return what is told of each contract, of a copy of the product with every breach in it."""
    tree = tmp_path_factory.mktemp("walls")
    for package in _PACKAGES:
        shutil.copytree(
            _ROOT / package, tree / "ocinet" / package, ignore=shutil.ignore_patterns("*.pyc")
        )
    shutil.copy(_ROOT / "pyproject.toml", tree)
    for _contract, importer, imported in _BREACHES:
        file = tree / "ocinet" / f"{importer.replace('.', '/')}.py"
        file.write_text(f"{file.read_text()}\nimport {imported}\n")
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"],
        cwd=tree, env={"PYTHONPATH": str(tree), "COLUMNS": "200"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    details = done.stdout.partition("Broken contracts\n")[2]
    parts = re.split(r"\n(.+)\n-{5,}\n", details)  # a contract's name is underlined
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize(("contract", "importer", "imported"), _BREACHES)
def test_import_through_a_wall_is_told(
    told: dict[str, str], contract: str, importer: str, imported: str
) -> None:
    """The contract that it breaks is named, and who imports what."""
    if contract == _ACYCLIC:  # which names those that stand side by side
        importer, imported = importer.partition(".")[2], imported.rpartition(".")[2]
        assert f".{importer} -> .{imported} " in told[contract]
    else:
        assert f"- ocinet.{importer} -> {imported} " in told[contract].replace("-   ", "- ")


def test_no_module_is_longer_than_can_be_read_at_once() -> None:
    """400 lines: what grows beyond that holds two things by then."""
    lengths = {
        str(path.relative_to(_ROOT)): len(path.read_text().splitlines())
        for package in _PACKAGES
        for path in (_ROOT / package).rglob("*.py")
    }
    assert len(lengths) > 100, "the product was not found"
    assert {name: length for name, length in lengths.items() if length > 400} == {}
