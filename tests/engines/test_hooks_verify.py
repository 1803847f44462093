"""`hooks verify` runs the registered hook for real, and harms nothing."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocinet.hooks.config.hook_entry import SEARCH_PATH
from ocinet.hooks.registration.bundle import add
from ocinet.hooks.registration.installation import resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from hosts.lab.machine import Lab

_VERIFY = """\
import json, sys
from ocinet.hooks.registration.verify import verify_bundle
found = verify_bundle(sys.argv[1], {})
print(json.dumps([[finding.ok, finding.what] for finding in found]))
"""


def _verify(lab: Lab, bundle: Path) -> list[tuple[bool, str]]:
    result = lab.run(sys.executable, "-I", "-c", _VERIFY, str(bundle))
    return [(ok, what) for ok, what in json.loads(result.stdout)]


def _registered(lab: Lab, change: Callable[[dict[str, Any]], object] = lambda _: None) -> Path:
    bundle = lab.bundle("web")
    add(str(bundle.path), None, resolve({}), lambda _: None)  # type: ignore[arg-type, return-value]  # nobody is asked for
    bundle.edit(change)
    return Path(bundle.path)


def test_verify_runs_both_stages_and_leaves_no_trace(lab: Lab) -> None:
    """eth0 appears in a container and goes, and the machine is as before."""
    bundle = _registered(lab)
    before = lab.snapshot()

    found = _verify(lab, bundle)

    assert [ok for ok, _ in found] == [True, True, True]
    assert "createRuntime gave eth0 10.72.0.2/24" in found[1][1]
    assert found[2][1] == "poststop left nothing behind"
    lab.assert_unchanged(before)


def test_verify_of_hook_with_empty_environment_still_runs_it(lab: Lab) -> None:
    """The trial gives the hook what is registered: with `env: []`, nothing at all."""
    bundle = _registered(lab, lambda config: config["hooks"]["createRuntime"][0].update(env=[]))

    flaws = [what for ok, what in _verify(lab, bundle) if not ok]

    assert flaws[0] == "createRuntime: its environment has no PATH, and nft is found by it"
    assert all("internal error" not in flaw for flaw in flaws)


def test_verify_of_broken_settings_tells_file_and_key(lab: Lab) -> None:
    """The operator's settings are tried as well: a typo in them would stop every start."""
    bundle = _registered(lab)
    lab.run("sh", "-c", "mkdir -p /etc/ocinet && echo 'ipv7 = true' > /etc/ocinet/ocinet.toml")

    flaws = [what for ok, what in _verify(lab, bundle) if not ok]

    lab.run("rm", "-r", "/etc/ocinet")
    assert len(flaws) == 1
    assert "createRuntime failed (exit status 1): ocinet: " in flaws[0]
    assert "unknown key 'ipv7'" in flaws[0]


def test_verify_of_hook_that_crashes_or_does_nothing_says_so(lab: Lab) -> None:
    """What runs but wires nothing is no hook."""

    def spoil(config: dict[str, Any], script: str) -> None:
        path = lab.directory / "ocinet/hooks/hook.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script)
        config["hooks"]["createRuntime"][0]["args"][3] = str(path)

    bundle = _registered(lab, lambda config: spoil(config, "raise SystemExit(3)"))
    assert "createRuntime failed (exit status 3): without a word" in _verify(lab, bundle)[-1][1]
    _registered_script = lab.directory / "ocinet/hooks/hook.py"
    _registered_script.write_text("")
    assert "made no eth0 with an address" in _verify(lab, bundle)[-1][1]
    _registered_script.write_text("print('hello')")
    assert "ended well, but said: hello" in _verify(lab, bundle)[-1][1]


def test_verify_without_ip_says_what_to_install(lab: Lab) -> None:
    """Its scratch machine is made by scripts, which could only fail."""
    bundle = _registered(lab)
    found = shutil.which("ip", path=SEARCH_PATH)
    assert found
    tool = os.path.realpath(found)
    lab.run("mount", "--bind", "/dev/null", tool)
    try:
        result = lab.ocinet("hooks", "verify", str(bundle), check=False)
    finally:
        lab.run("umount", tool)

    assert result.status == 1
    assert "ip is missing" in result.stderr + result.stdout
    assert "install iproute2" in result.stderr + result.stdout
