"""A private machine for each test that runs real container engines: the fixture `lab`.

    machine.py       the lab, made and removed
    installation.py  ocinet on it: its command, and what it has recorded
    namespace.py     a network namespace to run, listen, connect and look in
    peer.py          the small server and client that traffic tests talk through
    snapshot.py      what a machine looks like, for comparing before and after
    topology.py      one set of containers and networks, and who answers whom in it
    watcher.py       the watcher, as a service

A lab has its own network and mount namespaces, and writes to nothing outside
but a temporary directory and cgroups under its own name.
"""
