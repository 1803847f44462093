"""Places in which a test lets things happen, made and removed for it alone.

    requirements.py  what must be installed; missing skips, in CI it fails
    descriptors.py   which files are open: a test leaves as many as it found
    interpreter.py   what an interpreter loads that is started as the hook is
    command.py       one command: its result, its failure, the transcript
    waiting.py       waits for what happens beside the test
    namespace/       network namespaces in which a test runs itself
    lab/             a machine of its own: namespaces, an uplink, files, cgroups
    cluster/         hosts and members of etcd's, as namespaces on one link
    engine/          what runs containers in a lab: runc, crun, podman, dockerd
    docs/            a page of the docs, typed into a lab

Read `namespace/isolation.py` or `lab/machine.py` first.
"""
