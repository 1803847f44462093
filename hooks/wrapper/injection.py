"""Deciding about a container that a runtime is about to create, and editing its config.

    bridge, none       our poststop hook, and createRuntime where the wrapper
                       itself will not be there to attach
    host, container    the network namespace itself, which nobody can exchange
                       once the container is there; with it go the settings and
                       the hooks that are meant for a sandbox of its own
    always             the request as annotations, whoever made it: user, image
                       left out, Docker's `-p` and its name for the container

A container that is not ours keeps its config as it is: it has a network from
elsewhere, or a hook of ours already, or its user wants none.
"""

from __future__ import annotations

import posix

from ocinet.base.atomic import replace_file
from ocinet.base.errors import OcinetError, RequestError, SystemFailure
from ocinet.base.jsontext import dumps
from ocinet.base.names import check_container
from ocinet.base.value import Value
from ocinet.engine.kernel.sandbox import check_privilege
from ocinet.engine.records.settings import load as load_settings
from ocinet.hooks.config.config_edit import (
    BY_WRAPPER,
    apply,
    has_ours,
    is_wrappers,
    locate,
    restore,
    without_hooks,
)
from ocinet.hooks.entry.call import Call
from ocinet.hooks.entry.report import logged
from ocinet.hooks.entry.request_of import request_of
from ocinet.hooks.entry.state import State
from ocinet.request.annotations import DEFAULT_REQUEST, PREFIX, SANDBOX, to_annotations
from ocinet.request.bindings import parse_bindings, with_publishes
from ocinet.request.config_json import DOWN_STAGE, UP_STAGES, hooks_of, is_private
from ocinet.request.docker_files import NONE, DockerContainer, is_dockers, is_setkey
from ocinet.request.own_keys import own_keys
from ocinet.request.podman_files import Origin, origin_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocinet.base.events import EventLog
    from ocinet.base.paths import Paths
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.request import Request
    from ocinet.hooks.config.hook_entry import Registration
    from ocinet.hooks.wrapper.runtime_call import RuntimeCall

    Json = dict[str, Any]

_SHARED_MODES = ("host", "container")


class Injected(Value):
    """What was put into a config.

    Attributes:
        request: what the container gets, its name included.
        sandbox: `DEV:INODE` that it must be found in; "" if that is not known.
    """

    request: Request
    sandbox: str = ""


class _Found(Value):
    """What was decided about a container.

    Attributes:
        request: what it gets, its name included.
        mode: that the network namespace is to be edited for; "" leaves it as it is.
        docker: Docker's view of it, if it is Docker's.
    """

    request: Request
    mode: str
    docker: DockerContainer | None = None


class Site(Value):
    """Where the work is done.

    Attributes:
        paths: of the installation.
        log: is told of what is refused, and of what is left alone and why.
        registration: of the hooks.
    """

    paths: Paths
    log: EventLog
    registration: Registration


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
        plain = restore(config) if is_wrappers(config) else config
        # Others are of `ocinet hooks add`, a hooks directory or a device.
        found = None if has_ours(plain) else _find(plain, call, docker or origin, site)
        edited, sandbox = plain, ""
        if found is not None:
            check_container(call.id)
            name = found.request.name or name
            edited, sandbox = _edit(plain, found, site, up_hook=up_hook)
        if edited != config:
            from os.path import realpath

            _write_config(realpath(call.config), edited)
    except OcinetError as error:
        raise refused(error, name, call, site) from error
    return None if found is None else Injected(found.request, sandbox)


def refused(error: OcinetError, name: str, call: RuntimeCall, site: Site) -> OcinetError:
    """Return the error as the whole act's, having written it to the event log."""
    what = f"cannot attach {name}"
    return logged(error, site.log, "create refused", what=what, container=call.id)


def _write_config(path: str, config: Json) -> None:
    """Replace a config; it need not survive a power cut, no more than its container does."""
    try:
        status = posix.stat(path)
        replace_file(path, dumps(config), mode=status.st_mode & 0o7777,
                     owner=(status.st_uid, status.st_gid), durable=False)  # fmt: skip
    except OSError as error:
        raise SystemFailure(f"cannot write {path}", error.strerror or str(error)) from error


def _find(
    config: Json, call: RuntimeCall, source: DockerContainer | Origin, site: Site
) -> _Found | None:
    """Decide what a container gets, by where it comes from; None means: nothing from us."""
    if isinstance(source, DockerContainer):
        request = _decide_docker(source, config, call, site)
        return None if request is None else _Found(request, request.mode, source)
    if is_dockers(config, call.bundle):
        return None  # a plugin, or a Docker whose files are otherwise than known
    return _find_other(config, call, source, site)


