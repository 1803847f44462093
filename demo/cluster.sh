# Part of demo.sh: three hosts of a cluster, with an etcd, and a service that moves.
# shellcheck shell=bash disable=SC2154  # demo.sh sets what is not set here

need runc runc
need etcd etcd-server

declare -A hosts

# add_host NAME NUMBER: a machine of its own, on the link that all have in common.
add_host() {
    local name=$1 inside
    # shellcheck disable=SC2016  # of the shell in there
    unshare --net --mount --propagation private -- sh -ec '
        mount -t tmpfs -o mode=755 host /run
        mkdir -p /run/lock /run/netns
        for own in /etc/ocinet /var/lib/ocinet; do
            mkdir -p $own
            mount -t tmpfs -o mode=700 host $own
        done
        tr -d - < /proc/sys/kernel/random/uuid > /run/machine-id
        mount --bind /run/machine-id /etc/machine-id
        ip link set lo up
        touch "$0"
        exec sleep infinity' "$place/$name.ready" < /dev/null > "$place/$name.log" 2>&1 &
    hosts[$name]=$!
    wait_until "the host $name" test -e "$place/$name.ready"
    ip link add "port-$name" up master underlay type veth peer name eth0 netns "${hosts[$name]}"
    inside="nsenter --target ${hosts[$name]} --net --mount --"
    $inside ip address add "192.0.2.$2/24" dev eth0
    $inside ip link set eth0 up
}

# on HOST COMMAND...: on that host, without a word.
on() {
    local pid=${hosts[$1]}
    shift
    [ "$1" != ocinet ] || set -- "$ocinet" "${@:2}"
    # Its own view of the folder: nsenter's --wd is of the mounts that it comes from.
    # shellcheck disable=SC2016  # of the shell in there
    nsenter --target "$pid" --net --mount -- sh -c 'cd "$0" && exec "$@"' "$place" "$@"
}

# at HOST COMMAND...: the same, shown as it is typed there.
at() {
    printf '%s%s%s' "$bold" "$1" "$plain"
    echo_command "${@:2}"
    on "$@"
}

# run_on HOST BUNDLE NAME: start a bundle there, with a network of ours and a name.
run_on() {
    at "$1" ocinet hooks add "$2" --net web --name "$3"
    printf '%s%s%s' "$bold" "$1" "$plain"
    echo_command runc run --detach --bundle "$2" "$2"
    on "$1" runc run --detach --bundle "$2" "$2" < /dev/null > "$2/output" 2>&1 || fail "$(cat "$2/output")"
}

address_on() {
    on "$1" ocinet ps --format json |
        /usr/bin/python3 -c '
import json, sys
records = {record["name"]: record for record in json.load(sys.stdin)}
print(records[sys.argv[1]]["endpoints"][0]["addresses"][0].partition("/")[0])' "$2"
}

# finds ADDRESS: whether the client finds shop there, by its name server.
finds() {
    on a runc exec client nslookup -type=a shop | grep -q -w -F "$1"
}

say "A link with an etcd, and three hosts that have nothing but an address on it"
ip link add underlay up type bridge
ip address add 192.0.2.254/24 dev underlay
url=http://192.0.2.254:2379
serve etcd etcd --data-dir "$place/etcd" --listen-client-urls "$url" --advertise-client-urls "$url" \
    --listen-peer-urls http://127.0.0.1:2380
wait_until "etcd's answer" curl --silent --fail "$url/health"
add_host a 1
add_host b 2
add_host c 3
at a ip -brief address

say "They make a cluster: each has a share of the addresses for good"
at a ocinet cluster init prod --pool 10.42.0.0/16 --etcd "$url"
for host in a b c; do
    at "$host" ocinet cluster join prod --etcd "$url" --name "$host"
    at "$host" ocinet network create --cluster prod web
    on "$host" ocinet cluster run < /dev/null > "$place/agent-$host.log" 2>&1 &
done
for host in a b c; do
    wait_until "the agent of $host" on "$host" ocinet cluster status
done
at a ocinet cluster status

say "A shop on b, and a client on a that finds it by its name"
make_bundle client sleep 1000
make_bundle shop-b httpd -f -p 80 -h /www
make_bundle shop-c httpd -f -p 80 -h /www
run_on a client client
run_on b shop-b shop
shop=$(address_on b shop)
wait_until "shop's name on a" finds "$shop"
at a runc exec client nslookup -type=a shop
at a ocinet exec client -- curl --silent --show-error --fail --max-time 5 "http://$shop/"

say "The way there, station by station"
at a ocinet explain client shop:80

say "The shop moves to c, and keeps its name"
at b runc delete --force shop-b
run_on c shop-c shop
shop=$(address_on c shop)
wait_until "shop's name on a, at its new address" finds "$shop"
at a runc exec client nslookup -type=a shop
at a ocinet exec client -- curl --silent --show-error --fail --max-time 5 "http://$shop/"

say "All leave, and nothing is left"
at a runc delete --force client
at c runc delete --force shop-c
for host in a b c; do
    at "$host" ocinet cluster leave
    expect_nothing "links on $host" on "$host" sh -c "ip -oneline link show | grep -v -e ' lo:' -e ' eth0@' || true"
done
ip link delete underlay
