"""The wrapper's imports are a budget, too: the hook's, and `_ctypes` where there is a child."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import ocinet.hooks
from hosts.interpreter import hook_budget, imported

if TYPE_CHECKING:
    from pathlib import Path


def test_wrapper_imports_nothing_beyond_the_hooks_budget() -> None:
    """A create that is wired costs what the hook's table says."""
    loaded = imported(
        "ocinet.hooks.wrapper.create", "ocinet.hooks.wrapper.injection", "ocinet.engine.lifecycle"
    )
    foreign = {name for name in loaded if name.partition(".")[0] != "ocinet"}
    assert foreign <= hook_budget(), f"beyond the budget: {sorted(foreign - hook_budget())}"


def test_create_that_is_not_ours_leaves_the_rest_out() -> None:
    """Under `default-runtime` most containers are Docker's: they wait for nothing of ours."""
    loaded = imported("ocinet.hooks.wrapper.create")
    assert not {name for name in loaded if name.startswith(("ocinet.engine", "ocinet.ipam"))}
    assert "ocinet.hooks.entry.stage" not in loaded
    assert "_socket" not in loaded


@pytest.mark.parametrize(("mode", "loads"), [("bridge", False), ("none", True)])
def test_container_with_a_network_of_dockers_waits_for_nothing(
    tmp_path: Path, mode: str, loads: bool
) -> None:
    """The wrapper becomes the runtime before it has imported what only our own need."""
    container = "ab" * 32
    place = tmp_path / "docker/containers" / container
    place.mkdir(parents=True)
    (place / "hostconfig.json").write_text(json.dumps({"NetworkMode": mode}))
    (place / "config.v2.json").write_text(json.dumps({"ID": container, "Config": {}}))
    config = {
        "root": {"path": f"{tmp_path}/docker/overlay2/x"},
        "linux": {"namespaces": [{"type": "network"}]},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    # Without a code archive, which loads modules without a word.
    hooks = next(iter(ocinet.hooks.__path__))
    skipped = shutil.ignore_patterns("__pycache__")
    shutil.copytree(hooks, tmp_path / "ocinet/hooks", ignore=skipped)
    for package in ("base", "ipam", "engine", "request"):
        (tmp_path / "ocinet" / package).symlink_to(f"{hooks}/../{package}")
    script = f"{tmp_path}/ocinet/hooks/hook.py"
    told = subprocess.run(
        [sys.executable, "-I", "-S", "-X", "importtime", script, "runtime",
         f"OCINET_RUN_DIR={tmp_path}/run", f"OCINET_CONFIG_DIR={tmp_path}/etc",
         "/bin/true", "run", "-b", str(tmp_path), container],
        check=True, capture_output=True, text=True, env={},
    ).stderr  # fmt: skip
    assert "ocinet.request.docker_files" in told
    assert ("ocinet.hooks.wrapper.injection" in told) is loads
