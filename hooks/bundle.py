"""Editing a bundle's `config.json`: our hooks, annotations and network namespace.

Here a request still can be met that a hook can't meet any more: `host` takes
the network namespace out of the spec, `container:X` points it at X's sandbox.
What stood there is kept in the annotation `ocinet.bundle`, and `remove` puts it
back. Everything that is not ours stays as it is: other hooks, unknown keys,
their order, the indentation.
"""

from __future__ import annotations

import copy
import fcntl
import json
import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ocinet.base.errors import OcinetError, RequestError, SystemFailure
from ocinet.engine.request import (
    BUNDLE,
    DEFAULT_REQUEST,
    PREFIX,
    SANDBOX,
    parse_annotations,
    to_annotations,
)
from ocinet.hooks.registration import DOWN_STAGE, UP_STAGES, is_ours
from ocinet.hooks.state import CONFIG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ocinet.engine.model import Attachment, Request
    from ocinet.hooks.registration import Registration

    Json = dict[str, Any]

_VERSION = 1
_NETWORK_SYSCTL = "net."


def add(
    bundle: str,
    request: Request | None,
    registration: Registration,
    find: Callable[[str], Attachment],
    *,
    netns_dir: str = "/run/netns",
    stage: str = UP_STAGES[0],
) -> bool:
    """Make a bundle's containers ask for a network, and get it.

    Can be repeated: a later call replaces an earlier one.

    Args:
        bundle: its directory.
        request: None means what its annotations ask for already, else the
            default network.
        registration: what the runtime shall run.
        find: resolves the target of `container:`, by id or name.
        netns_dir: where sandboxes have names.
        stage: createRuntime, or prestart for runtimes older than spec 1.0.2.

    Returns:
        False if it was like that already.

    Raises:
        RequestError: there is no legal `config.json`, or its own annotations
            are not legal, or the target can't be shared.
        SystemFailure: it can't be written; it is as it was then.
    """
    what = f"cannot add the hook to {bundle}"
    if stage not in UP_STAGES:
        raise RequestError(what, f"{stage!r} is no stage", f"use {' or '.join(UP_STAGES)}")

    def change(config: Json) -> Json:
        plain = restore(config)
        kept = {key: text for key, text in _ours(plain).items() if key not in (SANDBOX, BUNDLE)}
        wanted = request or parse_annotations(kept) or DEFAULT_REQUEST
        annotations = kept if kept and request is None else to_annotations(wanted)
        path = ""
        if wanted.mode == "container":
            path, annotations[SANDBOX] = _locate(wanted.target, find, netns_dir)
        entries = {name: registration.entry(name) for name in (stage, DOWN_STAGE)}
        return apply(plain, wanted.mode, annotations, entries, netns_path=path)

    return _edit(bundle, change, what)


def remove(bundle: str) -> bool:
    """Put back what `add` found.

    Returns:
        False if there was nothing of ours in it.

    Raises:
        RequestError: there is no legal `config.json`.
        SystemFailure: it can't be written; it is as it was then.
    """
    return _edit(bundle, restore, f"cannot remove the hook from {bundle}")


def apply(
    config: Json, mode: str, annotations: dict[str, str], entries: Json, *, netns_path: str = ""
) -> Json:
    """Return a config with our part in it; `restore` is its inverse.

    Args:
        config: one without our part.
        mode: of the request: host, container, bridge or none.
        annotations: ours, all of them but `ocinet.bundle`.
        entries: hook entries by stage.
        netns_path: with mode container, the sandbox to join.

    Raises:
        RequestError: a part of `config` is not what the runtime-spec says.
    """
    config = copy.deepcopy(config)
    saved: Json = {"version": _VERSION, "made": [], "null": [], "annotations": _ours(config)}
    linux = config.get("linux")
    if not isinstance(linux, dict):
        raise RequestError("", f"{CONFIG} has no linux section")
    _edit_network(linux, mode, netns_path, saved)
    if mode in ("host", "container"):
        _drop_sysctls(linux, saved)
    hooks = _ensure(config, "hooks", {}, saved, "hooks")
    for stage, entry in entries.items():
        listed = _ensure(hooks, stage, [], saved, f"hooks.{stage}")
        # runc skips the poststop hooks after one that fails: ours goes first.
        listed.insert(0 if stage == DOWN_STAGE else len(listed), entry)
    present = _ensure(config, "annotations", {}, saved, "annotations")
    for key in [key for key in present if key.startswith(PREFIX) and key not in annotations]:
        del present[key]
    present.update(annotations)
    present[BUNDLE] = json.dumps(saved, separators=(",", ":"))
    return config


