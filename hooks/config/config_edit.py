"""What is ours in a `config.json`: put into it, told apart, and taken out again.

Pure, and on the path of every create: the runtime wrapper edits a config before
the runtime reads it, as `ocinet hooks add` does long before. What stood there is
kept in the annotation `ocinet.bundle`, for `restore`. No config that is given is
changed: parts that change are copies, all others are shared.
"""

from __future__ import annotations

import posix

from ocinet.base.errors import RequestError
from ocinet.base.jsontext import dumps, loads
from ocinet.request.annotations import BUNDLE, SANDBOX, is_ours
from ocinet.request.config_json import CONFIG, DOWN_STAGE, UP_STAGES, hooks_of, is_our_hook
from ocinet.request.grammar import BLANK, HOSTNAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ocinet.engine.model.attachment import Attachment

    Json = dict[str, Any]

BY_HAND, BY_WRAPPER = "", "wrapper"
_VERSION = 1
_NETWORK = "network"
_NETWORK_SYSCTL = "net."


def apply(
    config: Json,
    mode: str,
    annotations: dict[str, str],
    entries: Json,
    *,
    netns_path: str = "",
    by: str = BY_HAND,
) -> Json:
    """Return a config with our part in it; `restore` is its inverse.

    Args:
        config: one without our part.
        mode: of the request: host, container, bridge or none; "" leaves the
            network namespace as it is.
        annotations: ours, all of them but `ocinet.bundle`; of these the runtime itself
            does what `ocinet.hostname` says.
        entries: hook entries by stage.
        netns_path: with mode container, the sandbox to join.
        by: who does it: `BY_HAND` for as long as the bundle lives, `BY_WRAPPER`
            for one create.

    Raises:
        RequestError: a part of `config` is not what the runtime-spec says.
    """
    config = {**config}
    saved: Json = {"version": _VERSION, "by": by, "made": [], "null": [],
                   "annotations": our_annotations(config)}  # fmt: skip
    linux = config.get("linux")
    if not isinstance(linux, dict):
        raise RequestError("", f"{CONFIG} has no linux section")
    linux = config["linux"] = {**linux}
    if mode:
        _edit_network(linux, mode, netns_path, saved)
    # In the same edit as the namespace: with Docker's `net.*` settings and its hook left in, the
    # host's IPv6 addresses were wiped.
    if mode in ("host", "container"):
        _drop_sysctls(linux, saved)
    if HOSTNAME in annotations and _has_own_hostname(linux):
        from ocinet.base.dns_names import dns_name  # for the few that wish one

        saved["hostname"] = config.get("hostname")
        config["hostname"] = dns_name(annotations[HOSTNAME].strip(BLANK))
    hooks = _ensure(config, "hooks", {}, saved, "hooks")
    for stage, entry in entries.items():
        listed = _ensure(hooks, stage, [], saved, f"hooks.{stage}")
        # runc skips the poststop hooks after one that fails: ours goes first.
        listed.insert(0 if stage == DOWN_STAGE else len(listed), entry)
    present = _ensure(config, "annotations", {}, saved, "annotations")
    for key in [key for key in present if is_ours(key) and key not in annotations]:
        del present[key]
    present.update(annotations)
    present[BUNDLE] = dumps(saved)
    return config


