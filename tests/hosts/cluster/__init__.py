"""Hosts, and members of etcd, as namespaces on one link: the fixture `world` of tests/cluster.

world.py    the link, and who is on it
etcd.py     a member of etcd's, real
host.py     a machine with ocinet on it: files, machine id and boot of its own
"""