def _decide_docker(
    docker: DockerContainer, config: Json, call: RuntimeCall, site: Site
) -> Request | None:
    """Decide about a container of Docker's: those of mode `none` are ours."""
    if docker.mode != NONE or docker.build_step or not is_private(config):
        return None
    foreign = [network for network in docker.networks if network != NONE]
    if foreign:
        why = f"it was started with none and connected to {', '.join(foreign)} by hand"
        hint = f"docker network disconnect {foreign[0]} {docker.name}, and start it anew"
        site.log.append("left alone", container=call.id, name=docker.name, why=why, hint=hint)
        return None
    asks = any(key.startswith(PREFIX) for key, _ in docker.keys)
    own = own_keys(docker.keys, docker.carried() if asks else frozenset())
    if own.dropped:
        site.log.append("image's keys ignored", container=call.id, name=docker.name,
                        keys=", ".join(own.dropped))  # fmt: skip
    request = own.request(lambda: load_settings(site.paths).trust_annotations)
    if request is None:
        if load_settings(site.paths).select == "labelled":
            return None
        request = DEFAULT_REQUEST
    request = with_publishes(request, parse_bindings(docker.bindings, docker.exposed))
    return request.replace(name=request.name or docker.name)


def _find_other(config: Json, call: RuntimeCall, origin: Origin, site: Site) -> _Found | None:
    """Decide about a container of podman's, or of whoever made the bundle.

    podman says by the namespace whether the container has a network. Others may
    have a hook that makes one, in a namespace that looks the same: where there
    is such a hook, only a container that asks is ours.
    """
    given = config.get("annotations")
    annotations = given.items() if isinstance(given, dict) else ()
    pairs = tuple((key, text) for key, text in annotations if isinstance(text, str))
    state = State(call.id, bundle=call.bundle, annotations=pairs)
    private = is_private(config)
    is_podmans = call.bundle.endswith(f"-containers/{call.id}/userdata")
    may_be_wired = not is_podmans and any(stage in UP_STAGES for stage, _ in hooks_of(config))
    always = private and not may_be_wired and _may_wire()
    caller = Call("up", from_hooks_dir=True, always=always)
    request = request_of(state, caller, origin, site.paths, site.log, private=private)
    if request is None:
        return None
    request = request.replace(name=request.name or origin.name)
    return _Found(request, request.mode if private else "")


def _may_wire() -> bool:
    """Tell whether anything can be wired here at all; not so under rootless engines.

    Who asks there gets to hear it. Who does not, never wanted it.
    """
    try:
        check_privilege()
    except SystemFailure:
        return False
    return True


def _edit(config: Json, found: _Found, site: Site, *, up_hook: bool) -> tuple[Json, str]:
    """Return a config with our part in it, and the sandbox that it leads to, if known."""
    request = found.request
    annotations = to_annotations(request)
    path = ""
    if found.mode in _SHARED_MODES:
        config = _without_setkey(config, found)
        _check_hooks(config, request)
    if found.mode == "container":
        from ocinet.engine.containers import find_record
        from ocinet.engine.records.attachments import AttachmentStore

        store = AttachmentStore(site.paths)

        def find(target: str) -> Attachment:
            return find_record(store, target)

        path, annotations[SANDBOX] = locate(request.target, find, site.paths.netns)
    stages = (UP_STAGES[0], DOWN_STAGE) if up_hook else (DOWN_STAGE,)
    entries = {stage: site.registration.entry(stage) for stage in stages}
    edited = apply(config, found.mode, annotations, entries, netns_path=path, by=BY_WRAPPER)
    return edited, annotations.get(SANDBOX, "")


def _without_setkey(config: Json, found: _Found) -> Json:
    """Take out the hook by which Docker would take the host's sandbox, or X's, for its own.

    It would configure it as such: no IPv6, among other things. From Docker 26
    on there is no hook; dockerd does it by itself when the container is created,
    and nothing can keep it from that.

    Raises:
        RequestError: it is such a Docker.
    """
    docker = found.docker
    if docker is None:
        return config
    plain = without_hooks(config, is_setkey)
    if docker.networking and plain.get("hooks") == config.get("hooks"):
        network = _spell_network(found.request)
        whose = "the host's" if found.mode == "host" else f"{found.request.target}'s"
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