def restore(config: Json) -> Json:
    """Return a config as it was before `apply`; without our part, as it is.

    Raises:
        RequestError: what `apply` has kept can't be read any more.
    """
    config = copy.deepcopy(config)
    text = _ours(config).get(BUNDLE)
    hooks = config.get("hooks")
    for listed in hooks.values() if isinstance(hooks, dict) else ():
        if isinstance(listed, list):
            listed[:] = [entry for entry in listed if not is_ours(entry)]
    if text is None:
        return config
    try:
        saved = json.loads(text)
        if saved["version"] != _VERSION:
            raise ValueError(f"version {saved['version']}")
        _restore_parts(config, saved)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"its annotation {BUNDLE} can't be read: {error}"
        hint = "take the ocinet.* annotations and hooks out by hand"
        raise RequestError("", why, hint) from error
    return config


def _restore_parts(config: Json, saved: Json) -> None:
    annotations = config["annotations"]
    before = saved["annotations"]
    for key in [key for key in annotations if key.startswith(PREFIX) and key not in before]:
        del annotations[key]
    annotations.update(before)
    linux = config["linux"]
    if "network" in saved:
        entry, index = saved["network"]["entry"], saved["network"]["index"]
        namespaces = [one for one in linux["namespaces"] if one.get("type") != "network"]
        if entry is not None:
            namespaces.insert(index, entry)
        linux["namespaces"] = namespaces
    if "sysctl" in saved:
        linux["sysctl"] = {**(linux.get("sysctl") or {}), **saved["sysctl"]}
    for name in (*(f"hooks.{stage}" for stage in (*UP_STAGES, DOWN_STAGE)),
                 "hooks", "annotations", "linux.namespaces"):  # fmt: skip
        parent, key = _parent_of(config, name)
        if isinstance(parent, dict) and key in parent and not parent[key]:
            if name in saved["made"]:
                del parent[key]
            elif name in saved["null"]:
                parent[key] = None


def _parent_of(config: Json, name: str) -> tuple[Any, str]:
    head, dot, tail = name.partition(".")
    return (config.get(head), tail) if dot else (config, head)


def _ensure(parent: Json, key: str, empty: Any, saved: Json, name: str) -> Any:
    """Return `parent[key]`, made if it is not there or null, which is noted."""
    if parent.get(key) is None:
        saved["null" if key in parent else "made"].append(name)
        parent[key] = empty
    if type(parent[key]) is not type(empty):
        kind = "object" if isinstance(empty, dict) else "list"
        raise RequestError("", f"{name} in {CONFIG} is no {kind}")
    return parent[key]


def _ours(config: Json) -> dict[str, str]:
    annotations = config.get("annotations")
    if not isinstance(annotations, dict):
        return {}
    return {key: text for key, text in annotations.items() if key.startswith(PREFIX)}


def _edit_network(linux: Json, mode: str, netns_path: str, saved: Json) -> None:
    """Make the network namespace's entry what the mode needs."""
    namespaces = _ensure(linux, "namespaces", [], saved, "linux.namespaces")
    found = [
        (index, entry)
        for index, entry in enumerate(namespaces)
        if isinstance(entry, dict) and entry.get("type") == "network"
    ]
    if len(found) > 1:
        raise RequestError("", f"{CONFIG} has {len(found)} network namespaces")
    index, entry = found[0] if found else (len(namespaces), None)
    if mode == "host":
        wanted = None
    elif mode == "container":
        wanted = {**(entry or {"type": "network"}), "path": netns_path}
    elif entry is not None and not entry.get("path"):
        wanted = entry
    else:
        wanted = {key: value for key, value in (entry or {}).items() if key != "path"}
        wanted["type"] = "network"
    if wanted != entry:
        saved["network"] = {"index": index, "entry": entry}
        namespaces[index : index + 1] = [] if wanted is None else [wanted]


