"""Does the registered hook work? Look at the registration, then run it as a runtime would.

podman skips a hook whose file is missing, without a word; an empty environment
or a wrong right shows at the next start. Here it shows before.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from ocinet.base.errors import OcinetError
from ocinet.base.names import did_you_mean
from ocinet.base.paths import VARIABLES, Paths
from ocinet.engine.known import find_record
from ocinet.engine.model.request import DEFAULT_NETWORK
from ocinet.engine.records.attachments import AttachmentStore
from ocinet.engine.records.networks import NetworkStore
from ocinet.hooks.config.config_edit import asked_in
from ocinet.hooks.entry.call import FROM_HOOKS_DIR
from ocinet.hooks.entry.engine_access import TIMEOUT_S
from ocinet.hooks.registration import cdi_specs, hooks_dir
from ocinet.hooks.registration.installation import code_flaws, write_flaws
from ocinet.hooks.registration.trial_run import try_out
from ocinet.request.annotations import SANDBOX, parse_annotations
from ocinet.request.cdi import KIND
from ocinet.request.config_json import CONFIG, DEVICE, DOWN_STAGE, UP_STAGES, is_our_hook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    Json = dict[str, Any]

_REINSTALL = "register it again: ocinet hooks install"
_INSTALL_CDI = "register them again: ocinet hooks install --cdi"
_ADD_AGAIN = "register it again: ocinet hooks add BUNDLE"
_MOST_FLAWS = 5  # of one installation: they have one cause
_SAMPLE_KEYS = ("ocinet.net", "ocinet.publish", "ocinet.tpyo", '"ocinet.net')


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: one clause.
        hint: how to mend it, or "".
        ok: whether it is as it must be.
    """

    what: str
    hint: str = ""
    ok: bool = False


def verify_bundle(
    bundle: str,
    environment: Mapping[str, str] = os.environ,
    trial: Callable[[Json, Json], list[str]] = try_out,
) -> tuple[Finding, ...]:
    """Check a bundle's registration and try it out.

    Args:
        bundle: its directory.
        environment: of the operator, whose directories the hook should use.
        trial: runs up and down; see `trial.try_out`.
    """
    path = f"{bundle}/{CONFIG}"
    try:
        with open(path, "rb") as file:
            config = json.load(file)
        listed = config.get("hooks") or {}
        entries = {
            stage: [entry for entry in listed.get(stage) or () if is_our_hook(entry)]
            for stage in (*UP_STAGES, DOWN_STAGE)
        }
    except (OSError, ValueError, AttributeError, TypeError) as error:
        return (Finding(f"{path} can't be read: {error}", "runc spec makes one"),)
    insecure = (Finding(flaw, "chown and chmod it to root alone") for flaw in write_flaws(path))
    flaws = request_flaws(bundle, Paths.from_environment(environment))
    return (*insecure, *flaws, *_verify(entries, path, _ADD_AGAIN, environment, trial))


def request_flaws(bundle: str, paths: Paths) -> Iterator[Finding]:
    """Tell what a bundle asks for in vain, as things stand; a trial does not show it.

    Args:
        bundle: its directory; nothing is said of one that can't be read.
        paths: where networks and records are.
    """
    try:
        with open(f"{bundle}/{CONFIG}", "rb") as file:
            config = json.load(file)
            annotations = dict(config.get("annotations") or {})
    except (OSError, ValueError, AttributeError, TypeError):
        return
    try:
        request = parse_annotations(asked_in(config))
        if request is None:
            return
        store = NetworkStore(paths)
        for name in [endpoint.network for endpoint in request.endpoints]:
            if name != DEFAULT_NETWORK and not store.find(name):
                near = did_you_mean(name, (*store.names(), DEFAULT_NETWORK))
                hint = near or f"make it with: ocinet network create {name}"
                yield Finding(f"it asks for the network {name}, which is not there", hint)
        if request.mode == "container":
            record = find_record(AttachmentStore(paths), request.target)
            if annotations.get(SANDBOX) != record.sandbox:
                yield Finding(f"its sandbox is not that of {request.target} any more", _ADD_AGAIN)
    except OcinetError as error:
        yield Finding(str(error.within("what it asks for")))


