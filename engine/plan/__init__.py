"""Deciding: what is wanted and what was observed, to steps. Pure, all of it.

Read in this order; each module imports only what stands above it. What steps are:

    firewall_seams  what steps ask of the firewall: Protocols
    inside_seams  the same of sandboxes
    name_seams    likewise of who keeps names
    lan_seams     the same of links that share a parent
    seams         the same of the kernel, and all of them by name
    machine       a host by those seams, in the course of one operation
    steps         what plans are made of
    removal_steps those that take down what is one container's own
    own_steps     those that make it
    port_steps    steps for its ports of bridges
    shared_steps  steps for what all containers share
    passage_steps  steps that have packets pass the tables of others
    cable_steps   steps for links of two sandboxes
    source_steps  a step for containers on several networks
    shaping_steps a step for how fast a container may send and be sent to
    sysctl_steps  a step for kernel parameters of a container
    refusal_steps steps for what a container is to send nothing to
    access_steps  the step that changes who may talk to whom
    name_steps    the step that tells a container names
    serving_steps those that have a container found by its names
    uplink_steps  steps for hosts where routes say more than which link

How they come about:

    egress        with which of the host's addresses packets leave
    endpoint      a wish and its grant to an endpoint
    ports         published ports to rules
    replies       how answers of published ports get the way of the host's own
    uplinks       the same for the address that packets leave with; the steps for both
    guard         what is not forwarded, though we switched forwarding on
    closing       what keeps a bridge closed while our table is not there
    free_subnet   which subnet a network may have, or gets
    served_names  by which names a container is found on a network
    serving       which networks' names are served, and what their server is to know
    dns_options   whether a new network's names are served, and whom their server asks
    new_network   a person's wishes to a new network
    flaw          what is left of a container's wiring, and what of it is otherwise than on record
    lan_steps     steps that connect a container to the LAN itself
    port_flaws    what a host end is not as its record has it
    bridge_flaws  what a port of a bridge is not as its record has it
    driver_bridge the driver of bridges: a pair for each container
    new_lan       a person's wishes to a new network on the LAN itself
    driver_macvlan  the driver of the LAN itself: a MAC of its own for each container
    driver        how a container gets onto a network: all drivers by one interface
    networks      the steps that make networks ready
    attach        the steps that wire a sandbox
    exposed       what a link to a container opens, by what its engine says
    wiring        what of a request is not there yet; record and steps that it comes to
    access        who may talk to whom, as elements of our table
    wished_names  what a container's user wishes of resolvers and names, as lines
    name_files    what a container's hosts and resolv.conf are to hold
    inside_flaws  what a sandbox is not as its record has it
    lan_flaws     what the host's way to containers on the LAN is not as it has to be
    mend          what is not as a record has it any more, and the steps that put it right
    repair_kinds  of which kind that is, in one word
    detach        the steps that take it down
    disconnect    those that take it off one of its networks
    holding       which ports of the host are held while they are published
    new_cable     likewise to a link of two containers
    driver_options  `-o KEY=VALUE` of docker and podman, as wishes to a new network
"""
