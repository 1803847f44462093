"""An engine as hooks and wrapper see it, that wires nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from ocinet.engine.model.attachment import ATTACHED, Attachment

if TYPE_CHECKING:
    from ocinet.engine.model.attachment import Container
    from ocinet.engine.model.request import Request
    from ocinet.engine.plan.seams import Sandbox


class FakeEngine:
    """Notes what it is asked, and fails if told so.

    Attributes:
        attached: who asked for what.
        sandboxes: of those, in the same order.
        detached: who has stopped, with the bundle that was said.
        error: to be raised by whatever is asked.
        closed: how often it was.
    """

    def __init__(self) -> None:
        self.attached: list[tuple[Container, Request]] = []
        self.sandboxes: list[str] = []
        self.detached: list[tuple[str, str | None]] = []
        self.error: Exception | None = None
        self.closed = 0

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Count it."""
        self.closed += 1

    def attach(self, container: Container, request: Request, sandbox: Sandbox) -> Attachment:
        """Note who asks for what."""
        if self.error:
            raise self.error
        self.attached.append((container, request))
        self.sandboxes.append(sandbox.identity)
        return Attachment(container, request.mode, ATTACHED, sandbox.identity, "", "")

    def detach(self, container_id: str, *, bundle: str | None = None) -> bool:
        """Note who has stopped."""
        if self.error:
            raise self.error
        self.detached.append((container_id, bundle))
        return True