def _drop_sysctls(linux: Json, saved: Json) -> None:
    """Take out settings of a network that is not the container's own.

    runc refuses them in the host's namespace; in another container's, they
    would change that one's network.
    """
    sysctls = linux.get("sysctl")
    if isinstance(sysctls, dict):
        dropped = {key: sysctls[key] for key in sysctls if key.startswith(_NETWORK_SYSCTL)}
        if dropped:
            saved["sysctl"] = dropped
            linux["sysctl"] = {key: sysctls[key] for key in sysctls if key not in dropped}


def _locate(target: str, find: Callable[[str], Attachment], netns_dir: str) -> tuple[str, str]:
    """Return path and identity of the sandbox that a container is in."""
    attachment = find(target)
    if attachment.member_of:
        attachment = find(attachment.member_of)
    if attachment.mode == "host":
        raise RequestError("", f"{target} uses the host's network", "use --net host for that")
    if not attachment.netns_name:
        raise RequestError("", f"the sandbox of {target} has no name under {netns_dir}",
                           f"ocinet detach {target}, and attach it again")  # fmt: skip
    path = f"{netns_dir}/{attachment.netns_name}"
    try:
        status = os.stat(path)
    except OSError as error:
        raise RequestError("", f"{target} is not running: {path}: {error.strerror}",
                           f"start {target} first") from error  # fmt: skip
    if f"{status.st_dev}:{status.st_ino}" != attachment.sandbox:
        raise RequestError("", f"{path} is no longer the sandbox of {target}", f"restart {target}")
    return path, attachment.sandbox


def _edit(bundle: str, change: Callable[[Json], Json], what: str) -> bool:
    """Read, change and replace a bundle's config; False if nothing changes."""
    path = os.path.realpath(f"{bundle}/{CONFIG}")
    try:
        with _locked(os.path.dirname(path)) as directory:
            with open(path, "rb") as file:
                data, status = file.read(), os.fstat(file.fileno())
            config = _parse(data)
            changed = change(config)
            if changed == config:
                return False
            _replace(path, _render(changed, data.decode()), status, directory)
    except OcinetError as error:
        raise error.within(what) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RequestError(what, f"there is no {path}", "runc spec makes one") from error
    except OSError as error:
        raise SystemFailure(what, f"{path}: {error.strerror}") from error
    return True


def _parse(data: bytes) -> Json:
    try:
        config = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RequestError("", f"{CONFIG} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise RequestError("", f"{CONFIG} is no JSON object")
    return config


def _render(config: Json, like: str) -> str:
    """Render a config with the indentation and line end of its former text."""
    indented = re.match(r"\s*\{\n([ \t]+)", like)
    spaced = re.search(r'^[^"]*"[^"]*":(\s)', like)
    colon = ": " if indented or spaced else ":"
    comma = "," if indented else f",{' ' if spaced else ''}"
    text = json.dumps(config, ensure_ascii=False, separators=(comma, colon),
                      indent=indented[1] if indented else None)  # fmt: skip
    return text + ("\n" if like.endswith("\n") else "")


@contextmanager
def _locked(directory: str) -> Iterator[int]:
    """Keep other edits of the same bundle out; yields the open directory."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield fd
    finally:
        os.close(fd)


def _replace(path: str, text: str, status: os.stat_result, directory: int) -> None:
    """Replace a file at once, on disk, with its owner and mode."""
    temporary = f"{path}.ocinet-{os.getpid()}"
    try:
        with open(temporary, "x", encoding="utf-8", newline="") as file:
            os.fchmod(file.fileno(), status.st_mode & 0o7777)
            os.fchown(file.fileno(), status.st_uid, status.st_gid)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except BaseException:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        raise
    os.fsync(directory)
