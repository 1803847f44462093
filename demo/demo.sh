#!/bin/bash
# Shows what ocinet does, with real runc containers in namespaces of its own:
# the machine's network, firewall and files stay as they are.
set -euo pipefail

cd "$(dirname "$0")/.."
ocinet=$PWD/.venv/bin/ocinet

if [ "${1:-}" != inside ]; then
    if [ "$(id -u)" -ne 0 ]; then
        echo "the demo needs root: it makes namespaces and runs containers" >&2
        exit 1
    fi
    place=$(mktemp -d)
    status=0
    unshare --net --mount --propagation private -- "demo/$(basename "$0")" inside "$place" ||
        status=$?
    rm -rf "$place"
    exit "$status"
fi

place=$2
cgroup=/ocinet-demo-$$
containers=()
bold='' cyan='' plain=''
if [ -t 1 ]; then
    bold=$'\033[1m' cyan=$'\033[36m' plain=$'\033[0m'
fi

say() {
    printf '\n%s# %s%s\n' "$bold" "$*" "$plain"
}

# Prints a command as a user would type it.
echo_command() {
    printf '%s$ %s%s\n' "$cyan" "$*" "$plain"
}

show() {
    echo_command "$@"
    "$@"
}

ocinet() {
    "$ocinet" "$@"
}

fail() {
    echo "demo: $*" >&2
    exit 1
}

expect_nothing() {
    local what=$1 found
    shift
    found=$("$@")
    [ -z "$found" ] || fail "$what left behind: $found"
    echo "no $what left"
}

# A machine of its own: an empty /run, private copies of /etc and /var/lib.
make_machine() {
    mount -t tmpfs -o mode=755 demo /run
    mkdir -p /run/lock /run/netns
    local copied
    for copied in /etc /var/lib; do
        mkdir -p "/run/demo/upper$copied" "/run/demo/work$copied"
        mount -t overlay demo "$copied" \
            -o "lowerdir=$copied,upperdir=/run/demo/upper$copied,workdir=/run/demo/work$copied"
    done
    rm -rf /etc/ocinet /var/lib/ocinet
    ip link set lo up
}

make_rootfs() {
    local rootfs=$place/rootfs applet
    mkdir -p "$rootfs"/{bin,dev,etc,proc,root,sys,tmp,www}
    cp "$(command -v busybox)" "$rootfs/bin/busybox"
    for applet in $(busybox --list); do
        [ "$applet" = busybox ] || ln -s busybox "$rootfs/bin/$applet"
    done
    echo "hello from web" > "$rootfs/www/index.html"
}

# make_bundle NAME COMMAND...: what `runc spec` writes, with another command.
make_bundle() {
    local name=$1
    shift
    mkdir "$name"
    (cd "$name" && runc spec)
    /usr/bin/python3 - "$name" "$place/rootfs" "$cgroup/$name" "$@" <<'PYTHON'
import json
import sys

name, rootfs, cgroup, *command = sys.argv[1:]
with open(f"{name}/config.json") as stream:
    config = json.load(stream)
config["process"].update(terminal=False, args=command)
config["root"] = {"path": rootfs, "readonly": True}
config["mounts"] = [each for each in config["mounts"] if each["type"] != "cgroup"]
config["linux"]["cgroupsPath"] = cgroup
with open(f"{name}/config.json", "w") as stream:
    json.dump(config, stream, indent=4)
PYTHON
}

start() {
    containers+=("$1")
    local command=(runc run --detach --bundle "$1" "$1")
    echo_command "${command[@]}"
    # The container keeps what it gets here: our own output would never end.
    "${command[@]}" < /dev/null > "$1/output" 2>&1 || fail "$(cat "$1/output")"
}

stop() {
    show runc delete --force "$1"
}

finish() {
    local name
    for name in "${containers[@]}"; do
        runc delete --force "$name" > /dev/null 2>&1 || true
    done
    find /sys/fs/cgroup -depth -type d -path "*$cgroup*" -exec rmdir {} + 2> /dev/null || true
}

address_of() {
    ip netns exec "$1" ip -json -4 address show dev eth0 |
        /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["addr_info"][0]["local"])'
}

make_machine
trap finish EXIT
make_rootfs
cd "$place"
make_bundle web httpd -f -p 80 -h /www
make_bundle client sleep 1000
make_bundle side sleep 1000
started=$SECONDS

say "A machine with nothing but a loopback, and three plain runc bundles"
show ip -brief address
show ls

say "Two containers that have no network of their own get one"
show ocinet hooks add web --net bridge --publish 8080:80 --name web
show ocinet hooks add client --net bridge --name client
start web
start client

say "Each has an address and a default route, up before its first instruction"
show runc exec web ip address show dev eth0
show runc exec web ip route
show ocinet ps

say "They reach each other"
web=$(address_of web)
show ocinet exec client -- busybox ping -c 2 "$web"
show runc exec client wget -q -O - "http://$web/"

say "The published port answers on the host"
show curl --silent --show-error --fail --max-time 5 http://127.0.0.1:8080/

say "A container that shares web's network: their 127.0.0.1 is one"
show ocinet hooks add side --net container:web --name side
start side
show runc exec side wget -q -O - http://127.0.0.1/

say "Their namespaces have names"
show ip netns
show ip netns exec web ip -brief address

say "What the kernel has: one bridge, one link per endpoint, ports as set elements"
show ocinet network ls
show ip -brief link
show nft list table inet ocinet

say "Stopped as runc stops them, they leave nothing"
stop side
stop client
stop web
containers=()
show ocinet ps
expect_nothing "links" ip -oneline link show type veth
expect_nothing "names of namespaces" ip netns
expect_nothing "addresses, ports and records" find /run/ocinet/ipam /run/ocinet/ports \
    /run/ocinet/attachments -type f -not -name 'lock' -not -name '.*'

printf '\nDone in %s s.\n' "$((SECONDS - started))"
