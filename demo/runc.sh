# Part of demo.sh: plain runc bundles.
# shellcheck shell=bash disable=SC2154  # demo.sh sets what is not set here

need runc runc

start() {
    local command=(runc run --detach --bundle "$1" "$1")
    echo_command "${command[@]}"
    # The container keeps what it gets here: our own output would never end.
    "${command[@]}" < /dev/null > "$1/output" 2>&1 || fail "$(cat "$1/output")"
}

stop() {
    show runc delete --force "$1"
}

address_of() {
    ip netns exec "$1" ip -json -4 address show dev eth0 |
        /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["addr_info"][0]["local"])'
}

make_bundle web httpd -f -p 80 -h /www
make_bundle client sleep 1000
make_bundle side sleep 1000

say "A machine with nothing but a loopback, and three plain runc bundles"
show ip -brief address
show ls -d web client side

say "Two containers that have no network of their own get one"
show ocinet hooks add web --net bridge --publish 8080:80 --name web
show ocinet hooks add client --net bridge --name client
start web
start client

say "Each has an address and a default route, up before its first instruction"
show runc exec web ip address show dev eth0
expect "default via" runc exec web ip route
show ocinet ps

say "They reach each other"
web=$(address_of web)
show ocinet exec client -- busybox ping -c 2 "$web"
expect "hello from web" runc exec client wget -q -O - "http://$web/"

say "The published port answers on the host"
expect "hello from web" curl --silent --show-error --fail --max-time 5 http://127.0.0.1:8080/

say "A container that shares web's network: their 127.0.0.1 is one"
show ocinet hooks add side --net container:web --name side
start side
expect "hello from web" runc exec side wget -q -O - http://127.0.0.1/

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
expect_nothing_left
