"""Attach and detach: the transactions, each under its locks, in the four modes.

The engine must not know Docker, OCI, or where a request came from. Its rooms decide
(`plan`), do (`kernel`, `firewall`, with `netlink` and `ruleset` below them), remember
(`records`) and have the values (`model`). What stands here makes acts of that; read
it in this order, in which each imports only what stands above:

    link_targets        to whom links by name lead
    locks, storage      the locks; what is needed of the records
    operation           what one act goes by: its time, settings, locks and log
    liveness, journal   who lives; doing steps, and taking them back
    port_owners         whose the ports in the firewall are
    source_routing      how the host routes by source, and who leaves by which uplink
    former              what an earlier life had
    naming              what a container is told by names
    access              who may talk to whom, followed as containers come and go
    refusals            who was refused what, by names
    unplugging          links of two sandboxes, taken down by one's record
    detach              taking down, from the record alone
    strays              what of ours nobody claims
    stranded            members whose owner is in another sandbox by now
    observe             looking at the host before a plan
    astray              whom the host's own packets do not come to
    settle, containers  a record and its sandbox made to agree; who is known
    create_network, remove_network, adopted
    mend                a record made true again, where others have changed the host
    attach_addresses, attach_checks
                        its addresses; what others must not have already
    attach              one request as one transaction
    disconnect          one network less
    share, pods, unpublish, gc, networks, addresses, restore
    kept                host ports that were chosen, kept for a name
    regained            leases of who lives, where what was on record is gone
    assembly            where real objects are made
    plugging            links of two sandboxes, made and made again
    check_cables        the same links, compared with their definitions
    check, changes      mending for everybody; what others may have touched
    sight               all that is there and recorded, for who shows it
    names_elsewhere     names that lead to other hosts, and those that others hear of
    egress_names        DNS names that packets may leave for, followed
    held_ports          published ports, held against whoever binds them later
    shadowed            services of the host that published ports hide
    black_holes         long packets that are lost without a word
    unseen              where a packet may be lost that no rule of a trace has dropped
    by_link             ways from one container to another that lead past the host
    explain             a packet's way, station by station
    lifecycle           attach and detach, as hooks call them
    cables              links of two sandboxes, as people define and remove them
    engine              what people and the watcher call besides
    doctor              what stops traffic, by asking all of them
"""
