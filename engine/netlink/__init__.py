"""Talking netlink, for the rooms that ask the kernel.

Read in this order; each module imports only what stands above it:

    framing  messages and attributes: bytes and values, pure
    socket   the socket, its errors and its limits
"""