def restore(config: Json) -> Json:
    """Return a config as it was before `apply`; without our part, as it is.

    Raises:
        RequestError: what `apply` has kept can't be read any more.
    """
    text = our_annotations(config).get(BUNDLE)
    config = without_hooks(config, is_our_hook)
    if text is None:
        return config
    try:
        saved = _read_saved(text)
        _restore_parts(config, saved)
    except (RequestError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"its annotation {BUNDLE} can't be read: {error}"
        hint = "take the ocinet.* annotations and hooks out by hand"
        raise RequestError("", why, hint) from error
    return config


def has_ours(config: Json) -> bool:
    """Tell whether a config runs a hook of ours already, whoever put it there."""
    return any(is_our_hook(entry) for _, entry in hooks_of(config))


def is_wrappers(config: Json) -> bool:
    """Tell whether our part in a config is of `apply` by the wrapper, for an earlier create."""
    text = our_annotations(config).get(BUNDLE)
    if text is None:
        return False
    try:
        return bool(_read_saved(text).get("by") == BY_WRAPPER)
    except (RequestError, ValueError, KeyError, TypeError, AttributeError):
        return False


def our_annotations(config: Json) -> dict[str, str]:
    """Return the annotations that are ours, whatever they say."""
    annotations = config.get("annotations")
    if not isinstance(annotations, dict):
        return {}
    return {key: text for key, text in annotations.items() if is_ours(key)}


def asked_in(config: Json) -> dict[str, str]:
    """Return the annotations of ours by which something is asked for.

    Raises:
        RequestError: one of them is no text, as the runtime-spec has all of them.
    """
    asked = {k: text for k, text in our_annotations(config).items() if k not in (SANDBOX, BUNDLE)}
    for key, text in asked.items():
        if not isinstance(text, str):
            raise RequestError(key, f"its value is no text in {CONFIG}")
    return asked


def without_hooks(config: Json, unwanted: Callable[[object], bool]) -> Json:
    """Return a config without some of its hook entries; emptied lists stay."""
    hooks = config.get("hooks")
    if not isinstance(hooks, dict):
        return {**config}
    kept = {
        stage: [entry for entry in listed if not unwanted(entry)]
        if isinstance(listed, list)
        else listed
        for stage, listed in hooks.items()
    }
    return {**config, "hooks": kept}


def locate(target: str, find: Callable[[str], Attachment], netns_dir: str) -> tuple[str, str]:
    """Return path and identity of the sandbox that a container is in.

    Args:
        target: the container's id or name.
        find: resolves it.
        netns_dir: where sandboxes have names.

    Raises:
        RequestError: it is not known, or its sandbox can't be shared.
    """
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
        # The name is what the config will have: whom it leads to by then, dev and inode tell.
        status = posix.stat(path)
    except OSError as error:
        raise RequestError("", f"{target} is not running: {path}: {error.strerror}",
                           f"start {target} first") from error  # fmt: skip
    if f"{status.st_dev}:{status.st_ino}" != attachment.sandbox:
        raise RequestError("", f"{path} is no longer the sandbox of {target}", f"restart {target}")
    return path, attachment.sandbox


def _has_own_hostname(linux: Json) -> bool:
    """Tell whether a config asks for a UTS namespace of its own; runtimes refuse one without."""
    return any(
        isinstance(entry, dict) and entry.get("type") == "uts" and not entry.get("path")
        for entry in linux.get("namespaces") or ()
    )


def _read_saved(text: str) -> Json:
    saved: Json = loads(text.encode(), BUNDLE)
    if saved["version"] != _VERSION:
        raise ValueError(f"version {saved['version']}")
    return saved


def _restore_parts(config: Json, saved: Json) -> None:
    """Put back what was kept; `config` is a copy, its parts are not."""
    annotations, before = config["annotations"], saved["annotations"]
    config["annotations"] = {
        key: before.get(key, text)
        for key, text in annotations.items()
        if not is_ours(key) or key in before
    } | before
    linux = config["linux"] = {**config["linux"]}
    if _NETWORK in saved:
        entry, index = saved[_NETWORK]["entry"], saved[_NETWORK]["index"]
        namespaces = [other for other in linux["namespaces"] if other.get("type") != _NETWORK]
        if entry is not None:
            namespaces.insert(index, entry)
        linux["namespaces"] = namespaces
    if "hostname" in saved:
        config["hostname"] = saved["hostname"]
        if saved["hostname"] is None:
            del config["hostname"]
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
    """Return `parent[key]` as a copy; made if it is not there or null, which is noted."""
    if parent.get(key) is None:
        saved["null" if key in parent else "made"].append(name)
        parent[key] = empty
    if type(parent[key]) is not type(empty):
        kind = "object" if isinstance(empty, dict) else "list"
        raise RequestError("", f"{name} in {CONFIG} is no {kind}")
    parent[key] = parent[key].copy()
    return parent[key]


def _edit_network(linux: Json, mode: str, netns_path: str, saved: Json) -> None:
    """Make the network namespace's entry what the mode needs."""
    namespaces = _ensure(linux, "namespaces", [], saved, "linux.namespaces")
    networks = [
        (index, entry)
        for index, entry in enumerate(namespaces)
        if isinstance(entry, dict) and entry.get("type") == _NETWORK
    ]
    if len(networks) > 1:
        raise RequestError("", f"{CONFIG} has {len(networks)} network namespaces")
    index, entry = networks[0] if networks else (len(namespaces), None)
    if mode == "host":
        wanted = None
    elif mode == "container":
        wanted = {**(entry or {"type": _NETWORK}), "path": netns_path}
    elif entry is not None and not entry.get("path"):
        wanted = entry
    else:
        # A path would join a sandbox that somebody has made; without one the runtime makes its own.
        wanted = {key: value for key, value in (entry or {}).items() if key != "path"}
        wanted["type"] = _NETWORK
    if wanted != entry:
        saved[_NETWORK] = {"index": index, "entry": entry}
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
