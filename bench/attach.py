"""What one attach and one detach cost, against the field's own tools.

    bench/attach.py [--rounds N] [--others N]

Each contestant has a network and mount namespace of its own with tmpfs on /run
and /var/lib/cni. In every round each does one ADD and one DEL for a sandbox of
its own, in random order; the table has medians, and the ratio of each to CNI's
bridge with port mapping *of the same run*: machines are noisy, ratios less so.

    pass           an interpreter that starts and ends: what a Python hook can't beat
    ocinet         the hook, createRuntime and poststop, one published port
    ocinet-10p     the same with ten
    cni            bridge + host-local + ipMasq, without ports
    cni-1p         and portmap chained with one port: the reference
    cni-10p        the same with ten
    netavark-1p    podman's tool, its firewall driver as packaged
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

HOOK = (
    Path(__file__).resolve().parent.parent
    / ".venv/lib/python3.11/site-packages/ocinet/hooks/hook.py"
)
PYTHON = ["/usr/bin/python3", "-I", "-S"]
CNI = Path("/usr/lib/cni")
NETAVARK = Path("/usr/lib/podman/netavark")
NEWNS, NEWNET = 0x00020000, 0x40000000
_END = "end\n"  # not the end of the file: later arenas have copies of the pipe
LIBC = ctypes.CDLL(None, use_errno=True)


def sandbox() -> subprocess.Popen[bytes]:
    """Start a process that sleeps in a network namespace of its own."""
    child = subprocess.Popen(["unshare", "-n", "sleep", "600"])
    own = os.stat("/proc/self/ns/net").st_ino
    while os.stat(f"/proc/{child.pid}/ns/net").st_ino == own:
        time.sleep(0.001)
    return child


class Contestant:
    """One way to wire a sandbox; runs in namespaces of its own."""

    name = ""

    def add(self, netns: str) -> list[list[str]]:
        """Return the commands of an ADD; each is given `self.stdin`."""
        raise NotImplementedError

    def remove(self, netns: str) -> list[list[str]]:
        """Return the commands of a DEL."""
        raise NotImplementedError

    def environment(self, number: int, netns: str, verb: str) -> dict[str, str]:
        """Return the environment of a command."""
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}

    def stdin(self, number: int, pid: int, verb: str, last: str) -> str:
        """Return what a command reads; `last` is what the one before printed."""
        return ""


class Pass(Contestant):
    """An interpreter that does nothing."""

    name = "pass"

    def add(self, netns: str) -> list[list[str]]:
        """Start and end."""
        return [[*PYTHON, "-c", "pass"]]

    remove = add


class Ocinet(Contestant):
    """Our hook."""

    def __init__(self, ports: int) -> None:
        self.name = f"ocinet-{ports}p" if ports != 1 else "ocinet"
        self.ports = ports

    def add(self, netns: str) -> list[list[str]]:
        """Run createRuntime."""
        return [[*PYTHON, str(HOOK), "createRuntime"]]

    def remove(self, netns: str) -> list[list[str]]:
        """Run poststop."""
        return [[*PYTHON, str(HOOK), "poststop"]]

    def stdin(self, number: int, pid: int, verb: str, last: str) -> str:
        """Return the state of the container."""
        first = 20000 + number * self.ports
        state: dict[str, object] = {
            "ociVersion": "1.0.2", "id": f"bench{number}", "bundle": "/",
            "status": "creating" if verb == "add" else "stopped",
            "annotations": {"ocinet.net": "bridge"},
        }  # fmt: skip
        if self.ports:
            publish = ",".join(f"{first + port}:{80 + port}" for port in range(self.ports))
            state["annotations"] = {"ocinet.net": "bridge", "ocinet.publish": publish}
        if verb == "add":
            state["pid"] = pid
        return json.dumps(state)


class Cni(Contestant):
    """The reference plugins: bridge, host-local, and portmap."""

    def __init__(self, ports: int) -> None:
        self.name = f"cni-{ports}p" if ports else "cni"
        self.ports = ports

    def add(self, netns: str) -> list[list[str]]:
        """Run the chain."""
        return [[str(CNI / "bridge")]] + ([[str(CNI / "portmap")]] if self.ports else [])

    def remove(self, netns: str) -> list[list[str]]:
        """Run the chain backwards."""
        return self.add(netns)[::-1]

    def environment(self, number: int, netns: str, verb: str) -> dict[str, str]:
        """Return what the specification asks for."""
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "CNI_PATH": str(CNI),
            "CNI_COMMAND": {"add": "ADD", "remove": "DEL"}[verb],
            "CNI_CONTAINERID": f"bench{number}", "CNI_IFNAME": "eth0",
            "CNI_NETNS": netns,
        }  # fmt: skip

    def stdin(self, number: int, pid: int, verb: str, last: str) -> str:
        """Return the network's configuration."""
        first = 20000 + number * self.ports
        config: dict[str, object] = {
            "cniVersion": "0.4.0", "name": "bench", "type": "bridge", "bridge": "cni0",
            "isGateway": True, "ipMasq": True,
            "ipam": {"type": "host-local", "subnet": "10.90.0.0/16",
                     "routes": [{"dst": "0.0.0.0/0"}]},
        }  # fmt: skip
        if self.ports:
            config["capabilities"] = {"portMappings": True}
            config["runtimeConfig"] = {"portMappings": [
                {"hostPort": first + port, "containerPort": 80 + port, "protocol": "tcp"}
                for port in range(self.ports)
            ]}  # fmt: skip
        if last:
            config["prevResult"] = json.loads(last)
        elif verb == "remove" and self.ports:
            config["prevResult"] = {"cniVersion": "0.4.0", "interfaces": [], "ips": []}
        return json.dumps(config)


