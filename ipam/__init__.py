"""Which address is whose: pools, leases, reservations, and the lock around them."""
