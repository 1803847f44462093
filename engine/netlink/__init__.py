"""Talking netlink, for the rooms that ask the kernel.

Read in this order; each module imports only what stands above it:

    framing        messages and attributes: bytes and values, pure
    socket         the socket, its errors and its limits
    socket_filter  what a socket is not to be woken for
    notices        a socket that is told what anybody changes
"""
