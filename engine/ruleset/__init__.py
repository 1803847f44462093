"""What our nftables table is and holds: as values and as text. Pure.

Planning shows it, the firewall room puts it into the kernel. Read in this order; each
module imports only what stands above it:

    tables    what our tables are called
    spans     what lies between two values
    elements  what sets and maps are, and what a published port is in them
    network_sets  those of networks
    access_sets  those of what containers' users say, and all there are
    chains    its rules, each with its reason
    nft       the table, and what changes in it, in nft's language
    bpf       programs for filters of links, encoded
    filters   what keeps a bridge closed while the table is not there
    port_guard  what a container may send: as itself alone
    uplinks   the second table, on hosts where routes say more than which link
    legacy    what opens iptables-legacy's tables
    firewalld what firewalld has to know of our bridges
"""
