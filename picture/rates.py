"""What passes containers' interfaces each second: the difference of two looks."""

from __future__ import annotations

from ocinet.base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.picture.values import Container, Figures

COUNTED = ("rx_bytes", "rx_packets", "tx_bytes", "tx_packets", "dropped")
_LINKS = COUNTED[:4]  # the link's alone, so that they tell whether it is another one


class Total(Value):
    """What has passed a container's interfaces; `dropped` is what was lost or refused there."""

    rx_bytes: int = 0
    rx_packets: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    dropped: int = 0


class Look(Value):
    """The interfaces of all containers at one moment.

    Attributes:
        at_s: seconds of a clock that nobody sets.
        figures: by container id and host end; those that are there.
    """

    at_s: float
    figures: dict[tuple[str, str], Figures]

    @classmethod
    def at(cls, at_s: float, containers: tuple[Container, ...]) -> Look:
        """Return the look at a picture's containers."""
        return cls(
            at_s,
            {
                (container.id, interface.host_end): interface.figures
                for container in containers
                for interface in container.interfaces
                if interface.figures
            },
        )


class Rates(Value):
    """What passes a container's interfaces each second.

    Attributes:
        per_s: bytes, packets and drops, each by its name in COUNTED; None until there are two
            looks at it.
        total: since its interfaces were made.
    """

    per_s: dict[str, float] | None
    total: Total


def rates_of(container: Container, before: Look | None, now: Look) -> Rates:
    """Return a container's rates between two looks.

    A counter that has gone back is another interface's, as after a restart under the same name:
    what it has counted since is what has passed. One that was not there before may have counted
    for longer than since then, so it is left out until the next look.
    """
    own = [interface.host_end for interface in container.interfaces]
    total, passed, is_known = dict.fromkeys(COUNTED, 0), dict.fromkeys(COUNTED, 0), False
    for host_end in own:
        figures = now.figures.get((container.id, host_end))
        if figures is None:
            continue
        former = before.figures.get((container.id, host_end)) if before else None
        counts = _counts(figures)
        former_counts = _counts(former) if former else None
        is_anew = bool(former_counts and any(counts[key] < former_counts[key] for key in _LINKS))
        for key in COUNTED:
            total[key] += counts[key]
            if former_counts:
                # The guard's own count begins anew with the guard, while the link stays.
                passed[key] += max(0, counts[key] - (0 if is_anew else former_counts[key]))
        is_known = is_known or former is not None
    elapsed_s = now.at_s - before.at_s if before else 0.0
    known = is_known and elapsed_s > 0
    per_s = {key: passed[key] / elapsed_s for key in COUNTED} if known else None
    return Rates(per_s, Total(**total))


def _counts(figures: Figures) -> dict[str, int]:
    return {
        "rx_bytes": figures.rx_bytes,
        "rx_packets": figures.rx_packets,
        "tx_bytes": figures.tx_bytes,
        "tx_packets": figures.tx_packets,
        "dropped": figures.rx_dropped + figures.tx_dropped + (figures.refused or 0),
    }
