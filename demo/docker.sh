# Part of demo.sh: Docker, with the watcher and the runtime.
# shellcheck shell=bash disable=SC2154  # demo.sh sets what is not set here

need dockerd docker.io
need docker 'docker.io, from Debian 13 on docker-cli'

serve_docker() {
    serve dockerd dockerd --storage-driver=overlay2 --cgroup-parent="$cgroup" \
        --exec-opt=native.cgroupdriver=cgroupfs
    wait_until "dockerd's start" docker version
    docker import "$place/rootfs.tar" busybox > /dev/null
}

httpd=(busybox httpd -f -p 80 -h /www)

say "A Docker of the demo's own, with a second runtime"
show ocinet runtime install --docker --launcher /run/demo/ocinet-runtime
serve_docker

say "The runtime wires a container while Docker waits: the network is there for certain"
expect "default via" docker run --rm --net=none --runtime=ocinet busybox ip route

say "The watcher does it beside Docker, without a word on the command line"
serve watcher ocinet watch --log-format console
wait_until "the watcher's start" grep "watcher ready" "$place/watcher.log"
# As a rule it is there at once. For certain it is some ms after the start, and this is the case of
# docs/early-attach.md that Docker 28 may lose: the first container below a cgroup of the demo's.
expect "default via" docker run --rm --net=none busybox timeout 30 \
    sh -c 'until ip route | grep default; do sleep 0.1; done; ip -4 address show dev eth0'

say "Docker's own -p publishes a port of a container without a network of Docker's"
show docker run --detach --name web --net=none -p 8080:80 "${httpd[@]}"
show ocinet wait web
wait_until "the published port" curl --silent --fail --max-time 5 http://127.0.0.1:8080/
expect "hello from web" curl --silent --show-error --fail --max-time 5 http://127.0.0.1:8080/

say "Labels say more: a network, an address, ports"
show ocinet network create --subnet 10.9.0.0/24 lan
show docker run --detach --name api --net=none --label ocinet.net=lan:ip=10.9.0.77 \
    --label ocinet.publish=127.0.0.1:8081:80 "${httpd[@]}"
show ocinet wait api
expect "10.9.0.77/24" docker exec api ip -4 address show dev eth0
wait_until "the published port" curl --silent --fail --max-time 5 http://127.0.0.1:8081/
expect "hello from web" curl --silent --show-error --fail --max-time 5 http://127.0.0.1:8081/

say "A container that shares web's network: Docker's own way"
expect "hello from web" docker run --rm --net=container:web busybox wget -q -O - http://127.0.0.1/

version=$(docker version --format '{{.Server.Version}}')
if [ "${version%%.*}" -lt 26 ]; then # later ones take hold of the sandbox themselves
    say "The runtime can exchange the network itself: another one's, or the host's"
    expect "hello from web" docker run --rm --net=none --runtime=ocinet \
        --label ocinet.net=container:web busybox wget -q -O - http://127.0.0.1/
    expect "ocinet0" docker run --rm --net=none --runtime=ocinet --label ocinet.net=host \
        busybox ip -4 -oneline address show dev ocinet0
fi

say "Who is there, and what was done"
show ocinet ps
show ocinet events --lines 5

say "Removed by force, they leave nothing"
show docker rm --force web api
expect_nothing_left
show ocinet network rm lan