class Netavark(Contestant):
    """What podman calls."""

    name = "netavark-1p"

    def add(self, netns: str) -> list[list[str]]:
        """Run setup."""
        return [[str(NETAVARK), "setup", netns]]

    def remove(self, netns: str) -> list[list[str]]:
        """Run teardown."""
        return [[str(NETAVARK), "teardown", netns]]

    def stdin(self, number: int, pid: int, verb: str, last: str) -> str:
        """Return container and network as podman gives them."""
        address = f"10.91.{number // 250}.{2 + number % 250}"
        return json.dumps({
            "container_id": f"bench{number}", "container_name": f"bench{number}",
            "port_mappings": [{"host_ip": "", "host_port": 20000 + number, "container_port": 80,
                               "protocol": "tcp", "range": 1}],
            "networks": {"bench": {"interface_name": "eth0", "static_ips": [address]}},
            "network_info": {"bench": {
                "name": "bench", "id": "b" * 64, "driver": "bridge", "network_interface": "nv0",
                "subnets": [{"subnet": "10.91.0.0/16", "gateway": "10.91.0.1"}],
                "ipv6_enabled": False, "internal": False, "dns_enabled": False,
                "ipam_options": {"driver": "host-local"},
            }},
        })  # fmt: skip


class Arena:
    """A forked process in namespaces of its own that runs one contestant on request."""

    def __init__(self, contestant: Contestant) -> None:
        self.contestant = contestant
        self.netns_path = ""
        to_child, self._to_child = os.pipe()
        self._from_child, from_child = os.pipe()
        self._pid = os.fork()
        if not self._pid:
            os.close(self._to_child)
            os.close(self._from_child)
            try:
                self._serve(os.fdopen(to_child), os.fdopen(from_child, "w"))
            except (SystemExit, Exception) as error:  # noqa: BLE001  # the child's edge
                print(error, file=sys.stderr)
            finally:
                os._exit(0)
        os.close(to_child)
        os.close(from_child)
        self._send = os.fdopen(self._to_child, "w")
        self._receive = os.fdopen(self._from_child)

    def _serve(self, requests: IO[str], answers: IO[str]) -> None:
        if LIBC.unshare(NEWNS | NEWNET):
            raise OSError(ctypes.get_errno(), "unshare")
        for command in (
            "mount --make-rprivate /", "mount -t tmpfs -o mode=755 tmpfs /run",
            "mkdir -p /run/netns /run/lock /run/containers /run/ocinet-etc /run/ocinet-lib",
            "mkdir -p /var/lib/cni", "mount -t tmpfs tmpfs /var/lib/cni", "ip link set lo up",
        ):  # fmt: skip
            subprocess.run(command.split(), check=True)
        for line in requests:
            if line == _END:
                return
            number = int(line)
            child = sandbox()
            netns = os.open(f"/proc/{child.pid}/ns/net", os.O_RDONLY)
            self.netns_path = f"/proc/{os.getpid()}/fd/{netns}"
            took = [self._run("add", number, child.pid)]
            child.kill()  # as at poststop; the namespace stays, as CNI and netavark need it to
            child.wait()
            took.append(self._run("remove", number, child.pid))
            os.close(netns)
            answers.write(json.dumps(took) + "\n")
            answers.flush()

    def _run(self, verb: str, number: int, pid: int) -> float:
        contestant, last, total = self.contestant, "", 0.0
        netns = self.netns_path
        commands = contestant.add(netns) if verb == "add" else contestant.remove(netns)
        for command in commands:
            stdin = contestant.stdin(number, pid, verb, last)
            environment = {
                **contestant.environment(number, netns, verb),
                "OCINET_CONFIG_DIR": "/run/ocinet-etc", "OCINET_STATE_DIR": "/run/ocinet-lib",
            }  # fmt: skip
            start = time.perf_counter()
            done = subprocess.run(command, input=stdin, env=environment, text=True,
                                  capture_output=True, check=False)  # fmt: skip
            total += time.perf_counter() - start
            if done.returncode:
                sys.exit(f"{contestant.name} {verb}: {done.stdout}{done.stderr}")
            last = done.stdout if verb == "add" else ""
        return total * 1000

    def round(self, number: int) -> tuple[float, float]:
        """Do one ADD and one DEL; returns the milliseconds of each."""
        self._send.write(f"{number}\n")
        self._send.flush()
        line = self._receive.readline()
        if not line:
            sys.exit(f"{self.contestant.name} failed")
        add, remove = json.loads(line)
        return add, remove

    def close(self) -> None:
        """End the process; its namespaces go with it."""
        self._send.write(_END)
        self._send.close()
        self._receive.close()
        os.waitpid(self._pid, 0)


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=30, help="how many ADDs and DELs of each")
    rounds = parser.parse_args().rounds
    contestants: list[Contestant] = [Pass(), Ocinet(0), Ocinet(1), Ocinet(10)]
    if CNI.exists():
        contestants += [Cni(0), Cni(1), Cni(10)]
    if NETAVARK.exists():
        contestants.append(Netavark())
    arenas = [Arena(one) for one in contestants]
    times: dict[str, list[tuple[float, float]]] = {one.name: [] for one in contestants}
    for number in range(rounds + 1):
        for arena in random.sample(arenas, len(arenas)):
            took = arena.round(number)
            if number:  # the first makes bridges and tables
                times[arena.contestant.name].append(took)
    for arena in arenas:
        arena.close()
    medians = {name: [statistics.median(column) for column in zip(*took, strict=True)]
               for name, took in times.items()}  # fmt: skip
    reference = medians.get("cni-1p", medians["pass"])
    print(f"{'contestant':14} {'ADD ms':>8} {'ratio':>6} {'DEL ms':>8} {'ratio':>6}")
    for name, (add, remove) in medians.items():
        ratios = add / reference[0], remove / reference[1]
        print(f"{name:14} {add:8.1f} {ratios[0]:6.2f} {remove:8.1f} {ratios[1]:6.2f}")


if __name__ == "__main__":
    main()
