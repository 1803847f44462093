"""The values that the engine works with. Nothing here does anything.

Read them in this order, in which each imports only what stands above it:

    resolution  which resolvers and names of hosts it asks for, where it does
    access      who may talk to whom, where its user says so
    bandwidth   how fast a container may send and be sent to
    request     what a container asks for
    network     a network as it is defined
    endpoint    what an attach came to: interfaces and published ports
    plug        an end of a link to another sandbox, as that record keeps it
    attachment  the record of it, and whose it is
    listener    a socket of the host, which a published port must not meet
    forwarding  the sysctls of forwarding, and what we write there
    passage     what should pass the chains of others, and who drops it
    forward_guard what is not forwarded, though we switched forwarding on
    link        links of the kernel, as they are and as they are to be
    cable       a link of two sandboxes, as it is defined
    routing     how the host routes by source
    naming      by which names a container finds others, and the files that tell it
    name_holders  who has which name, where two want it
    served      what a name server is told of networks and containers
    elsewhere   who of a network is on other hosts, and who has which name then
    flow        one packet's way, as it was tried
    refused     what our table has refused
    scope       what is to be looked at, because others may have touched it
    bridge_filters what a bridge lets pass by filters of its own
    lan         interfaces of containers that share a link of the host's
    observed    the host as it was seen before a plan
    settings    what the operator decided
    loopback    an address and a port of this machine alone
    metrics_place  that, or the path of a socket
    sight       what is there, and what is recorded, as few lists tell it
"""
