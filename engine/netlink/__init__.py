"""Talking netlink, for the rooms that ask the kernel.

framing  messages and attributes: bytes and values, pure
socket   the socket, its errors and its limits
"""
