"""Names of containers on other hosts: kept, and among those that the name server reads."""

from __future__ import annotations

from ocinet.engine.kernel.served_files import ServedFiles
from ocinet.engine.model.elsewhere import Elsewhere, read_elsewhere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.base.clock import Deadline
    from ocinet.base.paths import Paths
    from ocinet.engine.model.name_holders import Contested


class NamesElsewhere:
    """See `seams.NamesElsewhere`.

    Args:
        paths: of the installation.
        deadline: of the operation.
    """

    def __init__(self, paths: Paths, deadline: Deadline | None) -> None:
        self._files = ServedFiles(paths, deadline)

    def there(self, network: str) -> tuple[Elsewhere, ...]:
        """Return who of a network is on other hosts, as it was told last."""
        return read_elsewhere(self._files.elsewhere(network))

    def networks(self) -> tuple[str, ...]:
        """List the networks of which somebody is on another host, sorted."""
        return self._files.networks_elsewhere()

    def tell(
        self,
        network: str,
        there: tuple[Elsewhere, ...],
        came: Callable[[str], tuple[str, str, str]] | None,
        contested: list[tuple[str, Contested]],
    ) -> bool:
        """Have those on other hosts found on a network, and no others there."""
        from ocinet.engine.kernel.name_program import NameProgram  # who only looks needs none

        files = self._files
        with files.lock():
            changed, lost = files.put_elsewhere(network, there, came)
            if changed:
                # One that has ended reads all when it is started, which is the keeper's.
                NameProgram(files.folder, files.path).tell()
        contested += [(network, each) for each in lost]
        return changed
