# bash completion for ocinet. Written by `make generated`, from the command's own parsers.

_ocinet_values() {
    case $1 in
    networks) timeout -s KILL 1 ocinet network ls -q 2> /dev/null ;;
    links) timeout -s KILL 1 ocinet link ls -q 2> /dev/null ;;
    containers)
        sh -c 'for ask in "ocinet ps --all --format {{.Names}}" "docker ps --format {{.Names}}" "podman ps --format {{.Names}}" "runc list -q" "crun list -q"; do
        command -v "${ask%% *}" > /dev/null && timeout -s KILL 1 $ask &
    done; wait' 2> /dev/null | grep -Evx '[0-9a-f]{64}' | sort -u
        echo 'pid: netns:'
        ;;
    esac
}

_ocinet() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]} words='' flags='' about='' value=none more=''
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "attach detach plan ps inspect exec port publish unpublish network link ipam reservation hooks runtime links firewalld cluster watch wait status topology top metrics doctor explain check gc uninstall events version help" -- "$word")
        return
    fi
    case $command in
    list) command=ps ;;
    ls) command=ps ;;
    info) command=status ;;
    reserve) command=reservation ;;
    esac
    case $command in
    network) words='create connect disconnect ls inspect rm exists reload prune' ;;
    link) words='add ls inspect rm' ;;
    ipam) words='ls release' ;;
    reservation) words='add ls rm add-port ports rm-port' ;;
    hooks) words='add remove ls install uninstall verify' ;;
    runtime) words='ls install uninstall' ;;
    links) words='install uninstall' ;;
    cluster) words='init join leave forget status run' ;;
    firewalld) words='install uninstall' ;;
    esac
    if [ -n "$words" ]; then
        if [ "$COMP_CWORD" -eq 2 ]; then
            mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
            return
        fi
        command="$command ${COMP_WORDS[2]}"
    fi
    if [ "$COMP_CWORD" -gt 2 ]; then
        case "$command ${COMP_WORDS[2]}" in
        plan\ link) command='plan link' ;;
        esac
    fi
    case $command in
    attach) flags='-h --help --net --network --ip --ip6 --mac-address --ifname --mtu --gateway --no-default-route --route --metric --sysctl --bandwidth --egress-address --dns --dns-search --dns-option --dns-opt --add-host --network-alias --alias --hostname --link --allow --expose --egress -p --publish --keep-ports --name -P --publish-all --id --format --json --noheading' about='containers' ;;
    detach) flags='-h --help --net --network -f --force' about='containers' ;;
    plan) flags='-h --help --net --network --ip --ip6 --mac-address --ifname --mtu --gateway --no-default-route --route --metric --sysctl --bandwidth --egress-address --dns --dns-search --dns-option --dns-opt --add-host --network-alias --alias --hostname --link --allow --expose --egress -p --publish --keep-ports --name -P --publish-all --id --format --json --noheading' about='containers' ;;
    plan\ link) flags='-h --help --subnet --ip --ipv6 --ifname --route --mtu --name --format --json --noheading' about='containers' ;;
    ps) flags='-h --help -a --all -n --last -l --latest --no-trunc --net --network -f --filter --format --json --noheading -q --quiet' about='' ;;
    inspect) flags='-h --help -f --format --json' about='containers' ;;
    exec) flags='-h --help' about='containers' ;;
    port) flags='-h --help' about='containers' ;;
    publish) flags='-h --help --format --json --noheading' about='containers' ;;
    unpublish) flags='-h --help --format --json --noheading' about='containers' ;;
    network\ create) flags='-h --help --subnet --cluster --gateway --ip-range --ipv6 --bridge --interface-name --unmanaged --mtu --internal --no-masquerade --no-masquerade-to --joined-by --egress-address --no-default-route --metric --route --no-dns --disable-dns --dns --no-host --icc --isolate-ports --no-guard -o --opt -d --driver --host-access --label --ignore' about='networks' ;;
    network\ connect) flags='-h --help --ip --ip6 --mac-address --ifname --mtu --gateway --no-default-route --route --metric --sysctl --bandwidth --egress-address --dns --dns-search --dns-option --dns-opt --add-host --network-alias --alias --hostname --link --allow --expose --egress --format --json --noheading' about='networks' ;;
    network\ disconnect) flags='-h --help -f --force' about='networks' ;;
    network\ ls) flags='-h --help -f --filter --no-trunc --format --json --noheading -q --quiet' about='' ;;
    network\ inspect) flags='-h --help -f --format --json' about='networks' ;;
    network\ rm) flags='-h --help -f --force' about='networks' ;;
    network\ exists) flags='-h --help' about='networks' ;;
    network\ reload) flags='-h --help --format --json --noheading' about='networks' ;;
    network\ prune) flags='-h --help -f --force --filter' about='' ;;
    link\ add) flags='-h --help --subnet --ip --ipv6 --ifname --route --mtu --name --dry-run' about='containers' ;;
    link\ ls) flags='-h --help --format --json --noheading -q --quiet' about='' ;;
    link\ inspect) flags='-h --help -f --format --json' about='links' ;;
    link\ rm) flags='-h --help -f --force' about='links' ;;
    ipam\ ls) flags='-h --help --no-trunc --format --json --noheading' about='networks' ;;
    ipam\ release) flags='-h --help' about='networks' ;;
    reservation\ add) flags='-h --help --ip --ip6 --mac --mac-address' about='networks' ;;
    reservation\ ls) flags='-h --help --format --json --noheading' about='networks' ;;
    reservation\ rm) flags='-h --help' about='networks' ;;
    reservation\ add-port) flags='-h --help' about='' ;;
    reservation\ ports) flags='-h --help --format --json --noheading' about='' ;;
    reservation\ rm-port) flags='-h --help' about='' ;;
    hooks\ add) flags='-h --help --net --network --ip --ip6 --mac-address --ifname --mtu --gateway --no-default-route --route --metric --sysctl --bandwidth --egress-address --dns --dns-search --dns-option --dns-opt --add-host --network-alias --alias --hostname --link --allow --expose --egress -p --publish --keep-ports --name --stage' about='directories' ;;
    hooks\ remove) flags='-h --help' about='directories' ;;
    hooks\ ls) flags='-h --help --format --json --noheading -q --quiet' about='' ;;
    hooks\ install) flags='-h --help --podman --hooks-dir --cdi --always --stage' about='' ;;
    hooks\ uninstall) flags='-h --help --podman --hooks-dir --cdi' about='' ;;
    hooks\ verify) flags='-h --help --podman --hooks-dir --cdi --format --json --noheading' about='directories' ;;
    runtime\ ls) flags='-h --help --format --json --noheading -q --quiet' about='' ;;
    runtime\ install) flags='-h --help --runtime --name --launcher --docker --default --reload' about='' ;;
    runtime\ uninstall) flags='-h --help --name --launcher --docker' about='' ;;
    links\ install) flags='-h --help' about='' ;;
    links\ uninstall) flags='-h --help' about='' ;;
    firewalld\ install) flags='-h --help' about='' ;;
    firewalld\ uninstall) flags='-h --help' about='' ;;
    cluster\ init) flags='-h --help --pool --share-length --backend --vni --port --mtu --etcd --ca --cert --key --user --password-file' about='' ;;
    cluster\ join) flags='-h --help --underlay --name --share-length --no-containers --etcd --ca --cert --key --user --password-file' about='' ;;
    cluster\ leave) flags='-h --help --force' about='' ;;
    cluster\ forget) flags='-h --help --cluster --force --etcd --ca --cert --key --user --password-file' about='' ;;
    cluster\ status) flags='-h --help --format --json --noheading' about='' ;;
    cluster\ run) flags='-h --help --log-level --log-format' about='' ;;
    watch) flags='-h --help --engine --log-level --log-format --web --metrics' about='' ;;
    wait) flags='-h --help --timeout --script' about='containers' ;;
    status) flags='-h --help --no-check --format --json' about='' ;;
    topology) flags='-h --help --net --network --format --json' about='containers' ;;
    top) flags='-h --help -n --count --interval --sort --no-stream --format --json --noheading' about='containers' ;;
    metrics) flags='-h --help --textfile' about='' ;;
    doctor) flags='-h --help --format --json' about='' ;;
    explain) flags='-h --help -6 --ipv6 --format --json' about='' ;;
    check) flags='-h --help --repair --format --json --noheading' about='containers' ;;
    gc) flags='-h --help -n --dry-run --format --json --noheading' about='' ;;
    uninstall) flags='-h --help -n --dry-run -f --force' about='directories' ;;
    events) flags='-h --help -n --lines --follow --stream --since --until -f --filter --format --json --noheading' about='' ;;
    version) flags='-h --help --format --json --noheading' about='' ;;
    esac
    case $command/$before in
    attach/--net | attach/--network) value='networks' ;;
    attach/--ip) value='' ;;
    attach/--ip6) value='' ;;
    attach/--mac-address) value='' ;;
    attach/--ifname) value='' ;;
    attach/--mtu) value='' ;;
    attach/--gateway) value='' ;;
    attach/--route) value='' ;;
    attach/--metric) value='' ;;
    attach/--sysctl) value='' ;;
    attach/--bandwidth) value='' ;;
    attach/--egress-address) value='' ;;
    attach/--dns) value='' ;;
    attach/--dns-search) value='' ;;
    attach/--dns-option | attach/--dns-opt) value='' ;;
    attach/--add-host) value='' ;;
    attach/--network-alias | attach/--alias) value='' ;;
    attach/--hostname) value='' ;;
    attach/--link) value='containers' ;;
    attach/--allow) value='' ;;
    attach/--expose) value='' ;;
    attach/--egress) value='' ;;
    attach/-p | attach/--publish) value='' ;;
    attach/--name) value='' ;;
    attach/--id) value='' ;;
    attach/--format) value='=table json' ;;
    detach/--net | detach/--network) value='networks' ;;
    plan/--net | plan/--network) value='networks' ;;
    plan/--ip) value='' ;;
    plan/--ip6) value='' ;;
    plan/--mac-address) value='' ;;
    plan/--ifname) value='' ;;
    plan/--mtu) value='' ;;
    plan/--gateway) value='' ;;
    plan/--route) value='' ;;
    plan/--metric) value='' ;;
    plan/--sysctl) value='' ;;
    plan/--bandwidth) value='' ;;
    plan/--egress-address) value='' ;;
    plan/--dns) value='' ;;
    plan/--dns-search) value='' ;;
    plan/--dns-option | plan/--dns-opt) value='' ;;
    plan/--add-host) value='' ;;
    plan/--network-alias | plan/--alias) value='' ;;
    plan/--hostname) value='' ;;
    plan/--link) value='containers' ;;
    plan/--allow) value='' ;;
    plan/--expose) value='' ;;
    plan/--egress) value='' ;;
    plan/-p | plan/--publish) value='' ;;
    plan/--name) value='' ;;
    plan/--id) value='' ;;
    plan/--format) value='=table json' ;;
    plan\ link/--subnet) value='' ;;
    plan\ link/--ip) value='containers' ;;
    plan\ link/--ifname) value='containers' ;;
    plan\ link/--route) value='containers' ;;
    plan\ link/--mtu) value='' ;;
    plan\ link/--name) value='' ;;
    plan\ link/--format) value='=table json' ;;
    ps/-n | ps/--last) value='' ;;
    ps/--net | ps/--network) value='networks' ;;
    ps/-f | ps/--filter) value='' ;;
    ps/--format) value='=table json' ;;
    inspect/-f | inspect/--format) value='=json' ;;
    publish/--format) value='=table json' ;;
    unpublish/--format) value='=table json' ;;
    network\ create/--subnet) value='' ;;
    network\ create/--cluster) value='' ;;
    network\ create/--gateway) value='' ;;
    network\ create/--ip-range) value='' ;;
    network\ create/--bridge | network\ create/--interface-name) value='' ;;
    network\ create/--mtu) value='' ;;
    network\ create/--no-masquerade-to) value='' ;;
    network\ create/--joined-by) value='links' ;;
    network\ create/--egress-address) value='' ;;
    network\ create/--metric) value='' ;;
    network\ create/--route) value='' ;;
    network\ create/--dns) value='' ;;
    network\ create/--icc) value='=true false' ;;
    network\ create/-o | network\ create/--opt) value='' ;;
    network\ create/-d | network\ create/--driver) value='=bridge macvlan' ;;
    network\ create/--label) value='' ;;
    network\ connect/--ip) value='' ;;
    network\ connect/--ip6) value='' ;;
    network\ connect/--mac-address) value='' ;;
    network\ connect/--ifname) value='' ;;
    network\ connect/--mtu) value='' ;;
    network\ connect/--gateway) value='' ;;
    network\ connect/--route) value='' ;;
    network\ connect/--metric) value='' ;;
    network\ connect/--sysctl) value='' ;;
    network\ connect/--bandwidth) value='' ;;
    network\ connect/--egress-address) value='' ;;
    network\ connect/--dns) value='' ;;
    network\ connect/--dns-search) value='' ;;
    network\ connect/--dns-option | network\ connect/--dns-opt) value='' ;;
    network\ connect/--add-host) value='' ;;
    network\ connect/--network-alias | network\ connect/--alias) value='' ;;
    network\ connect/--hostname) value='' ;;
    network\ connect/--link) value='containers' ;;
    network\ connect/--allow) value='' ;;
    network\ connect/--expose) value='' ;;
    network\ connect/--egress) value='' ;;
    network\ connect/--format) value='=table json' ;;
    network\ ls/-f | network\ ls/--filter) value='' ;;
    network\ ls/--format) value='=table json' ;;
    network\ inspect/-f | network\ inspect/--format) value='=json' ;;
    network\ reload/--format) value='=table json' ;;
    network\ prune/--filter) value='' ;;
    link\ add/--subnet) value='' ;;
    link\ add/--ip) value='containers' ;;
    link\ add/--ifname) value='containers' ;;
    link\ add/--route) value='containers' ;;
    link\ add/--mtu) value='' ;;
    link\ add/--name) value='' ;;
    link\ ls/--format) value='=table json' ;;
    link\ inspect/-f | link\ inspect/--format) value='=json' ;;
    ipam\ ls/--format) value='=table json' ;;
    reservation\ add/--ip | reservation\ add/--ip6) value='' ;;
    reservation\ add/--mac | reservation\ add/--mac-address) value='' ;;
    reservation\ ls/--format) value='=table json' ;;
    reservation\ ports/--format) value='=table json' ;;
    hooks\ add/--net | hooks\ add/--network) value='networks' ;;
    hooks\ add/--ip) value='' ;;
    hooks\ add/--ip6) value='' ;;
    hooks\ add/--mac-address) value='' ;;
    hooks\ add/--ifname) value='' ;;
    hooks\ add/--mtu) value='' ;;
    hooks\ add/--gateway) value='' ;;
    hooks\ add/--route) value='' ;;
    hooks\ add/--metric) value='' ;;
    hooks\ add/--sysctl) value='' ;;
    hooks\ add/--bandwidth) value='' ;;
    hooks\ add/--egress-address) value='' ;;
    hooks\ add/--dns) value='' ;;
    hooks\ add/--dns-search) value='' ;;
    hooks\ add/--dns-option | hooks\ add/--dns-opt) value='' ;;
    hooks\ add/--add-host) value='' ;;
    hooks\ add/--network-alias | hooks\ add/--alias) value='' ;;
    hooks\ add/--hostname) value='' ;;
    hooks\ add/--link) value='containers' ;;
    hooks\ add/--allow) value='' ;;
    hooks\ add/--expose) value='' ;;
    hooks\ add/--egress) value='' ;;
    hooks\ add/-p | hooks\ add/--publish) value='' ;;
    hooks\ add/--name) value='' ;;
    hooks\ add/--stage) value='=createRuntime prestart' ;;
    hooks\ ls/--format) value='=table json' ;;
    hooks\ install/--hooks-dir) value='directories' ;;
    hooks\ install/--cdi) value='directories' ;;
    hooks\ install/--stage) value='=createRuntime prestart' ;;
    hooks\ uninstall/--hooks-dir) value='directories' ;;
    hooks\ uninstall/--cdi) value='directories' ;;
    hooks\ verify/--hooks-dir) value='directories' ;;
    hooks\ verify/--cdi) value='directories' ;;
    hooks\ verify/--format) value='=table json' ;;
    runtime\ ls/--format) value='=table json' ;;
    runtime\ install/--runtime) value='' ;;
    runtime\ install/--name) value='' ;;
    runtime\ install/--launcher) value='files' ;;
    runtime\ install/--docker) value='files' ;;
    runtime\ uninstall/--name) value='' ;;
    runtime\ uninstall/--launcher) value='files' ;;
    runtime\ uninstall/--docker) value='files' ;;
    cluster\ init/--pool) value='' ;;
    cluster\ init/--share-length) value='' ;;
    cluster\ init/--backend) value='=vxlan routes wireguard' ;;
    cluster\ init/--vni) value='' ;;
    cluster\ init/--port) value='' ;;
    cluster\ init/--mtu) value='' ;;
    cluster\ init/--etcd) value='' ;;
    cluster\ init/--ca) value='files' ;;
    cluster\ init/--cert) value='files' ;;
    cluster\ init/--key) value='files' ;;
    cluster\ init/--user) value='' ;;
    cluster\ init/--password-file) value='files' ;;
    cluster\ join/--underlay) value='' ;;
    cluster\ join/--name) value='' ;;
    cluster\ join/--share-length) value='' ;;
    cluster\ join/--etcd) value='' ;;
    cluster\ join/--ca) value='files' ;;
    cluster\ join/--cert) value='files' ;;
    cluster\ join/--key) value='files' ;;
    cluster\ join/--user) value='' ;;
    cluster\ join/--password-file) value='files' ;;
    cluster\ forget/--cluster) value='' ;;
    cluster\ forget/--etcd) value='' ;;
    cluster\ forget/--ca) value='files' ;;
    cluster\ forget/--cert) value='files' ;;
    cluster\ forget/--key) value='files' ;;
    cluster\ forget/--user) value='' ;;
    cluster\ forget/--password-file) value='files' ;;
    cluster\ status/--format) value='=table json' ;;
    cluster\ run/--log-level) value='=debug info warning error' ;;
    cluster\ run/--log-format) value='=auto console json' ;;
    watch/--engine) value='' ;;
    watch/--log-level) value='=debug info warning error' ;;
    watch/--log-format) value='=auto console json' ;;
    watch/--web) value='' ;;
    watch/--metrics) value='' ;;
    wait/--timeout) value='' ;;
    status/--format) value='=table json' ;;
    topology/--net | topology/--network) value='networks' ;;
    topology/--format) value='=tree dot mermaid svg json' ;;
    top/-n | top/--count) value='' ;;
    top/--interval) value='' ;;
    top/--sort) value='=traffic rx tx packets drops name' ;;
    top/--format) value='=table json' ;;
    metrics/--textfile) value='files' ;;
    doctor/--format) value='=table json' ;;
    explain/--format) value='=table json' ;;
    check/--format) value='=table json' ;;
    gc/--format) value='=table json' ;;
    events/-n | events/--lines) value='' ;;
    events/--since) value='' ;;
    events/--until) value='' ;;
    events/-f | events/--filter) value='' ;;
    events/--format) value='=table json' ;;
    version/--format) value='=table json' ;;
    esac
    [ "$value" != none ] || value=$about
    [ "$COMP_CWORD" -ne 2 ] || case $command in
    plan) more='link ' ;;
    esac
    case $word in
    -*) mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$word") ;;
    *)
        case $value in
        files) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
        directories) mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
        =*) mapfile -t COMPREPLY < <(compgen -W "${value#=}" -- "$word") ;;
        ?*) mapfile -t COMPREPLY < <(compgen -W "$more$(_ocinet_values "$value")" -- "$word") ;;
        esac
        ;;
    esac
}

complete -o filenames -F _ocinet ocinet
