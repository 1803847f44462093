"""The published ports that an engine keeps for a container, as a request's."""

from __future__ import annotations

from ocinet.base.errors import RequestError
from ocinet.engine.model.request import MOST_EXPOSED
from ocinet.request.publish import parse_publish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from ocinet.engine.model.request import Publish, Request


_BINDINGS = "the engine's published ports"


def parse_bindings(
    bindings: Mapping[str, Any] | None, exposed: Iterable[str] = ()
) -> tuple[Publish, ...]:
    """Read the published ports that an engine keeps for a container.

    Args:
        bindings: `HostConfig.PortBindings` of the Docker API:
            {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}.
        exposed: `Config.ExposedPorts`, where all of them are to be published
            (`docker run -P`): ["80/tcp"].

    Raises:
        RequestError: one of them can't be published as it is asked for.
    """
    items = []
    try:
        for port, hosts in (bindings or {}).items():
            for host in hosts or [{}]:
                items.append(_spell(port, host.get("HostIp") or "", host.get("HostPort") or ""))
        items += [port for port in exposed if not (bindings or {}).get(port)]
    except (AttributeError, TypeError) as error:
        why = f"the engine has them otherwise than the Docker API: {error}"
        raise RequestError(_BINDINGS, why) from error
    return parse_publish(",".join(items), _BINDINGS) if items else ()


def _spell(port: str, address: str, host_port: str) -> str:
    """Spell one binding as Docker's `-p` does."""
    shown = f"[{address}]" if ":" in address else address
    host_port = "" if host_port == "0" else host_port
    if shown:
        return f"{shown}:{host_port}:{port}"
    return f"{host_port}:{port}" if host_port else port


def with_publishes(
    request: Request, publishes: tuple[Publish, ...], listens: tuple[str, ...] = ()
) -> Request:
    """Return a request that publishes these ports, too, and tells which ones it exposes.

    Only with a network of ours: Docker takes ports for nothing beside `host`.
    """
    if request.mode != "bridge":
        return request
    publish = tuple(dict.fromkeys((*request.publish, *publishes)))
    return request.replace(publish=publish, exposed=listens if len(listens) <= MOST_EXPOSED else ())
