"""What every other part stands on: values, errors, JSON, files, locks, the clock.

It knows no network, no container and no kernel object. All of it but the last lies on the hook's
path, so at its head a module imports C modules and nothing else (see `docs/hook-path.md`).
Read in this order; each module imports only what stands above it:

    errors    the tree of everything that ocinet raises on purpose
    value     frozen values, without the import cost of dataclasses
    names     which names are legal, and what was meant by one that is not
    hostname  which names mean this machine
    dns_names  which are legal in the DNS, and what they are there
    descriptors  standard streams that are closed, so that nothing of ours takes their place
    paths     where settings, state and run-time files lie
    address   addresses and subnets as small values
    clock     time, boots, and the life of a process: what reads the clock
    jsontext  text to plain objects and back; damage is a request error
    records   the objects in our files, described field by field, both ways
    atomic    putting a thing in place at once, so that nobody finds half of it
    temporaries  what killed writers left of that
    files     a directory of state files, through one descriptor
    lock      locks between processes, and who holds one
    events    the log of what was done, failed and repaired
    version   of which version this is
"""
