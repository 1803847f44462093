"""Which families' forwarding it was us who switched on, and from what it is kept.

    /run/ocinet/forwarding.json
        {"boot_id": "…", "guards": [{"family": 4, "bridges": ["br0"]}]}

That forwarding is on, the kernel tells; what there was before it was, nobody does any
more. Written under the global lock.
"""

from __future__ import annotations

from ocinet.base.errors import OcinetError, SystemFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.paths import Paths
    from ocinet.engine.model.forward_guard import ForwardGuard

_FILE = "forwarding.json"


class ForwardGuards:
    """The guards of one installation, in this boot.

    Args:
        paths: of the installation.
        boot_id: of this boot: the next one begins with forwarding as the admin has it.
    """

    def __init__(self, paths: Paths, boot_id: str) -> None:
        self._paths = paths
        self._boot_id = boot_id

    def all(self) -> tuple[ForwardGuard, ...]:
        """Return the families that are guarded, in order; nothing is where that can't be read."""
        # Asked at each attach where somebody else has forwarding on, and seldom there.
        import posix

        try:
            posix.stat(f"{self._paths.run}/{_FILE}")
        except OSError:
            return ()
        from ocinet.base.files import Directory
        from ocinet.base.jsontext import loads
        from ocinet.engine.model.forward_guard import ForwardGuard

        try:
            with Directory(self._paths.run) as run:
                data = run.read(_FILE)
            known = loads(data, "cannot read what is guarded") if data else {}
            if known.get("boot_id") != self._boot_id:
                return ()
            return tuple(
                ForwardGuard(int(guard["family"]), tuple(map(str, guard["bridges"])))
                for guard in known["guards"]
            )
        except (OcinetError, OSError, KeyError, TypeError, ValueError, AttributeError):
            return ()

    def put(self, guards: tuple[ForwardGuard, ...]) -> None:
        """Write which families are guarded, in place of what was written.

        Raises:
            SystemFailure: the file can't be written.
        """
        from ocinet.base.files import Directory
        from ocinet.base.jsontext import dumps

        shown = [{"family": guard.family, "bridges": list(guard.bridges)} for guard in guards]
        try:
            with Directory(self._paths.run) as run:
                if guards:
                    run.replace(_FILE, dumps({"boot_id": self._boot_id, "guards": shown}))
                else:
                    run.remove(_FILE)
        except OcinetError as error:
            raise SystemFailure("cannot keep what is guarded", error.why, error.hint) from error
