"""What a container that a runtime is about to create shall get from us, if anything.

A container that is not ours gets nothing: it has a network from elsewhere, or its
user wants none.
"""

from __future__ import annotations

from ocinet.base.errors import SystemFailure
from ocinet.base.events import IMAGE_IGNORED
from ocinet.base.value import Value
from ocinet.engine.kernel.sandbox import check_privilege
from ocinet.engine.records.settings import load as load_settings
from ocinet.hooks.entry.call import Call
from ocinet.hooks.entry.request_of import request_of
from ocinet.hooks.entry.state import State
from ocinet.request.annotations import DEFAULT_REQUEST, is_ours
from ocinet.request.bindings import parse_bindings, with_publishes
from ocinet.request.config_json import UP_STAGES, hooks_of, is_private
from ocinet.request.docker_files import NONE, DockerContainer, is_dockers
from ocinet.request.own_keys import own_keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocinet.base.events import EventLog
    from ocinet.base.paths import Paths
    from ocinet.engine.model.request import Request
    from ocinet.hooks.config.hook_entry import Registration
    from ocinet.hooks.wrapper.runtime_call import RuntimeCall
    from ocinet.request.podman_files import Origin

    Json = dict[str, Any]


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


class Intent(Value):
    """What a container shall get.

    Attributes:
        request: its name included.
        mode: that the network namespace is to be edited for; "" leaves it as it is.
        docker: Docker's view of the container, if it is Docker's.
    """

    request: Request
    mode: str
    docker: DockerContainer | None = None


def intent_for(
    config: Json, call: RuntimeCall, source: DockerContainer | Origin, site: Site
) -> Intent | None:
    """Return what a container shall get, by where it comes from; None: nothing from us.

    Args:
        config: of the container, without anything of ours.
        call: of the runtime.
        source: what Docker's files, or podman's, tell of it.
        site: see there.

    Raises:
        OcinetError: it asks for what it can't get.
    """
    if isinstance(source, DockerContainer):
        request = _request_of_docker(source, config, call, site)
        return None if request is None else Intent(request, request.mode, source)
    if is_dockers(config, call.bundle):
        return None  # a plugin, or a Docker whose files are otherwise than known
    return _intent_for_other(config, call, source, site)


def _request_of_docker(
    docker: DockerContainer, config: Json, call: RuntimeCall, site: Site
) -> Request | None:
    """Return what a container of Docker's asks for: those of mode `none` are ours."""
    if docker.mode != NONE or docker.build_step or not is_private(config):
        return None
    # `docker network disconnect none` and `connect` of another leave the mode as it was. Docker's
    # eth0 would be there before ours, or fail behind it: "error renaming interface".
    foreign = [network for network in docker.networks if network != NONE]
    if foreign:
        why = f"it was started with none and connected to {', '.join(foreign)} by hand"
        hint = f"docker network disconnect {foreign[0]} {docker.name}, and start it anew"
        site.log.append("left alone", container=call.id, name=docker.name, why=why, hint=hint)
        return None
    asks = any(is_ours(key) for key, _ in docker.keys)
    carried = docker.carried(call.bundle) if asks else frozenset()
    own = own_keys(docker.keys, carried, docker.told)
    if own.dropped:
        site.log.append(IMAGE_IGNORED, container=call.id, name=docker.name,
                        keys=", ".join(own.dropped))  # fmt: skip

    def unasked() -> Request | None:
        return None if load_settings(site.paths).select == "labelled" else DEFAULT_REQUEST

    request = own.request(lambda: load_settings(site.paths).trust_annotations, unasked)
    if request is None:
        return None
    # Docker keeps `-p` of a container without a network, and does nothing with it.
    publish = parse_bindings(docker.bindings, docker.exposed)
    request = with_publishes(request, publish, docker.listens)
    return request.replace(name=request.name or docker.name)


def _intent_for_other(config: Json, call: RuntimeCall, origin: Origin, site: Site) -> Intent | None:
    """Judge a container of podman's, or of whoever made the bundle.

    podman says by the namespace whether the container has a network. Others may
    have a hook that makes one, in a namespace that looks the same: where there
    is such a hook, only a container that asks is ours.
    """
    annotations = config.get("annotations")
    items = annotations.items() if isinstance(annotations, dict) else ()
    pairs = tuple((key, text) for key, text in items if isinstance(text, str))
    state = State(call.id, bundle=call.bundle, annotations=pairs)
    private = is_private(config)
    # containers/storage: ROOT/overlay-containers/ID/userdata.
    is_podmans = call.bundle.endswith(f"-containers/{call.id}/userdata")
    may_be_wired = not is_podmans and any(stage in UP_STAGES for stage, _ in hooks_of(config))
    always = private and not may_be_wired and _may_wire()
    # Whoever made the bundle may have put an image's annotations into it: as in a hooks directory.
    caller = Call("up", from_hooks_dir=True, always=always)
    request = request_of(state, caller, origin, site.paths, site.log, private=private)
    if request is None:
        return None
    request = request.replace(name=request.name or origin.name)
    return Intent(request, request.mode if private else "")


def _may_wire() -> bool:
    """Tell whether anything can be wired here at all; not so under rootless engines.

    Who asks there gets to hear it. Who does not, never wanted it.
    """
    try:
        check_privilege()
    except SystemFailure:
        return False
    return True
