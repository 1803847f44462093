"""What is asked of the kernel about links, sandboxes and sockets, and done to them.

Read in this order; each module imports only what stands above it:

    port_messages  bridges' ports as rtnetlink has them, to values and back, pure
    link_messages  likewise links
    ip_messages    likewise addresses and routes
    routing_rules  likewise the rules that choose a routing table
    filter_messages likewise filters of links
    sysctl         kernel parameters
    sandbox        network namespaces, by open file
    links          the host's links and addresses
    namespaces     those that processes are in, and links that lead there
    bridge_ports   their ports by an old ioctl, where /sys shows those of another namespace
    filters        the filters of the host's bridges, and who is plugged into them
    routing        the host's routing rules
    shaping_messages limits of links' bandwidth, to messages and back, pure
    shaping        those of containers, at their host ends
    inside_ways    by which interface it sends what it sends from an address
    cables         links between two sandboxes
    marks          what is in sandboxes and no interface takes along
    lan_messages   links that share a parent of the host's, as messages
    lan_links      containers' links on the LAN itself, and the host's own beside them
    inside         interfaces in sandboxes: their addresses and routes
    address_losses addresses that a sandbox loses, told by the kernel as it happens
    link_notices   what of links and sandboxes others may have touched, told likewise
    netns_names    names under /run/netns
    hostnames      what containers call themselves
    container_root opens and mounts beneath a container's root, whatever its image has there
    local_walk     a path in a container that runs, whose file systems may never answer
    other_ids      files made with the ids of a container's own user namespace
    other_mounts   files that a container has read-only, written by a mount of the host's
    name_files     hosts and resolv.conf in a container, whatever its image has there
    served_files   what the name server reads: who is found by which names
    name_program   its life: found, started, told and ended, as nobody's child
    bridge         bridges and routes: the one module that talks pyroute2
    bridges        the same for who may need it: imports `bridge` when it is needed
    overview       all links and what has passed them, by one list of each kind
    listeners      who listens on a port of the host
    name_server    those files and that program together
    names_elsewhere those of containers on other hosts, in those files
    port_sockets   sockets that hold published ports, and answer nothing
    inotify        what happens in directories, told as it happens
    checksum       of IP's packets
    probe          who uses an address on a segment

An attach that finds everything ready imports neither `bridge` nor `probe`; what holds ports,
and `inotify`, are the watcher's.
"""
