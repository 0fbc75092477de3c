package transport

import (
	"crypto/rand"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

const (
	// firstPort is the lowest local port: those below need privileges, and
	// RFC 6056 §3.2 has clients use the range 1024-65535.
	firstPort = 1024

	// maxBinds is how many ports are tried when they are taken by other sockets.
	// With a tenth of all ports taken, one send in 10^10 fails.
	maxBinds = 10

	// lateLook is how long a connection of package net is read once more after its deadline: it
	// reads nothing at all without time. lateLooks is how often that is tried on a host that is
	// short of time itself.
	lateLook  = time.Millisecond
	lateLooks = 5
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

// netSocket is a socket of package net, or what a Dial function has returned. It is the portable way.
type netSocket struct {
	conn    net.Conn
	closing sync.Once
	ofHost  bool
}

func newNetSocket(conn net.Conn) *netSocket {
	_, ofHost := conn.(syscall.Conn)
	return &netSocket{conn: conn, ofHost: ofHost}
}

func (s *netSocket) isOfHost() bool { return s.ofHost }

func (s *netSocket) write(query []byte) error {
	_, err := s.conn.Write(query)
	return err
}

// readBuffers holds buffers for the largest datagram, so that one larger than
// offered is read whole and not truncated silently.
var readBuffers = sync.Pool{New: func() any { return new([maxMessage]byte) }}

// read holds a buffer while it waits.
func (s *netSocket) read(into []byte, until time.Time, _ *Pending) ([]byte, error) {
	buffer := readBuffers.Get().(*[maxMessage]byte)
	defer readBuffers.Put(buffer)
	_ = s.conn.SetDeadline(until) // a failure shows in Read
	n, err := s.conn.Read(buffer[:])
	if err != nil && isTimeout(err) && !until.IsZero() && !time.Now().Before(until) {
		n, err = s.lookOnceMore(buffer[:])
	}
	if err != nil {
		return nil, err
	}
	return copyInto(into, buffer[:n]), nil
}

// lookOnceMore reads what came before the deadline of the connection passed. Only
// sockets of the host have a buffer where that lies.
func (s *netSocket) lookOnceMore(buffer []byte) (n int, err error) {
	if !s.ofHost {
		return 0, ErrLate
	}
	nothing := 0
	for range lateLooks {
		deadline := time.Now().Add(lateLook)
		_ = s.conn.SetDeadline(deadline)
		start := time.Now()
		if !start.Before(deadline) {
			continue
		}
		n, err = s.conn.Read(buffer)
		if err == nil || !isTimeout(err) {
			return n, err
		}
		// A host that has stood still for a little longer than a look lasts has not looked: two of
		// them have to find nothing.
		if time.Since(start) < 2*lateLook {
			if nothing++; nothing == 2 {
				break
			}
		}
	}
	return 0, ErrLate
}

// copyInto returns a copy of message, in into if that has its length. The copy comes before the
// check, so that a caller may keep slices of it.
func copyInto(into, message []byte) []byte {
	if into == nil || len(into) != len(message) {
		into = make([]byte, len(message))
	}
	copy(into, message)
	return into
}

// interrupt closes the connection, which ends a Read or Write under way.
func (s *netSocket) interrupt() { s.close() }

func (s *netSocket) close() { s.closing.Do(func() { closeConn(s.conn) }) }

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
