"""What a container gets: what it asks for, or what it is meant to get unasked.

For hook and wrapper alike, whoever has found out through whose hands the
container's annotations went, and where the container comes from.
"""

from __future__ import annotations

from ocinet.base.errors import RequestError
from ocinet.base.events import IMAGE_IGNORED
from ocinet.engine.records.settings import load as load_settings
from ocinet.hooks.entry.state import is_build_step
from ocinet.request.annotations import DEFAULT_REQUEST, NET, OPTIONS
from ocinet.request.cdi import devices_of, request_by_devices
from ocinet.request.config_json import has_private_sandbox
from ocinet.request.own_keys import own_keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.events import EventLog
    from ocinet.base.paths import Paths
    from ocinet.engine.model.request import Request
    from ocinet.hooks.entry.call import Call
    from ocinet.hooks.entry.state import State
    from ocinet.request.podman_files import Origin


def request_of(
    state: State,
    call: Call,
    origin: Origin,
    paths: Paths,
    log: EventLog,
    *,
    private: bool | None = None,
) -> Request | None:
    """Return what the container asks for, or what it gets unasked, or None.

    Args:
        state: of a container whose bundle is there.
        call: through whose hands the annotations went.
        origin: where the container comes from.
        paths: of the installation.
        log: is told of keys that count for nothing.
        private: whether the runtime makes a sandbox for it; None: the bundle tells.

    Raises:
        RequestError: it asks for what is not legal, or may not be asked for.
    """

    def trusts() -> bool:
        return load_settings(paths).trust_annotations

    def unasked() -> Request | None:
        return DEFAULT_REQUEST if _is_meant(state, call, paths, private=private) else None

    own = own_keys(state.annotations, origin.carried)
    if own.dropped:
        log.append(IMAGE_IGNORED, container=state.id, name=origin.name,
                   keys=", ".join(own.dropped))  # fmt: skip
    if call.from_hooks_dir:
        _check_uncut(dict(own.keys).get(NET, ""), state)
        devices = devices_of(state.bundle)
        if call.device:
            if is_build_step(state):
                return None
            # Each device has a hook, and each asks for all: they come up whole or not at all. The
            # bundle may be a wrong one, as some releases of crun name it: then the hook's own
            # device counts.
            asked = devices if call.device in devices else (*devices, call.device)
            return request_by_devices(asked, own, trusts)
        if devices:
            return None  # that is the matter of the devices' own hooks
    if own.doubts and not own.keys and not _is_private(state, private):
        return None  # its engine gives it a network; what it may ask for beside is left out
    return own.request(trusts, unasked)


def _check_uncut(net: str, state: State) -> None:
    """Refuse a network list of which a piece is missing.

    podman 4 reads `--annotation` as CSV: what stands behind a comma becomes an
    annotation of its own, and the container would start with half of its networks.
    """
    pieces = [key for key, _ in state.annotations if key in OPTIONS]
    if pieces and ":" in net:
        why = f"podman has cut it at a comma: {pieces[0]}= is an annotation of its own now"
        raise RequestError(NET, why, f"quote it twice: --annotation '\"{NET}=…\"'")


def _is_meant(state: State, call: Call, paths: Paths, *, private: bool | None) -> bool:
    """Tell whether a container without our keys gets the default network.

    A bundle that has our entry does; a hooks directory's entry says it with
    `--always`. Only where the runtime makes a sandbox of its own: others have
    their network from somewhere else. Steps of a build never do.
    """
    if call.from_hooks_dir:
        if not call.always or is_build_step(state):
            return False
        if load_settings(paths).select == "labelled":
            return False
    return _is_private(state, private)


def _is_private(state: State, private: bool | None) -> bool:  # noqa: FBT001  # as told, or not
    return has_private_sandbox(state.bundle) if private is None else private
