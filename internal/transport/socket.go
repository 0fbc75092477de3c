package transport

import (
	"crypto/rand"
	"encoding/binary"
	"net"
	"net/netip"
)

const (
	// firstPort is the lowest local port: those below need privileges, and
	// RFC 6056 §3.2 has clients use the range 1024-65535.
	firstPort = 1024

	// maxBinds is how many ports are tried when they are taken by other sockets.
	// With a tenth of all ports taken, one send in 10^10 fails.
	maxBinds = 10
)

// openSocket opens a UDP socket that is connected to server, on a local port
// that draw returns. net.DialUDP is the cheapest way that package net has: a Dialer
// costs 3 more allocations for the text of the address, Dialer.DialUDP one for its
// context, and an unconnected socket receives packets of any sender.
func openSocket(server netip.AddrPort, draw func() uint16) (net.Conn, error) {
	network, unfragmented := "udp6", dontFragment6
	if server.Addr().Is4() {
		network, unfragmented = "udp4", dontFragment4
	}
	remote := net.UDPAddrFromAddrPort(server)
	local := net.UDPAddr{}
	for tries := 1; ; tries++ {
		local.Port = int(draw())
		c, err := net.DialUDP(network, &local, remote)
		if err == nil {
			setUnfragmented(c, unfragmented)
			return c, nil
		}
		if tries == maxBinds || !portTaken(err) {
			return nil, err
		}
	}
}

// setUnfragmented sets DF. Where the system refuses, the query goes out without:
// it is small, and only large packets are fragmented.
func setUnfragmented(c *net.UDPConn, set func(fd uintptr)) {
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(set)
	}
}

// drawPort draws a local port, each usable one with the same probability, with
// the system's cryptographic generator (RFC 5452 §9.2). Port 0 would leave the choice
// to the system, which has 28,232 ports on Linux.
func drawPort() uint16 {
	var b [2]byte
	for {
		rand.Read(b[:]) // never fails
		if p := binary.BigEndian.Uint16(b[:]); usablePort(p) {
			return p
		}
	}
}

// usablePort reports whether a query may be sent from port. At the ports left out,
// packets are lost on the way or meant for other programs; without them the choice is
// still 15.98 bits.
func usablePort(port uint16) bool {
	switch port {
	case 1434, // SQL Server Monitor: networks drop it since the Slammer worm
		1900,  // SSDP: dropped as reflected traffic
		2152,  // GTP-U: taken by gateways of mobile networks
		3702,  // WS-Discovery: dropped as reflected traffic
		4500,  // IPsec NAT traversal: taken by firewalls, and by kernels that decrypt
		4789,  // VXLAN: taken by network cards and kernels
		4791,  // RoCEv2: taken by network cards
		5060,  // SIP: rewritten by home routers
		5353,  // mDNS: a responder started later would find it taken
		6081,  // Geneve: taken by network cards and kernels
		11211: // memcached: dropped as reflected traffic
		return false
	}
	return port >= firstPort
}