def verify_directory(
    directory: str = hooks_dir.HOOKS_DIR,
    environment: Mapping[str, str] = os.environ,
    trial: Callable[[Json, Json], list[str]] = try_out,
    *,
    podman: bool = True,
) -> tuple[Finding, ...]:
    """Check the registration in a hooks directory and try it out.

    Args:
        directory: where `hooks install` put it.
        environment: of the operator, whose directories the hook should use.
        trial: runs up and down; see `trial.try_out`.
        podman: whether it must be one that podman reads.
    """
    hint = _REINSTALL + (" --podman" if podman else f" --hooks-dir {directory}")
    findings, entries = [], {}
    # By the flaw, for what is wrong with a directory is wrong for both files.
    insecure: dict[str, None] = {}
    for name in hooks_dir.NAMES:
        path, stage = hooks_dir.hook_file(directory, name), hooks_dir.stage_of(name)
        if os.path.lexists(path):
            insecure.update(dict.fromkeys(write_flaws(path)))
            try:
                document = hooks_dir.read_hook(path)
            except OcinetError as error:
                findings.append(Finding(str(error), hint))
                continue
            flaws = [*_document_flaws(document, stage)]
            if name == hooks_dir.POD:  # beside the other of its stage
                flaws += entry_flaws(document["hook"], stage, environment)
                if document.get("when") != hooks_dir.POD_CONDITION:
                    flaws.append("its condition is not that of pods")
            else:
                flaws += _condition_flaws(document)
                entries[stage] = [document["hook"]]
            findings += [Finding(f"{path}: {flaw}", hint) for flaw in flaws]
    findings += [Finding(flaw, "what root runs, only root may write") for flaw in insecure]
    try:
        unheeded = hooks_dir.hindrances(directory, "", environment) if podman else ()
        findings += [Finding(warning) for warning in unheeded]
    except OcinetError as error:
        findings.append(Finding(str(error), error.hint))
    return (*findings, *_verify(entries, directory, hint, environment, trial))


def verify_cdi(
    directory: str,
    networks: Iterable[str],
    environment: Mapping[str, str] = os.environ,
    trial: Callable[[Json, Json], list[str]] = try_out,
) -> tuple[Finding, ...]:
    """Check the CDI devices of all networks, and try the default network's out.

    Args:
        directory: where `hooks install --cdi` put them.
        networks: those that are defined.
        environment: of the operator, whose directories the hook should use.
        trial: runs up and down; see `trial.try_out`.
    """
    path = cdi_specs.spec_file(directory)
    try:
        devices = cdi_specs.read_devices(directory)
    except OcinetError as error:
        return (Finding(str(error), _INSTALL_CDI),)
    findings = [Finding(flaw, "what root runs, only root may write") for flaw in write_flaws(path)]
    findings += [Finding(warning) for warning in cdi_specs.unread(directory)]
    expected = {DEFAULT_NETWORK, *filter(cdi_specs.is_device_name, networks)}
    findings += [
        Finding(f"{path} has no device for the network {name}", _INSTALL_CDI)
        for name in sorted(expected - set(devices))
    ]
    for name, entries in devices.items():
        where = f"the device {KIND}={name}"
        if name not in expected:
            findings.append(Finding(f"{where} is of a network that is not there", _INSTALL_CDI))
        findings += [
            Finding(f"{where} gives another network", _INSTALL_CDI)
            for listed in entries.values()
            for entry in listed
            if f"{DEVICE}{name}" not in entry["args"][5:]
        ]
        if name == DEFAULT_NETWORK:  # the only one that a scratch host can have
            findings += _verify(entries, where, _INSTALL_CDI, environment, trial)
        else:
            findings += _look(entries, where, _INSTALL_CDI, environment)
    return tuple(dict.fromkeys(findings))  # what is wrong with one is wrong with all of them


