"""What few sandboxes have and no interface takes along: routes that refuse, and sysctls."""

from __future__ import annotations

from errno import EAFNOSUPPORT, ENOENT, EOPNOTSUPP, ESRCH

from ocinet.engine.kernel import ip_messages, sysctl
from ocinet.engine.kernel.inside_ways import ask
from ocinet.engine.kernel.links import Act, list_routes, socket_in
from ocinet.engine.kernel.sandbox import entered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.kernel.sandbox import OpenNamespace
    from ocinet.engine.model.request import Route


class Marks:
    """They are put into sandboxes, and taken out of them."""

    def refuse(
        self, sandbox: OpenNamespace, routes: tuple[Route, ...], *, ended: bool = False
    ) -> bool:
        """Have nothing sent to the destinations of routes, which no interface has.

        It can be repeated: what is so already is fine.

        Args:
            sandbox: open.
            routes: of `REFUSING` kinds.
            ended: take them away instead.

        Returns:
            Whether anything was changed.

        Raises:
            SystemFailure: the sandbox could not be entered.
            KernelError: there is another route to the same destination (EEXIST), or the kernel
                refused.
        """
        acts = [
            Act(f"end {route}", ip_messages.delete_route(place, route), route)
            if ended
            else Act(f"have {route}", ip_messages.new_route(place, 0, route), route)
            for place, route in enumerate(routes)
        ]
        with socket_in(sandbox) as socket:
            refusals = ask(socket, acts)
            there = set(list_routes(socket)) if refusals else set()
        # A sandbox without IPv6 sends nothing by it.
        fine = (ESRCH, ENOENT, EAFNOSUPPORT, EOPNOTSUPP) if ended else (EAFNOSUPPORT, EOPNOTSUPP)
        for refused in refusals:
            act = acts[refused.sequence]
            if refused.errno not in fine and (ip_messages.LOOPBACK, act.route) not in there:
                raise refused.error(f"cannot {act.what}")
        return len(refusals) < len(acts)

    def sysctls(
        self, sandbox: OpenNamespace, wanted: tuple[tuple[str, str | None], ...]
    ) -> dict[str, str | None]:
        """Give kernel parameters of a sandbox values, and return what they had before.

        Args:
            sandbox: open.
            wanted: keys, each with its value; None: it is read alone.

        Returns:
            The values by key; None of one that is not there.

        Raises:
            SystemFailure: the sandbox could not be entered; or one that is to be set is not there,
                or may not be written, as where /proc/sys is read-only.
        """
        found = {}
        # The files are this mount namespace's, and what they show is the network namespace's that
        # the thread is in: nothing of the container's is opened.
        with entered(sandbox):
            for key, value in wanted:
                found[key] = sysctl.read(key)
                if value is not None:
                    sysctl.write(key, value)
        return found
