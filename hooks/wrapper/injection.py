"""Putting our part into the config of a container that a runtime is about to create.

    bridge, none       our poststop hook, and createRuntime where the wrapper
                       itself will not be there to attach
    host, container    the network namespace itself, which nobody can exchange
                       once the container is there; with it go the settings and
                       the hooks that are meant for a sandbox of its own
    always             the request as annotations, whoever made it: user, image
                       left out, Docker's `-p` and its name for the container

Whether there is any, `intent` says. A container that gets none keeps its config as it
is, and so does one that has a hook of ours already.
"""

from __future__ import annotations

import posix
from _stat import S_ISLNK

from ocinet.base.atomic import replace_file
from ocinet.base.errors import OcinetError, RequestError, SystemFailure
from ocinet.base.jsontext import dumps
from ocinet.base.names import check_container
from ocinet.base.value import Value
from ocinet.engine.model.naming import Rootfs  # here, so that it is preloaded
from ocinet.hooks.config.config_edit import (
    BY_WRAPPER,
    apply,
    has_ours,
    is_wrappers,
    locate,
    restore,
    without_hooks,
)
from ocinet.hooks.entry.report import logged
from ocinet.hooks.wrapper.intent import intent_for
from ocinet.request.annotations import SANDBOX
from ocinet.request.config_json import DOWN_STAGE, UP_STAGES, hooks_of, rootfs_in
from ocinet.request.docker_files import DockerContainer, is_setkey
from ocinet.request.podman_files import Origin, origin_of
from ocinet.request.spelling import to_annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.request import Request
    from ocinet.hooks.wrapper.intent import Intent, Site
    from ocinet.hooks.wrapper.runtime_call import RuntimeCall

    Json = dict[str, Any]

_SHARED_MODES = ("host", "container")


class Injected(Value):
    """What was put into a config.

    Attributes:
        request: what the container gets, its name included.
        sandbox: `DEV:INODE` that it must be found in; "" if that is not known.
        rootfs: where its files are, and what becomes of them; None if that is not known.
    """

    request: Request
    sandbox: str = ""
    rootfs: Rootfs | None = None


def inject(
    config: Json,
    call: RuntimeCall,
    docker: DockerContainer | None,
    site: Site,
    *,
    up_hook: bool,
) -> Injected | None:
    """Edit a container's config, if the container is one of ours.

    Args:
        config: as it is in `call.config`.
        call: of the runtime.
        docker: the container as Docker's files have it, if they do.
        site: see there.
        up_hook: whether a hook shall attach the container; if not, that is the
            caller's to do.

    Returns:
        None if the container is left alone.

    Raises:
        OcinetError: the container must not be made; the config is as it was.
    """
    origin = Origin() if docker else origin_of(call.id, call.bundle)
    name = (docker.name if docker else origin.name) or call.id[:12]
    try:
        # A bundle by hand keeps what an earlier create has put in; engines make theirs anew each
        # time. It is decided about as it was.
        plain = restore(config) if is_wrappers(config) else config
        # Others are of `ocinet hooks add`, a hooks directory or a device.
        intent = None if has_ours(plain) else intent_for(plain, call, docker or origin, site)
        edited, sandbox = plain, ""
        if intent is not None:
            check_container(call.id)
            name = intent.request.name or name
            edited, sandbox = _edit(plain, intent, site, up_hook=up_hook)
        if edited != config:
            _write_config(call.config, edited)
    except OcinetError as error:
        raise refused(error, name, call, site) from error
    if intent is None:
        return None
    rootfs = None if up_hook else _rootfs_of(edited, call, refilled=_is_refilled(plain, docker))
    return Injected(intent.request, sandbox, rootfs)


def _rootfs_of(config: Json, call: RuntimeCall, *, refilled: bool) -> Rootfs | None:
    rootfs = rootfs_in(config, call.bundle)
    # Whose sandbox it is, `intent` has decided.
    return rootfs and rootfs.replace(shares="", refilled=refilled)


