"""What is asked of an engine's socket: the one module that talks with `docker`.

Docker, and Podman, whose API is Docker's and one of its own beside it. Every
request has a time limit; so has the silence of the event stream, for an engine
that hangs says nothing at all.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from codecs import getincrementaldecoder
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import docker
from docker.constants import DEFAULT_DOCKER_API_VERSION
from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from ocinet.base.address import Address
from ocinet.base.errors import OcinetError, SystemFailure
from ocinet.request.docker_files import carried_in_containerd, read_docker
from ocinet.watcher.bounded_http import LONGEST_PART, Adapter
from ocinet.watcher.cgroups import is_listed
from ocinet.watcher.docker_json import (
    exposed_ports,
    observe_kept,
    parse_event,
    parse_inspected,
    parse_listed,
    split_documents,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocinet.watcher.observed import Event, ObservedContainer

_RESTART_S = 120.0  # a container may have that long to end
_TIMEOUT_S = 20.0  # as long as an operation of ours may take
_LIBPOD = "/v4.0.0/libpod"
_ACTS = ("create", "start", "die", "died", "destroy", "remove", "rename", "connect", "disconnect")
_CONTAINERD = "/var/lib/containerd"
_BRIDGE_NAME = "com.docker.network.bridge.name"


class Client:
    """One engine's socket; every thread has a connection of its own.

    Args:
        path: the socket's.
        timeout_s: that one answer may take.
    """

    def __init__(self, path: str, timeout_s: float = _TIMEOUT_S) -> None:
        self.path = path
        self._timeout_s = timeout_s
        self._local = threading.local()  # its connection ends with a thread
        self._connected: WeakSet[Any] = WeakSet()
        self._connecting = threading.Lock()  # a set must not grow while it is looked through
        self._version = ""
        self._is_podman = False
        self._root = ""  # Docker's data directory
        self._generation = 0  # connections of an earlier one lead to an engine that is gone

    @property
    def kind(self) -> str:
        """What answered last: docker or podman."""
        return "podman" if self._is_podman else "docker"

    def greet(self) -> None:
        """Connect anew, and find out who answers.

        Raises:
            SystemFailure: nobody does.
        """
        with self._explained("reach it"):
            # Not by /version: Podman asks the system's package manager for that, for a second.
            with self._connect(DEFAULT_DOCKER_API_VERSION) as client:
                response = client.get(f"{client.base_url}/_ping", timeout=self._timeout_s)
                response.raise_for_status()
            self._version = response.headers["Api-Version"]
            self._is_podman = "Libpod-Api-Version" in response.headers
            self._generation += 1
            # Threads that have nothing to ask would keep dead connections for as long.
            with self._connecting:
                formers = list(self._connected)
            for former in formers:
                former.close()
            self._root = "" if self._is_podman else self._client().info().get("DockerRootDir", "")

    def listed(self) -> tuple[ObservedContainer, ...]:
        """List all containers, those that do not run among them.

        Raises:
            SystemFailure: the engine does not answer, or nonsense.
        """
        with self._explained("list its containers"):
            return tuple(parse_listed(item) for item in self._client().containers(all=True))

    def runtimes(self) -> dict[str, str]:
        """Return the paths of the runtimes that Docker knows, by their names.

        Raises:
            SystemFailure: the engine does not answer, or nonsense.
        """
        with self._explained("ask for its runtimes"):
            told = self._client().info()["Runtimes"]
            return {name: runtime.get("path", "") for name, runtime in told.items()}

    def created(self, container_id: str) -> ObservedContainer | None:
        """Return what a container that was created is to be like, or None if it is not there.

        From Docker's files, for an answer that a start has overtaken waits for
        that start.

        Raises:
            SystemFailure: the engine does not answer, or nonsense.
        """
        return self.kept(container_id) or self.inspect(container_id)

    def glance(self, container_id: str) -> ObservedContainer | None:
        """Return what is known of a container without waiting for its start.

        From Docker's files, else from the list, which does not tell all.

        Raises:
            SystemFailure: the engine does not answer, or nonsense.
        """
        return self.kept(container_id) or self._find_listed(container_id)

    def started(self, container_id: str) -> ObservedContainer | None:
        """Return all about a container that is said to have started, None if it is not there.

        From Docker's files, if the process that they name is the container's: the
        engine may have a crowd to start before it answers.

        Raises:
            SystemFailure: the engine does not answer, or nonsense.
        """
        container = self.kept(container_id)
        if container and container.pid and is_listed(container.pid, container_id):
            return replace(container, running=True)
        return self.inspect(container_id)

    def kept(self, container_id: str) -> ObservedContainer | None:
        """Return what a container is like by Docker's files, if they can be read."""
        kept = read_docker(self._root, container_id) if self._root else None
        return observe_kept(container_id, kept) if kept else None

    def _find_listed(self, container_id: str) -> ObservedContainer | None:
        """Return what the list tells of one container, or None if it is not there.

        Raises:
            SystemFailure: the engine does not answer, or nonsense.
        """
        with self._explained(f"list {container_id[:12]}"):
            items = self._client().containers(all=True, filters={"id": [container_id]})
            listed = (parse_listed(item) for item in items)
            return next((container for container in listed if container.id == container_id), None)

    def inspect(self, container_id: str) -> ObservedContainer | None:
        """Return all about a container, or None if it is not there.

        Raises:
            SystemFailure: the engine does not answer, or nonsense.
        """
        with self._explained(f"inspect {container_id[:12]}"):
            try:
                if self._is_podman:
                    # Its answer in Docker's form has no annotations.
                    document = self._libpod(f"/containers/{container_id}/json")
                else:
                    document = self._client().inspect_container(container_id)
            except NotFound:
                return None
            return None if document is None else parse_inspected(document, podman=self._is_podman)

    def restart(self, container_id: str) -> None:
        """Restart a container, or raise; it has the time to end that it was made with."""
        with self._explained(f"restart {container_id[:12]}"):
            client = self._client()
            # Without `t`, which the client's own method would set to 10 s.
            path = f"/v{self._version}/containers/{container_id}/restart"
            client.post(f"{client.base_url}{path}", timeout=_RESTART_S).raise_for_status()

    def exposed(self, container_id: str) -> tuple[str, ...]:
        """Return the ports that a container exposes, its image's among them, as `80/tcp`.

        Raises:
            SystemFailure: the engine does not answer, or nonsense.
        """
        with self._explained(f"inspect {container_id[:12]}"):
            if not self._is_podman:
                return exposed_ports(self._client().inspect_container(container_id))
            # podman 4 does not repeat the image's with the container.
            container = self._libpod(f"/containers/{container_id}/json") or {}
            image = self._libpod(f"/images/{container.get('Image')}/json") or {}
            return exposed_ports(container, image)

    def carried(self, image: str, manifest: str) -> frozenset[tuple[str, str]] | None:
        """Return labels and annotations of an image; None if they can't be told.

        Args:
            image: its id.
            manifest: of the platform that runs, or "".
        """
        if manifest not in ("", image):
            # Docker's inspect shows the host's platform, not that of `docker run --platform`.
            places = (f"{self._root}/containerd/daemon", _CONTAINERD)
            found = (carried_in_containerd(place, manifest) for place in places)
            return next((carried for carried in found if carried is not None), None)
        try:
            with self._explained(f"inspect the image {image[:19]}"):
                if self._is_podman:
                    document = self._libpod(f"/images/{image}/json")
                else:
                    document = self._client().inspect_image(image)
        except OcinetError:
            return None
        if not isinstance(document, dict):
            return None
        config = document.get("Config") or {}
        carried = (config.get("Labels"), document.get("Labels"), document.get("Annotations"))
        return frozenset(pair for pairs in carried if pairs for pair in pairs.items())

    def endpoints(self, device: str) -> dict[Address, str]:
        """Return the addresses that the engine gave out on a bridge, each with who has it.

        Raises:
            SystemFailure: the engine does not answer, or nonsense.
        """
        with self._explained(f"list the addresses on {device}"):
            holders: dict[Address, str] = {}
            for listed in self._client().networks(filters={"driver": "bridge"}):
                options = listed.get("Options") or {}
                if (options.get(_BRIDGE_NAME) or f"br-{listed['Id'][:12]}") == device:
                    holders |= _endpoints(self._client().inspect_network(listed["Id"]), self.kind)
            return holders

    def _client(self) -> Any:
        """Return this thread's connection to the engine that was greeted last."""
        if not self._version:
            self.greet()
        generation, client = getattr(self._local, "kept", (0, None))
        if client is None or generation != self._generation:
            self.forget()
            client = self._connect(self._version)
            self._local.kept = self._generation, client
            with self._connecting:
                self._connected.add(client)
        return client

    def _connect(self, version: str) -> Any:
        client = docker.APIClient(
            base_url=f"unix://{self.path}", version=version, timeout=self._timeout_s
        )
        # Its own adapter keeps a connection for each of the last 25 URLs, whatever
        # `num_pools` says; and every container has URLs of its own.
        socket_url = f"http+unix://{self.path}"
        adapter = Adapter(socket_url, self._timeout_s, pool_connections=1)
        client.mount("http+docker://", adapter)
        return client

    def _libpod(self, path: str) -> Any:
        client = self._client()
        response = client.get(f"{client.base_url}{_LIBPOD}{path}", timeout=self._timeout_s)
        if response.status_code == 404:
            return None
        response.raise_for_status()
        return response.json()

    def forget(self) -> None:
        """Drop this thread's connection, so that the next request makes one."""
        _generation, client = self._local.__dict__.pop("kept", (0, None))
        if client is not None:
            client.close()

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Turn whatever the client raises into one clear error."""
        try:
            yield
        except NotFound as error:
            raise SystemFailure(self._cannot(what), "it is not there") from error
        except (
            DockerException, RequestException, HTTPError, OSError, ValueError, RecursionError,
        ) as error:  # fmt: skip
            self.forget()
            raise SystemFailure(self._cannot(what), _reason(error)) from error
        except (KeyError, TypeError, AttributeError) as error:
            why = f"its answer is not the Docker API's: {type(error).__name__}: {error}"
            raise SystemFailure(self._cannot(what), why) from error

    def _cannot(self, what: str) -> str:
        return f"{self.path}: cannot {what}"

    def stream(self, since: float, silence_s: float) -> Stream:
        """Open the stream of events.

        Args:
            since: seconds since the epoch; what is older is not told.
            silence_s: after that long without a byte the stream ends.

        Raises:
            SystemFailure: the engine does not answer.
        """
        with self._explained("listen to its events"):
            client = self._connect(self._version)
            # Every health check tells of three execs: only what is needed is asked for.
            filters = json.dumps({"type": ["container", "network"], "event": list(_ACTS)})
            response = client.get(
                f"{client.base_url}/v{client.api_version}/events",
                # No `until`: with it, Podman's file backend leaves events out.
                params={"since": f"{since:.9f}", "filters": filters},
                stream=True,
                # Neither engine sends a heartbeat: of one that hangs nobody would know.
                timeout=(self._timeout_s, silence_s),
            )
            if response.status_code != 200:
                client.close()
                why = f"it answers {response.status_code}: {response.text[:200]}"
                raise SystemFailure(self._cannot("listen to its events"), why)
        return Stream(client, response)


class Stream:
    """Events as they come; to be closed.

    Args:
        client: whose connection it is.
        response: of `GET /events`.
    """

    def __init__(self, client: Any, response: Any) -> None:
        self._client = client
        self._response = response
        self._socket = _socket_of(response)

    def __iter__(self) -> Iterator[Event]:
        """Yield events until the stream ends, breaks, falls silent or is closed.

        What is no event is passed over.
        """
        try:
            decode = getincrementaldecoder("utf-8")("replace").decode
            parts = self._response.iter_content(LONGEST_PART)  # as they come, at most so much
            for document in split_documents(decode(part) for part in parts):
                event = parse_event(document) if isinstance(document, dict) else None
                if event:
                    yield event
        except (RequestException, HTTPError, OSError, ValueError, AttributeError):
            return  # however it ends, the engine is asked anew for everything

    def wake(self) -> None:
        """End the stream, from another thread than the one that reads it."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it has ended by itself

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()
        self._response.close()
        self._client.close()


def _socket_of(response: Any) -> socket.socket:
    """Return a socket of our own for the response's connection."""
    return socket.socket(fileno=os.dup(response.raw.fileno()))


def _endpoints(network: dict[str, Any], kind: str) -> dict[Address, str]:
    holders = {}
    for endpoint in (network.get("Containers") or {}).values():
        for key in ("IPv4Address", "IPv6Address"):
            text = str(endpoint.get(key) or "").partition("/")[0]
            if text:
                holder = f"{kind.capitalize()}'s container {endpoint.get('Name', '')}"
                holders[Address.parse(text)] = holder
    return holders


def _reason(error: Exception) -> str:
    """Say in one line what went wrong at the bottom of a chain of errors."""
    if isinstance(error, APIError):
        return str(error.explanation or error)
    cause: BaseException = error
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__ or cause
    text = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return " ".join(str(text).split())[:300]
