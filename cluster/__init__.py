"""Many hosts: which share of a cluster's addresses is this host's, and the way to all others'.

Above the engine and IPAM, beside the watcher; who has one host never loads it. Nothing here
lies on the way of a container's start: a network whose subnet is this host's share is a
network like any other. In the order in which it is best read, from the values outward:

model      a cluster, its hosts and shares, and what a data plane is told: values
plane      how packets get from host to host: one Protocol, and a module for each way

`docs/cluster.md` tells it to users.
"""
