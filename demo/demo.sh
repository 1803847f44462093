#!/bin/bash
# Shows what ocinet does, with real containers of runc, Docker and podman in
# namespaces of its own: the machine's network, firewall, files and processes
# stay as they are.
#
#     demo/demo.sh [runc] [docker] [podman]     all three, if none is named
#     demo/demo.sh cluster                      three hosts with an etcd
set -euo pipefail

cd "$(dirname "$0")/.."
ocinet=$PWD/.venv/bin/ocinet
parts=$PWD/demo

if [ "${1:-}" != inside ]; then
    if [ "$(id -u)" -ne 0 ]; then
        echo "the demo needs root: it makes namespaces and runs containers" >&2
        exit 1
    fi
    place=$(mktemp -d)
    cgroup=ocinet-demo-$$
    demo=
    # shellcheck disable=SC2317  # a trap is its way here
    finish() {
        if [ "$demo" ]; then
            { kill -KILL "$demo" && wait "$demo"; } 2> /dev/null || true
        fi
        for _ in $(seq 50); do # a cgroup is busy until its last process is quite gone
            find /sys/fs/cgroup -depth -type d \
                \( -path "*/$cgroup" -o -path "*/$cgroup/*" \) -exec rmdir {} + 2> /dev/null && break
            sleep 0.1
        done
        rm -rf "$place"
    }
    trap finish EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    # Everything in there ends with the first process, and that one with this shell.
    setpriv --pdeathsig KILL -- \
        unshare --net --mount --propagation private --pid --fork --kill-child --mount-proc -- \
        "demo/$(basename "$0")" inside "$place" "/$cgroup" "$@" &
    demo=$!
    status=0
    wait "$demo" || status=$?
    demo=
    exit "$status"
fi

place=$2 cgroup=$3
shift 3
bold='' cyan='' plain=''
if [ -t 1 ]; then
    bold=$'\033[1m' cyan=$'\033[36m' plain=$'\033[0m'
fi

say() {
    printf '\n%s# %s%s\n' "$bold" "$*" "$plain"
}

# Prints a command as a user would type it.
echo_command() {
    local word line=
    for word; do
        case $word in
        *[!a-zA-Z0-9_.:/=,@+\&-]*) line+=" '$word'" ;;
        *) line+=" $word" ;;
        esac
    done
    printf '%s$%s%s\n' "$cyan" "$line" "$plain"
}

show() {
    echo_command "$@"
    "$@"
}

# expect WORDS COMMAND...: shows the command; its output must have these words.
expect() {
    local words=$1
    shift
    echo_command "$@"
    "$@" | tee "$place/output"
    grep -q -e "$words" "$place/output" || fail "there is no '$words' in that"
}

ocinet() {
    "$ocinet" "$@"
}

fail() {
    echo "demo: $*" >&2
    tail -n 5 "$place"/*.log >&2 2> /dev/null || true
    exit 1
}

# wait_until WHAT COMMAND...: until the command succeeds, without a word of it.
wait_until() {
    local what=$1 end=$((SECONDS + 30))
    shift
    until "$@" > /dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || fail "$what: not after 30 s"
        sleep 0.05
    done
}

# serve NAME COMMAND...: goes on beside the demo; what it says is in a file.
serve() {
    local name=$1
    shift
    echo_command "$@" \&
    "$@" < /dev/null > "$place/$name.log" 2>&1 &
}

expect_nothing() {
    local what=$1 found
    shift
    found=$("$@")
    [ -z "$found" ] || fail "$what left behind: $found"
    echo "no $what left"
}

is_unwired() {
    [ -z "$(ocinet ps --all --quiet)" ]
}

expect_nothing_left() {
    wait_until "the end of the wiring" is_unwired # Docker tells of an end some time later
    show ocinet ps --all
    expect_nothing "links" ip -oneline link show type veth
    expect_nothing "names of namespaces" ip netns
    expect_nothing "addresses, ports and records" find /run/ocinet/ipam /run/ocinet/ports \
        /run/ocinet/attachments -type f -not -name 'lock' -not -name '.*'
}

# A machine of its own: an empty /run, private copies of what engines write to.
make_machine() {
    mount -t tmpfs -o mode=755 demo /run
    mkdir -p /run/lock /run/netns
    mount -t tmpfs demo /dev/shm
    # Where dockerd finds AppArmor, it leaves a profile in the kernel.
    [ ! -d /sys/kernel/security ] || mount -t tmpfs demo /sys/kernel/security
    umount /sys/fs/cgroup/unified 2> /dev/null || true # crun refuses a hybrid tree
    local copied
    for copied in /etc /var/lib /usr/share/containers; do
        [ -d "$copied" ] || continue
        mkdir -p "/run/demo/upper$copied" "/run/demo/work$copied"
        mount -t overlay demo "$copied" \
            -o "lowerdir=$copied,upperdir=/run/demo/upper$copied,workdir=/run/demo/work$copied"
    done
    rm -rf /etc/ocinet /var/lib/ocinet /etc/docker/daemon.json
    # No engine can lay an overlay over an overlay.
    for copied in /var/lib/docker /var/lib/containers; do
        mkdir -p "$copied"
        mount -t tmpfs demo "$copied"
    done
    ip link set lo up
    unset DOCKER_HOST DOCKER_CONTEXT CONTAINER_HOST CONTAINERS_CONF
    unset OCINET_CONFIG_DIR OCINET_STATE_DIR OCINET_RUN_DIR
    export HOME=$place
}

# need PROGRAM PACKAGES: says what to install, before anything waits for it in vain.
need() {
    command -v "$1" > /dev/null || fail "$1 is not installed: apt-get install $2"
}

make_rootfs() {
    local rootfs=$place/rootfs applet
    mkdir -p "$rootfs"/{bin,dev,etc,proc,root,sys,tmp,www}
    cp "$(command -v busybox)" "$rootfs/bin/busybox"
    for applet in $(busybox --list); do
        [ "$applet" = busybox ] || ln -s busybox "$rootfs/bin/$applet"
    done
    echo "hello from web" > "$rootfs/www/index.html"
    tar -C "$rootfs" -c -f "$place/rootfs.tar" .
}

# make_bundle NAME COMMAND...: what `runc spec` writes, with another command.
make_bundle() {
    local name=$1
    shift
    mkdir "$name"
    (cd "$name" && runc spec)
    /usr/bin/python3 - "$name" "$place/rootfs" "$cgroup/$name" "$@" << 'PYTHON'
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

need ip iproute2
need nft nftables
need busybox busybox-static
need curl curl
make_machine
make_rootfs
cd "$place"
[ $# -gt 0 ] || set -- runc docker podman
started=$SECONDS
for part; do
    [ -e "$parts/$part.sh" ] || fail "there is no part $part"
    # shellcheck source=/dev/null
    . "$parts/$part.sh"
done
printf '\nDone in %s s.\n' "$((SECONDS - started))"
