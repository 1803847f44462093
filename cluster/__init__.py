"""Many hosts: which share of a cluster's addresses is this host's, and the way to all others'.

Above the engine and IPAM, beside the watcher; who has one host never loads it. Nothing here
lies on the way of a container's start: a network whose subnet is this host's share is a
network like any other. In the order in which it is best read, from the values outward:

model      a cluster, its hosts and shares, and what a data plane is told: values
plane      how packets get from host to host: one Protocol, and a module for each way
access     how etcd is reached: a value
store      what is needed of etcd: a Protocol, and the values that it speaks in
gateway    etcd's HTTP: endpoints, TLS, users; answers that end
etcd       the store by that
keys       where in etcd what stands, and which key conflicts with which: pure
decode     what stands there, read as an enemy's: pure
shares     which part of a pool is free: pure
census     all that stands there, contradictions left out
identity   which machine this is
underlay   where others reach it
kept       what this host is in its cluster, on the disk
memory     what etcd had, for a boot without it
standing   how what is kept stands in etcd, and what follows: pure
called     what containers are called, as hosts write it to each other: pure
carried    who was known before etcd lost its data: pure
ownership  joining, leaving, forgetting: the transactions
share_networks  the networks on this host's share
membership joining and leaving, as this host does them
new_network what a network on a share is made with
view       what the agent's threads have in common
feed       the thread that reads etcd
member     the thread that writes to it
names      the thread that has containers found on all hosts
notices    what others change in the kernel
bulletin   what the agent tells of itself
examined   what stops containers, for doctor and explain
agent      the service

`docs/cluster.md` tells it to users.
"""
