"""An engine as hooks and wrapper see it, that wires nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from ocinet.engine.model.attachment import ATTACHED, Attachment

if TYPE_CHECKING:
    from ocinet.engine.model.attachment import Container
    from ocinet.engine.model.naming import Rootfs
    from ocinet.engine.model.request import Request
    from ocinet.engine.plan.seams import Sandbox


class FakeEngine:
    """Notes what it is asked, and fails if told so.

    Attributes:
        attached: who asked for what.
        sandboxes: of those, in the same order; likewise `roots`.
        detached: who has stopped, with the bundle that was said.
        named: whose files were written later than at attach.
        unnamed: whether those that are attached are recorded so.
        error: to be raised by whatever is asked.
        closed: how often it was.
    """

    def __init__(self) -> None:
        self.attached: list[tuple[Container, Request]] = []
        self.sandboxes: list[str] = []
        self.roots: list[Rootfs | None] = []
        self.detached: list[tuple[str, str | None]] = []
        self.named: list[str] = []
        self.unnamed = False
        self.error: Exception | None = None
        self.closed = 0

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Count it."""
        self.closed += 1

    def attach(
        self,
        container: Container,
        request: Request,
        sandbox: Sandbox,
        rootfs: Rootfs | None = None,
    ) -> Attachment:
        """Note who asks for what."""
        if self.error:
            raise self.error
        self.attached.append((container, request))
        self.roots.append(rootfs)
        self.sandboxes.append(sandbox.identity)
        made = Attachment(container, request.mode, ATTACHED, sandbox.identity, "", "")
        return made.replace(resolution=request.resolution, unnamed=self.unnamed)

    def tell_names(self, container_id: str) -> None:
        """Note whose files are written."""
        if self.error:
            raise self.error
        self.named.append(container_id)

    def detach(self, container_id: str, *, bundle: str | None = None) -> bool:
        """Note who has stopped."""
        if self.error:
            raise self.error
        self.detached.append((container_id, bundle))
        return True
