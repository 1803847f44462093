"""Putting our rules into the kernel's firewall, and seeing what others have there.

Read them in this order:

    nfnetlink       nf_tables messages to values and back, pure
    netfilter       the socket that they go through; everybody's chains
    table           our table: made, observed, entered into, taken out of
    forward_accept  accept rules in tables that are not ours
    conntrack       flows that have to be forgotten
    programs        running nft and iptables
"""
