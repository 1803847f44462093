"""Which address is whose. Nothing in here knows netlink, or what a container's life is.

Read in this order; each module imports only what stands above it:

    pool           a subnet of a network: what of it may be given out, and what is next
    lease          the value, and its JSON: whose an address is, and how its holder is known
    lease_files    one network's directory: its leases, its lock, what can't be read
    reservation    what is kept for a container's name, and where
    allocation     one try to give an endpoint its addresses, while the lock is held
    store          the address store, which the engine calls: it tries, and judges holders
"""
