"""Putting our rules into the kernel's firewall, and seeing what others have there.

Read in this order; each module imports only what stands above it:

    nfnetlink       nf_tables messages to values and back, pure
    rules           rules and elements of others, read back, pure
    sample          a packet that stands for many, pure
    ipset           sets of ipset's, asked for, pure
    xt_matches      what iptables' own matches say of it, pure
    walk            its way through the rules of a chain, pure
    legacy          the same way through rules of iptables-legacy's, pure
    netfilter       the socket that they go through; everybody's chains
    programs        running nft and iptables
    table_shape     how our table is made, but for its elements: a digest
    comparison      what our table lacks, by nft's own list of it
    conntrack       flows that have to be forgotten
    element_messages  elements of our table's sets, listed and read back, pure
    table_elements  all that is in it, whoever entered it
    table           our table: made, observed, entered into, taken out of
    uplink_table    the second table, on hosts where routes say more than which link
    table_notices   what of tables has been changed, told by the kernel as it happens
    firewalld       the zones and policies of one of them
    judgement       whether what should pass the chains of others does
    accept_rules    our rules in iptables' chains, put there and taken out
    forward_accept  accept rules in tables that are not ours
"""
