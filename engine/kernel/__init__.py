"""What is asked of the kernel about links, sandboxes and sockets, and done to them.

rtnetlink    rtnetlink messages to values and back, pure
sandbox      network namespaces, by open file
links        links, addresses and routes: the hook's few requests
bridge       bridges and routes, by pyroute2: not on the hook's usual path
netns_names  names under /run/netns
sysctl       kernel parameters
probe        who uses an address on a segment
listeners    who listens on a port of the host
"""
