"""Packets of our own, sent for real, and which rules of the host they meet.

Read in this order; each module imports only what stands above it:

    attempt    one packet from a sandbox or the host, and its answer
    incoming   one that comes in by a link, though nobody out there sent it
    trace      what the kernel tells of a flow's way through nftables
    routes     where the kernel would send a packet
    hidden     what loses packets and is in no trace: devices' own chains, queues, fixed neighbours
"""
