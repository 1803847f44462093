"""All that is told to Prometheus: what each metric is, and its samples from a picture.

docs/metrics.md has the same table; a test holds that.
"""

from __future__ import annotations

from ocinet.base.value import Value
from ocinet.engine.plan.repair_kinds import KINDS
from ocinet.picture.counts import ATTACH, CAUSES, DOORS
from ocinet.picture.counts import EVENTS as EVENTS_TOLD
from ocinet.picture.exposition import COUNTER, GAUGE, HISTOGRAM, Distribution, Metric
from ocinet.picture.values import STATES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ocinet.picture.counts import Counts
    from ocinet.picture.values import Container, Figures, Picture

    Samples = Mapping[tuple[str, ...], float | Distribution]

_ENDPOINT = ("container", "id", "network", "interface")
_POOL = ("network", "family")
_HEX_ID = 64  # digits of an id that an engine made: 12 of them are enough
_ENDPOINTS = (
    ("receive_bytes", "rx_bytes", "Bytes that a container received."),
    ("receive_packets", "rx_packets", "Packets that a container received."),
    ("receive_dropped_packets", "rx_dropped",
     "Packets to a container that the kernel dropped at its veth."),
    ("transmit_bytes", "tx_bytes", "Bytes that a container sent."),
    ("transmit_packets", "tx_packets", "Packets that a container sent."),
    ("transmit_dropped_packets", "tx_dropped",
     "Packets of a container that the kernel dropped at its veth."),
    ("refused_packets", "refused",
     "Packets of a container that its port's guard dropped, as bearing another MAC or address."),
)  # fmt: skip

BUILD = Metric(
    "ocinet_build_info", GAUGE, "1; by which version this is told.", ("version", "python")
)
CONTAINERS = Metric("ocinet_containers", GAUGE, "Containers that are known, by state.", ("state",))
ATTACHMENTS = Metric(
    "ocinet_attachments",
    GAUGE,
    "Containers on a network, by state and by the door that they came by; who is on two counts "
    "on both, who is on none on the network without a name.",
    ("network", "state", "door"),
)
NETWORK_UP = Metric(
    "ocinet_network_up",
    GAUGE,
    "1 if nothing is wrong with a network's bridge, else 0.",
    ("network",),
)
POOL_SIZE = Metric("ocinet_pool_addresses", GAUGE, "Addresses that a network may give out.", _POOL)
POOL_USED = Metric(
    "ocinet_pool_used_addresses", GAUGE, "Addresses of a network that are held.", _POOL
)
POOL_RESERVED = Metric(
    "ocinet_pool_reserved_addresses",
    GAUGE,
    "Addresses of a network that are kept for names, held or not.",
    _POOL,
)
FLAWS = Metric("ocinet_flaws", GAUGE, "Things that are wrong and that all containers share.")
ENDPOINTS = tuple(
    (Metric(f"ocinet_endpoint_{name}_total", COUNTER, says, _ENDPOINT), field)
    for name, field, says in _ENDPOINTS
)
OPERATIONS = Metric(
    "ocinet_operations_total",
    COUNTER,
    "Attaches and detaches that were done (ok) or came to nothing (failed).",
    ("operation", "door", "outcome"),
)
DURATION = Metric(
    "ocinet_operation_duration_seconds",
    HISTOGRAM,
    "How long those took that were done, without the start of a hook's process.",
    ("operation", "door"),
)
FAILURES = Metric(
    "ocinet_failures_total",
    COUNTER,
    "Attaches and detaches that came to nothing, by what was in the way.",
    ("operation", "door", "cause"),
)
REPAIRS = Metric("ocinet_repairs_total", COUNTER, "What was put right, by what it was.", ("kind",))
EVENTS = Metric("ocinet_events_total", COUNTER, "Events of the log, by phrase.", ("event",))
GAPS = Metric(
    "ocinet_event_log_gaps_total",
    COUNTER,
    "How often events were gone from the log before they were counted.",
)
WATCHER_UP = Metric("ocinet_watcher_up", GAUGE, "1 if a watcher runs, else 0.")
WATCHER_READY = Metric(
    "ocinet_watcher_ready", GAUGE, "1 if all that ran before the watcher has been looked at."
)
ENGINE_UP = Metric(
    "ocinet_watcher_engine_up",
    GAUGE,
    "1 if an engine tells the watcher of its containers, else 0.",
    ("socket",),
)
RECONCILED = Metric(
    "ocinet_watcher_last_reconcile_timestamp_seconds",
    GAUGE,
    "When the watcher last compared all with what is wired.",
)
WORKERS = Metric("ocinet_watcher_workers", GAUGE, "Threads that do the watcher's jobs.")
BUSY = Metric("ocinet_watcher_workers_busy", GAUGE, "Those that are at one.")
QUEUED = Metric("ocinet_watcher_jobs_queued", GAUGE, "Jobs that wait for a worker.")
LONGEST = Metric(
    "ocinet_watcher_longest_job_seconds",
    GAUGE,
    "How long the job has been done that takes longest just now; 0 if none is.",
)
GATHERED = Metric(
    "ocinet_gather_duration_seconds",
    GAUGE,
    "How long it took to gather all of this, but for this line.",
)
# As Prometheus's own clients name them: prometheus.io/docs/instrumenting/writing_clientlibs.
PROCESS_CPU = Metric(
    "process_cpu_seconds_total",
    COUNTER,
    "User and system CPU time of the watcher and of what it ran.",
)
PROCESS_FDS = Metric("process_open_fds", GAUGE, "Open file descriptors of the watcher.")
PROCESS_MAX_FDS = Metric("process_max_fds", GAUGE, "How many file descriptors it may have.")
PROCESS_MEMORY = Metric("process_resident_memory_bytes", GAUGE, "Memory of the watcher.")
PROCESS_THREADS = Metric("process_threads", GAUGE, "Threads of the watcher.")
PROCESS_START = Metric(
    "process_start_time_seconds", GAUGE, "When the watcher was started, since 1970."
)