def _is_refilled(config: Json, docker: DockerContainer | None) -> bool:
    """Tell a Docker that writes a container's hosts file anew between create and start.

    26 does, once it knows by the sandbox whether that has IPv6; 20.10 does not. Docker's version
    no file tells, but that of the specification: up to 23 it is 1.0.2. To be wrong is to come
    once more for nothing.
    """
    return docker is not None and not str(config.get("ociVersion")).startswith("1.0.")


def refused(error: OcinetError, name: str, call: RuntimeCall, site: Site) -> OcinetError:
    """Return the error as the whole act's, having written it to the event log."""
    what = f"cannot attach {name}"
    return logged(error, site.log, "create refused", what=what, container=call.id, name=name)


def _write_config(path: str, config: Json) -> None:
    """Replace a config; it need not survive a power cut, no more than its container does."""
    try:
        status = posix.lstat(path)
        if S_ISLNK(status.st_mode):
            from os.path import realpath  # `os` takes 2 ms, which a bundle's own file need not pay

            path = realpath(path)
            status = posix.stat(path)
        replace_file(path, dumps(config), mode=status.st_mode & 0o7777,
                     owner=(status.st_uid, status.st_gid), durable=False)  # fmt: skip
    except OSError as error:
        raise SystemFailure(f"cannot write {path}", error.strerror or str(error)) from error


def _edit(config: Json, intent: Intent, site: Site, *, up_hook: bool) -> tuple[Json, str]:
    """Return a config with our part in it, and the sandbox that it leads to, if known."""
    request = intent.request
    annotations = to_annotations(request)
    path = ""
    if intent.mode in _SHARED_MODES:
        config = _without_setkey(config, intent)
        _check_hooks(config, request)
    if intent.mode == "container":
        from ocinet.engine.known import find_record
        from ocinet.engine.records.attachments import AttachmentStore

        store = AttachmentStore(site.paths)

        def find(target: str) -> Attachment:
            return find_record(store, target)

        path, annotations[SANDBOX] = locate(request.target, find, site.paths.netns)
    # poststop in any case: the wrapper sees no container end.
    stages = (UP_STAGES[0], DOWN_STAGE) if up_hook else (DOWN_STAGE,)
    entries = {stage: site.registration.entry(stage) for stage in stages}
    edited = apply(config, intent.mode, annotations, entries, netns_path=path, by=BY_WRAPPER)
    return edited, annotations.get(SANDBOX, "")


def _without_setkey(config: Json, intent: Intent) -> Json:
    """Take out the hook by which Docker would take the host's sandbox, or X's, for its own.

    It would configure it as such: no IPv6, among other things. From Docker 26
    on there is no hook; dockerd does it by itself when the container is created,
    and nothing can keep it from that.

    Raises:
        RequestError: it is such a Docker.
    """
    docker = intent.docker
    if docker is None:
        return config
    plain = without_hooks(config, is_setkey)
    if docker.networking and plain.get("hooks") == config.get("hooks"):
        network = _spell_network(intent.request)
        whose = "the host's" if intent.mode == "host" else f"{intent.request.target}'s"
        why = f"this Docker would take {whose} network for the container's own, and change it"
        raise RequestError("", why, f"leave the label out: docker run --network={network}")
    return plain


def _check_hooks(config: Json, request: Request) -> None:
    """Refuse hooks that would act on a sandbox that is not the container's own.

    Raises:
        RequestError: there is one.
    """
    for stage, entry in hooks_of(config):
        path = entry.get("path") if isinstance(entry, dict) else entry
        network = _spell_network(request)
        why = f"its {stage} hook {str(path)[:80]} may change the network of {network}"
        hint = f"start it without that hook, or with the engine's own --network={network}"
        raise RequestError("", why, hint)


def _spell_network(request: Request) -> str:
    return "host" if request.mode == "host" else f"container:{request.target}"
