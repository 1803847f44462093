"""Who this machine is: an id made of the machine id, and a nonce by which a clone is known.

The id stays whatever becomes of addresses and names. It is no machine id: that is nobody's
business (machine-id(5)), so the id is a keyed hash of it, as `sd_id128_get_machine_app_specific`
makes one. A machine that was cloned has the same; what was made when the first of the two joined
it has not, unless it was cloned later: that its lease tells (see `member`).
"""

from __future__ import annotations

import hmac
import os
import secrets

from ocinet.base.errors import SystemFailure
from ocinet.base.files import Directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.paths import Paths

MACHINE_ID = "/etc/machine-id"
# Ours alone: of `uuidgen`, once.
_APPLICATION = bytes.fromhex("5b0c8f0e3a5d4d0f9a7e6f2b1c94d8e3")
_NONCE = "nonce"
_HEX_DIGITS = 32


def host_id(path: str = MACHINE_ID) -> str:
    """Return this machine's id, a UUID.

    Raises:
        SystemFailure: it has no machine id, or none yet.
    """
    what = "cannot tell which machine this is"
    hint = "systemd-machine-id-setup makes one"
    try:
        with open(path, "rb") as file:
            text = file.read(64).decode("ascii", "replace").strip()
    except OSError as error:
        raise SystemFailure(what, f"{path}: {error.strerror}", hint) from error
    try:
        machine = bytes.fromhex(text)
    except ValueError:
        machine = b""
    if len(text) != _HEX_DIGITS or len(machine) * 2 != _HEX_DIGITS or not any(machine):
        # In an image it is empty, or says "uninitialized", until the first boot.
        raise SystemFailure(what, f"{path} has no machine id", hint)
    digest = bytearray(hmac.digest(machine, _APPLICATION, "sha256")[:16])
    digest[6] = digest[6] & 0x0F | 0x40  # a UUID of version 4, as systemd marks them
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def mac_of(identity: str) -> str:
    """Return the MAC of a host's device: locally administered, and the same whenever it is made.

    >>> mac_of("6f1c0a52-0c4e-4b6d-9b1e-3d2f00aa1122")
    '02:3d:2f:00:aa:11'
    """
    # Of the part that has no fixed bits; five bytes, so that two of 1,000 hosts are alike with
    # a probability of one in two million.
    digits = identity.replace("-", "")[20:30]
    return ":".join(("02", *(digits[at : at + 2] for at in range(0, 10, 2))))


def nonce(paths: Paths) -> str:
    """Return what this installation is known by beside its id; made and synced if it is missing.

    Raises:
        OcinetError: it can't be kept.
    """
    with Directory(directory(paths), durable=True) as state:
        known = state.read(_NONCE)
        if known is None:
            state.create(_NONCE, secrets.token_hex(16))  # another one may have been faster
            known = state.read(_NONCE) or b""
    text = known.decode("ascii", "replace").strip()
    if len(text) != _HEX_DIGITS or not text.isalnum():
        path = f"{directory(paths)}/{_NONCE}"
        raise SystemFailure("cannot tell which machine this is", f"{path} makes no sense",
                            f"remove {path}; then ocinet cluster forget this host, from"
                            " another one")  # fmt: skip
    return text


def directory(paths: Paths) -> str:
    """Return where a host keeps what it is in a cluster."""
    return f"{paths.state}/cluster"


def own_name() -> str:
    """Return what this machine calls itself."""
    return os.uname().nodename
