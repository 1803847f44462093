"""What few sandboxes have and no interface takes along: routes that refuse, and sysctls."""

from __future__ import annotations

from errno import EAFNOSUPPORT, EEXIST, ENOENT, EOPNOTSUPP, ESRCH

from ocinet.engine.kernel import ip_messages, sysctl
from ocinet.engine.kernel.inside_ways import ask
from ocinet.engine.kernel.ip_messages import LOOPBACK
from ocinet.engine.kernel.links import Act, list_routes, socket_in
from ocinet.engine.kernel.sandbox import entered
from ocinet.engine.model.link import is_source_table

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
        acts: list[Act] = []
        with socket_in(sandbox) as socket:
            # What is sent from an address of one of several networks looks up a table of its own.
            known = map(ip_messages.decode_table, socket.dump(ip_messages.dump_routes(1)))
            tables = sorted({table for table in known if is_source_table(table)})
            for route in routes:
                for table in (ip_messages.MAIN, *tables):
                    place, what = len(acts), f"{'end' if ended else 'have'} {route}"
                    message = (
                        ip_messages.delete_route(place, route, table)
                        if ended
                        else ip_messages.new_route(place, 0, route, table=table)
                    )
                    # Of the main table alone it counts what is there already.
                    acts.append(Act(what, message, None if table in tables else route))
            refusals = ask(socket, acts)
            there = set(list_routes(socket)) if refusals else set()
        # A sandbox without IPv6 sends nothing by it.
        fine = (ESRCH, ENOENT, EAFNOSUPPORT, EOPNOTSUPP) if ended else (EAFNOSUPPORT, EOPNOTSUPP)
        for refused in refusals:
            act = acts[refused.sequence]
            is_there = refused.errno == EEXIST and act.route is None
            if not is_there and refused.errno not in fine and (LOOPBACK, act.route) not in there:
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
