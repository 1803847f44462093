"""How packets get from host to host: each backend of a cluster is a data plane.

plane      the Protocol that each of them is, and what it tells of what it did
planes     which one a cluster has

Of decisions, which are pure, and of the kernel, in the order in which they stand on each other:

believed   which of what peers say of themselves can be true
desired    what a device and the tables about it are to hold
messages   devices, neighbours, forwarding entries and routes as rtnetlink has them
reconcile  from what is there to what has to be done, in order
closing    who may speak to this host's share, and as whom, in nft's language
kernel     the kernel as it is asked and told
underlay   the link that leads to the others, and how much of its MTU is left
device     a device made, changed, taken away
filling    tables compared, and made so
table      the closing table put in place
curve      the public key that goes with a private one
tunnel     what WireGuard is told and tells
vxlan, routes, wireguard   the planes
"""
