# Part of demo.sh: podman, with the hooks.
# shellcheck shell=bash disable=SC2154  # demo.sh sets what is not set here

need podman podman
need crun crun

# podman in a cgroup of the demo's; all else is as it is shown.
podman() {
    case $1 in
    run) command podman run --cgroup-parent="$cgroup" "${@:2}" ;;
    *) command podman "$@" ;;
    esac
}

configure_podman() {
    mkdir -p /etc/containers/containers.conf.d
    # There is no systemd and no journal in here; and where root lacks
    # CAP_SYS_RESOURCE, podman's own default limits can't be set. Podman 5 warns of cgroup
    # v1 at each command.
    cat > /etc/containers/containers.conf.d/00-demo.conf << 'CONF'
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
env = ["PODMAN_IGNORE_CGROUPSV1_WARNING=1"]
runtime = "crun"
CONF
    podman import "$place/rootfs.tar" busybox > /dev/null 2>&1
}

httpd=(busybox httpd -f -p 80 -h /www)

say "podman: its hooks, registered once"
configure_podman
show ocinet hooks install --podman

say "podman run --network=none: one that asks for a network has it at once"
expect "default via" podman run --rm --network=none --annotation ocinet.net=bridge \
    busybox sh -c 'ip -4 address show dev eth0; ip route'
show podman run --rm --network=none busybox ip -oneline link

say "A published port"
show podman run --detach --name web --network=none --annotation ocinet.net=bridge \
    --annotation ocinet.publish=8080:80 "${httpd[@]}"
wait_until "the published port" curl --silent --fail --max-time 5 http://127.0.0.1:8080/
expect "hello from web" curl --silent --show-error --fail --max-time 5 http://127.0.0.1:8080/
show ocinet ps

say "A container that shares web's network"
expect "hello from web" podman run --rm --network=container:web busybox wget -q -O - http://127.0.0.1/

say "Removed by force, they leave nothing"
show podman rm --force --time=0 web
expect_nothing_left
