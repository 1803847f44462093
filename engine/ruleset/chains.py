"""The chains of our table, in nft's language."""

# One rule a line, each with its reason above it. The order inside a chain counts; where
# it is free, what most packets meet stands first. A chain of type nat sees only the
# first packet of a connection.
CHAINS = """\
	chain elsewhere {
		# Nobody but those on a bridge of ours has an address of its subnets: one from the
		# LAN would be taken for a container by the host's services.
		ip saddr @inside4 iif != "lo" drop
		ip6 saddr @inside6 iif != "lo" drop
	}
	chain raw_prerouting {
		type filter hook prerouting priority raw; policy accept;
		# route_localnet opens the bridges to 127.0.0.0/8, and DNAT comes before the
		# kernel's own check: nobody but the host may use such an address.
		# Every packet comes by here, so one byte decides: in an ip header, the first
		# one of an address.
		@nh,128,8 0x7f meta nfproto ipv4 iif != "lo" drop comment "ip daddr 127.0.0.0/8"
		@nh,96,8 0x7f meta nfproto ipv4 iif != "lo" drop comment "ip saddr 127.0.0.0/8"
		# A container must not be able to give the host a route, not even where the
		# bridge's accept_ra could not be set.
		icmpv6 type nd-router-advert iifname @isolated drop
		iifname != @bridges jump elsewhere
	}
	chain names {
		# For the network that they are of, and the host: whoever else sends to a gateway by
		# way of the host would be told them, and have the host ask for all others.
		ip daddr @served4 ip daddr . iifname != @home4 drop
		ip6 daddr @served6 ip6 daddr . iifname != @home6 drop
	}
	chain services {
		# Of networks that have no business with the host: what it asked for itself, ICMP (by
		# number: nft has no name for ICMPv6 where netbase, with /etc/protocols, is not installed),
		# which finds neighbours, and who asks for an address. A published port is none of
		# its services: by now it has another destination.
		type filter hook input priority filter; policy accept;
		meta l4proto { tcp, udp } th dport 53 iif != "lo" jump names
		iifname != @hostless accept
		ct state established,related accept
		meta l4proto { 1, 58 } accept
		udp dport { 67, 547 } accept
		# Names, where they are served: at the host's address on the bridge, and no other.
		iifname @named ip daddr . iifname @home4 meta l4proto { tcp, udp } th dport 53 accept
		iifname @named ip6 daddr . iifname @home6 meta l4proto { tcp, udp } th dport 53 accept
		drop
	}
	chain publish {
		# No port is in both maps, and most are in the first.
		dnat ip to meta l4proto . th dport map @publish4
		dnat ip to meta l4proto . ip daddr . th dport map @publish4_at
		# No DNAT can reach a container from ::1: the kernel never lets it leave lo.
		ip6 daddr ::1 return
		dnat ip6 to meta l4proto . th dport map @publish6
		dnat ip6 to meta l4proto . ip6 daddr . th dport map @publish6_at
	}
	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		# Only what is for the host: what passes through it keeps its destination.
		fib daddr type local jump publish
	}
	chain output {
		type nat hook output priority -100; policy accept;
		fib daddr type local jump publish
	}
	chain hairpin {
		# From 127.0.0.1 to a published port: a container can't answer to that.
		ip saddr 127.0.0.0/8 oifname @bridges masquerade
		# From a container to its own network through a published port: the answer
		# would take the short way, past the DNAT. By source, for a bridged packet
		# has no incoming interface here.
		ip saddr . oifname @home4 masquerade
		ip6 saddr . oifname @home6 masquerade
	}
	chain chosen {
		# Before those who follow the host's routes: what one container's user has asked for.
		# A chain of its own, for NAT is done once, by the first who does it.
		type nat hook postrouting priority srcnat - 2; policy accept;
		oifname @bridges accept
		oif "lo" accept
		ip saddr . ip daddr @unmasked4 accept
		ip6 saddr . ip6 daddr @unmasked6 accept
		snat ip to ip saddr map @source4
		snat ip6 to ip6 saddr map @source6
	}
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ct status dnat jump hairpin
		oifname @bridges accept
		# The host's own packets to its bridge address stay as they are.
		oif "lo" accept
		ip saddr . ip daddr @unmasked4 accept
		ip6 saddr . ip6 daddr @unmasked6 accept
		# An address that was asked for goes before the one that masquerading chooses.
		snat ip to ip saddr map @egress4
		ip saddr @masquerade4 masquerade
		snat ip6 to ip6 saddr map @egress6
		ip6 saddr @masquerade6 masquerade
	}
	chain bridged {
		# Where bridge-nf-call-iptables is 1, DNAT is done and undone before the bridge's own
		# filters see a packet, and one within a network gets no other hook.
		type filter hook prerouting priority -90; policy accept;
		@nh,128,8 0x7f meta nfproto ipv4 iif != "lo" meta mark set 0x6f63696e
		ct status dnat ip daddr . iifname @home4 meta mark set 0x6f63696e
		ct status dnat ip6 daddr . iifname @home6 meta mark set 0x6f63696e
	}
	chain passed {
		# Behind all chains that may mind a mark; a packet's goes no further than the
		# bridge. What does not bear it there has not come by this table.
		type filter hook postrouting priority 300; policy accept;
		# Who is kept from its siblings sends by way of the host, which would tell it to send
		# to them at once: it would believe that, of IPv6, and reach nobody any more.
		icmpv6 type nd-redirect oifname @isolated drop
		icmp type redirect oifname @isolated drop
		oifname @isolated meta mark set 0x6f63696e
	}
	chain guard {
		iifname @bridges return
		oifname @bridges return
		# What a bridge of before only bridges, where bridge-nf-call-iptables is 1.
		meta nfproto . iifname . oifname @within return
		# Whoever made a bridge later, as Docker, found forwarding on and counts on it.
		meta iifkind "bridge" meta nfproto . iifname != @apart return
		meta oifkind "bridge" meta nfproto . oifname != @apart return
		drop
	}
	chain refused_port {
		update @refused4 { ip saddr . ip daddr . meta l4proto . th dport }
		update @refused6 { ip6 saddr . ip6 daddr . meta l4proto . th dport }
		drop
	}
	chain refused {
		# Who was refused, to where, and how often; where it is full, it is dropped all the same.
		# What has no ports has its first two bytes there, of ICMP its type and code.
		meta l4proto { tcp, udp, sctp } jump refused_port
		update @refused4 { ip saddr . ip daddr . meta l4proto . th sport }
		update @refused6 { ip6 saddr . ip6 daddr . meta l4proto . th sport }
		drop
	}
	chain among {
		# Of a network whose containers are kept from each other: what the user of either has
		# said is open.
		ct status dnat accept
		ip saddr . ip daddr . meta l4proto . th dport @pair4 accept
		ip saddr . ip daddr @pair4_all accept
		ip daddr . meta l4proto . th dport @expose4 accept
		ip saddr . ip daddr . meta l4proto . th dport @allow4 accept
		ip daddr . ip saddr . meta l4proto . th dport @admit4 accept
		ip6 saddr . ip6 daddr . meta l4proto . th dport @pair6 accept
		ip6 saddr . ip6 daddr @pair6_all accept
		ip6 daddr . meta l4proto . th dport @expose6 accept
		ip6 saddr . ip6 daddr . meta l4proto . th dport @allow6 accept
		ip6 daddr . ip6 saddr . meta l4proto . th dport @admit6 accept
		goto refused
	}
	chain joined {
		oifname . oifname @closed goto among
		accept
	}
	chain leaving {
		# It opens nothing: what passes here meets the rules for all the others.
		ip saddr . ip daddr . meta l4proto . th dport @leave4 return
		ip saddr . ip daddr . meta l4proto . th dport @allow4 return
		ip6 saddr . ip6 daddr . meta l4proto . th dport @leave6 return
		ip6 saddr . ip6 daddr . meta l4proto . th dport @allow6 return
		goto refused
	}
	chain forward {
		type filter hook forward priority filter; policy accept;
		ct state established,related accept
		# Who switches forwarding on makes a router of the host, for everybody.
		meta nfproto @guarded jump guard
		# Bridged packets come by here where bridge-nf-call-iptables is 1.
		iifname . oifname @same accept
		iifname . oifname @closed goto among
		ip saddr @kept4 jump leaving
		ip6 saddr @kept6 jump leaving
		iifname @internal drop
		oifname @internal drop
		# A published port is open to everyone, other networks' containers as well.
		ct status dnat accept
		# Where a network goes on behind another link of the host's.
		oifname . ip saddr . iifname @joined4 jump joined
		oifname . ip6 saddr . iifname @joined6 jump joined
		oifname @isolated drop
		# NAT leaves invalid packets as they are: a private address would get out.
		ct state invalid ip saddr @masquerade4 drop
		ct state invalid ip6 saddr @masquerade6 drop
	}
"""
