"""What runs containers in a lab: `lab.runc`, `lab.crun`, `lab.podman()`, `lab.docker()`.

    bundle.py           the busybox rootfs and OCI bundles
    runtimes.py         runc and crun
    container.py        a container of an engine
    podman.py           podman
    dockerd.py          dockerd
    hooked_runtime.py   runc and crun with our hooks in their bundles
    hooked_podman.py    podman with our hooks installed
    wrapped_runtime.py  engines that run their containers through our wrapper
    driven.py           an engine driven alike, fake or real (driven_real.py)
    told.py             what an engine tells and shows

Each has `require`d the programs that it is made of.
"""
