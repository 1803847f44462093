"""What is asked of the kernel about links, sandboxes and sockets, and done to them.

On the hook's path, in the order in which each imports only what stands above it:

    sysctl         kernel parameters
    sandbox        network namespaces, by open file
    link_messages  links as rtnetlink has them, to values and back, pure
    ip_messages    likewise addresses and routes
    links          the host's links and addresses
    inside         interfaces in sandboxes: their addresses and routes
    netns_names    names under /run/netns
    bridges        bridges, for who may need one: loads `bridge` when one is needed
    listeners      who listens on a port of the host

Beside it, imported by whoever needs them:

    bridge         bridges and routes, the one module that talks pyroute2
    probe          who uses an address on a segment
"""
