"""Limits of containers' bandwidth: token buckets at host ends, and an ifb for what they send."""

from __future__ import annotations

from errno import EEXIST, EINVAL, ENODEV, ENOENT, EOPNOTSUPP

from ocinet.base.errors import KernelError
from ocinet.engine.kernel import shaping_messages
from ocinet.engine.kernel.filter_messages import add_clsact, dump_disciplines
from ocinet.engine.kernel.link_messages import set_alias
from ocinet.engine.model.bandwidth import Bandwidth, Limit, shaper_of
from ocinet.engine.netlink.framing import with_last_ack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.kernel.links import Links

_HINT = "modprobe -a sch_tbf ifb act_mirred cls_bpf sch_ingress"
_NOT_THERE = (ENODEV, ENOENT, EINVAL)


class Shaping:
    """Limits at links of the host that `links` are of. Not for several threads at once.

    Args:
        links: the host's; it is asked through their socket.
    """

    def __init__(self, links: Links) -> None:
        self._links = links

    def present(self, host_ifname: str) -> Bandwidth | None:
        """Return the limits of ours at a host end, those alone that are whole.

        Raises:
            KernelError: the kernel would not say.
        """
        end = self._links.link(host_ifname)
        if end is None:
            return None
        shaper = self._links.link(shaper_of(host_ifname))
        inward = self._bucket(end.ifindex)
        outward = None
        if shaper and shaper.up and self._redirected(end.ifindex) == shaper.ifindex:
            outward = self._bucket(shaper.ifindex)
        return Bandwidth(inward, outward) if inward or outward else None

    def put(self, host_ifname: str, bandwidth: Bandwidth | None, alias: str = "") -> bool:
        """Have a host end have these limits of ours, and no others of ours.

        Args:
            host_ifname: the host's end.
            bandwidth: None: it has none any more.
            alias: of the link that is made for what the container sends.

        Returns:
            Whether anything was changed.

        Raises:
            KernelError: the link is not there (ENODEV), or it was refused, as by a kernel that
                has no such disciplines or actions.
        """
        wanted = bandwidth or Bandwidth()
        before = self.present(host_ifname) or Bandwidth()
        end = self._links.link(host_ifname)
        if end is None:
            if bandwidth is None:
                return self._remove_shaper(host_ifname)
            raise KernelError(f"cannot limit {host_ifname}", "it is not there", errno=ENODEV)
        if wanted.inward and wanted.inward != before.inward:
            self._ask("limit what a container receives",
                      shaping_messages.put_bucket(1, end.ifindex, wanted.inward))  # fmt: skip
        elif before.inward and not wanted.inward:
            self._ask("end a limit", shaping_messages.delete_bucket(1, end.ifindex))
        if wanted.outward:
            if wanted.outward != before.outward:
                self._limit_outward(host_ifname, end.ifindex, wanted.outward, alias)
            return wanted != before
        # The filter first: what is redirected to a link that is gone is dropped.
        message = shaping_messages.delete_redirect(1, end.ifindex)
        self._ask("end a limit", message, *_NOT_THERE)
        return self._remove_shaper(host_ifname) or wanted != before

    def _limit_outward(self, host_ifname: str, ifindex: int, limit: Limit, alias: str) -> None:
        what, name = "limit what a container sends", shaper_of(host_ifname)
        self._ask(what, shaping_messages.new_ifb(1, name), EEXIST)
        shaper = self._links.link(name)
        if shaper is None or shaper.kind != "ifb":
            raise KernelError(f"cannot {what}", f"{name} is no ifb", errno=EEXIST)
        self._ask(what, set_alias(1, shaper.ifindex, alias, up=True))
        self._ask(what, shaping_messages.put_bucket(1, shaper.ifindex, limit))
        self._ask(what, add_clsact(1, ifindex), EEXIST)
        self._ask(what, shaping_messages.put_redirect(1, ifindex, shaper.ifindex))

    def _remove_shaper(self, host_ifname: str) -> bool:
        name = shaper_of(host_ifname)
        if self._links.link(name) is None:
            return False
        self._links.delete_links((name,))
        return True

    def _bucket(self, ifindex: int) -> Limit | None:
        # Before Linux 4.20 all links' are listed.
        bodies = self._links.socket.dump(dump_disciplines(1, ifindex))
        found = dict(filter(None, map(shaping_messages.decode_bucket, bodies)))
        return found.get(ifindex)

    def _redirected(self, ifindex: int) -> int:
        question = shaping_messages.get_redirect(1, ifindex)
        answers, refusals = self._links.socket.look_up(question, 1)
        if refusals and refusals[0].errno not in (*_NOT_THERE, EOPNOTSUPP):
            raise refusals[0].error("cannot look up a limit")
        return shaping_messages.decode_redirect(answers[0].body) if answers else 0

    def _ask(self, what: str, message: bytes, *fine: int) -> None:
        for refused in self._links.socket.ask(with_last_ack([message]), 1)[1]:
            if refused.errno in (ENOENT, EOPNOTSUPP) and refused.errno not in fine:
                raise KernelError(f"cannot {what}", f"{refused.why}: this kernel has it not",
                                  _HINT, errno=refused.errno)  # fmt: skip
            if refused.errno not in fine:
                raise refused.error(f"cannot {what}")
