"""Network namespaces in which a test runs itself, and what can be in them.

    isolation.py     runs a test in namespaces of its own; sleepers in others
    looks.py         what the kernel says there
    segment.py       a bridge of somebody else's, and who is on it
    wired_host.py    an engine of ours, and processes that it wires as containers
    bridged_host.py  bridges, containers and neighbours, made by `ip` alone
    seamed_host.py   the host by the seams that planning has, for tests/contract
    watched.py       a watcher in the test's own process

Whatever runs in one is forked: a test's failure comes back to pytest by a pipe.
"""
