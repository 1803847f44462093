"""Putting our rules into the kernel's firewall, and seeing what others have there.

nfnetlink       nf_tables messages to values and back, pure, and their socket
table           our table: made, observed, entered into, taken out of
forward_accept  accept rules in tables that are not ours
conntrack       flows that have to be forgotten
programs        running nft and iptables
"""