METRICS = (
    BUILD, CONTAINERS, ATTACHMENTS, NETWORK_UP, POOL_SIZE, POOL_USED, POOL_RESERVED, FLAWS,
    *(metric for metric, _field in ENDPOINTS), OPERATIONS, DURATION, FAILURES, REPAIRS, EVENTS,
    GAPS, WATCHER_UP, WATCHER_READY, ENGINE_UP, RECONCILED, WORKERS, BUSY, QUEUED, LONGEST,
    GATHERED, PROCESS_CPU, PROCESS_FDS, PROCESS_MAX_FDS, PROCESS_MEMORY, PROCESS_THREADS,
    PROCESS_START,
)  # fmt: skip

# A series that begins with its first failure shows Prometheus no increase, so no alert.
_FAILURES_FROM_ZERO: Samples = {(ATTACH, door, cause): 0 for door in DOORS for cause in CAUSES}
_REPAIRS_FROM_ZERO: Samples = {(kind,): 0 for kind in KINDS}
_EVENTS_FROM_ZERO: Samples = {(event,): 0 for event in EVENTS_TOLD}


class Watching(Value):
    """What can be told of the watcher from outside.

    Attributes:
        up: whether it lives.
        ready: whether it has looked at all that was there before it.
        engines: socket of each, with whether it tells of its containers.
    """

    up: bool = False
    ready: bool = False
    engines: tuple[tuple[str, bool], ...] = ()


def families(
    picture: Picture, counts: Counts, watching: Watching, build: tuple[str, str]
) -> list[tuple[Metric, Samples]]:
    """Return all that is told, whoever tells it.

    Args:
        picture: of now.
        counts: of the event log.
        watching: of the watcher.
        build: the versions of ocinet and of Python.
    """
    return [
        (BUILD, {build: 1}),
        *_of_containers(picture.containers),
        *_of_networks(picture),
        (FLAWS, {(): len(picture.flaws)}),
        *_of_endpoints(picture.containers),
        *_of_counts(counts),
        (WATCHER_UP, {(): int(watching.up)}),
        (WATCHER_READY, {(): int(watching.ready)}),
        (ENGINE_UP, {(socket,): int(up) for socket, up in watching.engines}),
    ]


def _of_containers(containers: Iterable[Container]) -> Iterator[tuple[Metric, Samples]]:
    by_state: dict[tuple[str, ...], int] = {(state,): 0 for state in STATES}
    on_networks: dict[tuple[str, ...], int] = {}
    for container in containers:
        by_state[container.state,] += 1
        for network in {each.network for each in container.interfaces} or {""}:
            key = (network, container.state, container.door)
            on_networks[key] = on_networks.get(key, 0) + 1
    yield CONTAINERS, by_state
    yield ATTACHMENTS, on_networks


def _of_networks(picture: Picture) -> Iterator[tuple[Metric, Samples]]:
    yield NETWORK_UP, {(network.name,): int(not network.why) for network in picture.networks}
    size: dict[tuple[str, ...], int] = {}
    used: dict[tuple[str, ...], int] = {}
    reserved: dict[tuple[str, ...], int] = {}
    for network in picture.networks:
        for pool in network.pools:
            key = (network.name, str(pool.family))
            size[key] = size.get(key, 0) + pool.size
            used[key] = used.get(key, 0) + pool.used
            reserved[key] = reserved.get(key, 0) + pool.reserved
    yield POOL_SIZE, size
    yield POOL_USED, used
    yield POOL_RESERVED, reserved


def _of_endpoints(containers: Iterable[Container]) -> Iterator[tuple[Metric, Samples]]:
    # Names may be had twice, as by two engines: with the id each sample is one of its own.
    told: dict[tuple[str, ...], Figures] = {}
    for container in containers:
        for interface in container.interfaces:
            if interface.figures:
                own = (container.name, short_id(container.id), interface.network, interface.name)
                told[own] = interface.figures
    for metric, field in ENDPOINTS:
        samples = {own: getattr(figures, field) for own, figures in told.items()}
        yield metric, {own: count for own, count in samples.items() if count is not None}


def short_id(container_id: str) -> str:
    """Return as much of an id as tells it from others: one that a person chose is needed whole."""
    is_made = len(container_id) == _HEX_ID and not set(container_id) - set("0123456789abcdef")
    return container_id[:12] if is_made else container_id


def _of_counts(counts: Counts) -> Iterator[tuple[Metric, Samples]]:
    yield OPERATIONS, counts.operations
    yield DURATION, counts.durations
    yield FAILURES, {**_FAILURES_FROM_ZERO, **counts.failures}
    yield REPAIRS, {**_REPAIRS_FROM_ZERO, **counts.repairs}
    yield EVENTS, {**_EVENTS_FROM_ZERO, **counts.events}
    yield GAPS, {(): counts.gaps}