def entry_flaws(entry: Json, stage: str, environment: Mapping[str, str]) -> Iterator[str]:
    """Tell what is wrong with a hook entry, as far as it can be seen without running it."""
    interpreter, script = str(entry.get("path", "")), str(entry["args"][3])
    for path in (interpreter, script):
        yield from write_flaws(path)
    yield from (f"{flaw.what} ({flaw.remedy})" for flaw in islice(code_flaws(script), _MOST_FLAWS))
    if os.path.isfile(interpreter) and not os.access(interpreter, os.X_OK):
        yield f"{interpreter} is not executable"
    if os.path.isfile(interpreter) and os.path.realpath(interpreter) != interpreter:
        yield f"{interpreter} is a link to {os.path.realpath(interpreter)}, which may be moved"
    if entry["args"][4:5] != [stage]:
        yield f"its arguments are for {' '.join(map(str, entry['args'][4:5])) or 'no stage'}"
    timeout = entry.get("timeout")
    # In seconds. A runtime kills the hook then, and what was begun would stay.
    if type(timeout) is not int or timeout <= TIMEOUT_S:
        yield f"its timeout is {timeout}: the hook needs up to {TIMEOUT_S:g} s to undo a failure"
    variables = dict(str(line).partition("=")[::2] for line in entry.get("env") or ())
    if "PATH" not in variables:
        yield "its environment has no PATH, and nft is found by it"
    for name in VARIABLES:
        if variables.get(name, "") != environment.get(name, ""):
            yield f"its {name} is {variables.get(name)!r}, yours is {environment.get(name)!r}"


def _verify(
    entries: Mapping[str, list[Json]],
    where: str,
    hint: str,
    environment: Mapping[str, str],
    trial: Callable[[Json, Json], list[str]],
) -> tuple[Finding, ...]:
    """Check the entries of all stages, and try the first of each kind out."""
    findings = _look(entries, where, hint, environment)
    up_stage = next((stage for stage in UP_STAGES if entries.get(stage)), "")
    if not up_stage or not entries.get(DOWN_STAGE):
        return findings
    try:
        seen = trial(entries[up_stage][0], entries[DOWN_STAGE][0])
    except OcinetError as error:
        return (*findings, Finding(f"{error.what}: {error.why}", error.hint))
    return (*findings, *(Finding(line, ok=True) for line in seen))


def _look(
    entries: Mapping[str, list[Json]], where: str, hint: str, environment: Mapping[str, str]
) -> tuple[Finding, ...]:
    """Check the entries of all stages without running them."""
    registered = {stage: listed for stage, listed in entries.items() if listed}
    up_stage = next((stage for stage in UP_STAGES if stage in registered), UP_STAGES[0])
    missing = [stage for stage in (up_stage, DOWN_STAGE) if stage not in registered]
    if missing:
        return (Finding(f"{where} has no hook of ocinet for {' and '.join(missing)}", hint),)
    findings = [Finding(f"{where} has the hook for {' and '.join(registered)}", ok=True)]
    for stage, listed in registered.items():
        if len(listed) > 1:
            findings.append(Finding(f"{stage} has it {len(listed)} times", hint))
        findings += [
            Finding(f"{stage}: {flaw}", hint) for flaw in entry_flaws(listed[0], stage, environment)
        ]
    return tuple(findings)


def _document_flaws(document: Json, stage: str) -> Iterator[str]:
    """Tell what is wrong with a file of a hooks directory, its entry apart."""
    if document.get("stages") != [stage]:
        yield f"its stages are {document.get('stages')}"
    # podman merges the annotations of an image's manifest into the container's.
    if FROM_HOOKS_DIR not in document["hook"]["args"]:
        yield f"its arguments lack {FROM_HOOKS_DIR}: images could ask for ports of the host"


def _condition_flaws(document: Json) -> Iterator[str]:
    """Tell whether a file's condition leaves out who asks, or meets others."""
    when = document.get("when") or {}
    if when.get("always") is True:
        return
    patterns = when.get("annotations") or {}
    # The last two are typos, which the hook must get to see: podman minds no key of ours.
    for key in _SAMPLE_KEYS:
        if not any(re.search(pattern, key) for pattern in patterns):
            yield f"its condition leaves containers with {key} out"
    # podman searches for these patterns anywhere in a key (Go's regexp, unanchored).
    if any(re.search(pattern, "my-ocinet.net") for pattern in patterns):
        yield "its condition is not anchored: it meets keys of others"
