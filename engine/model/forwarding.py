"""The sysctls of forwarding, and the values by which we know what is ours in them."""

FORWARD_IPV4 = "net/ipv4/ip_forward"
FORWARD_IPV6 = "net/ipv6/conf/all/forwarding"
# Any number but 0 means yes. Docker and people write 1, so this one is ours to take back.
LOOPBACK_ROUTED = "2"
# Likewise of forwarding; netavark, CNI, libvirt and sysctl.d put their 1 in its place, which
# tells that they want it as well. It begins with a 1 for dockerd, which looks at the first
# digit alone: with any other it would set FORWARD to DROP, and stop containers that run.
FORWARDED = "10"
