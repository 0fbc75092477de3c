package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"
)

// datagram packs a query with an ID of its own, by which answers are told apart.
func datagram(t *testing.T, id uint16) []byte {
	t.Helper()
	query := new(dns.Msg).SetQuestion("www.shop.example.", dns.TypeA)
	query.Id = id
	wire, err := query.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

// rawSend sends one datagram with any source address, a broadcast address too.
func rawSend(t *testing.T, kind, protocol int, option func(fd int) error, to netip.AddrPort, wire []byte) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, kind, protocol)
	if errors.Is(err, syscall.EPERM) {
		t.Skip("no raw sockets without privileges")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := option(fd); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Sendto(fd, wire, 0, &syscall.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}); err != nil {
		t.Skipf("cannot be sent here: %v", err)
	}
}

// A query from port 0 is not answered, and others are answered as before.
func TestAttackPortZero(t *testing.T) {
	p := startProxy(t, newInternet(t).flags("-threads", "1", "-metrics", "127.0.0.1:0")...)
	at := netip.MustParseAddrPort(p.at["udp"])
	ask(t, "udp", p.at["udp"], "www.shop.example.", dns.TypeA)
	wire := datagram(t, 1)
	const udpHeader = 8
	packet := binary.BigEndian.AppendUint16([]byte{0, 0}, at.Port())
	packet = binary.BigEndian.AppendUint16(packet, uint16(udpHeader+len(wire)))
	packet = append(append(packet, 0, 0), wire...) // no checksum
	rawSend(t, syscall.SOCK_RAW, syscall.IPPROTO_UDP, func(int) error { return nil },
		netip.AddrPortFrom(at.Addr(), 0), packet)
	stillAnswers(t, p, at.String())
}

// A query to the broadcast address of a network, or to a group, is not answered, and others
// are answered as before.
func TestAttackBroadcast(t *testing.T) {
	w := newInternet(t)
	for _, to := range []string{"127.255.255.255", "224.0.0.1"} {
		p := startProxy(t, w.flags("-threads", "1", "-listen", "0.0.0.0:0", "-metrics", "127.0.0.1:0")...)
		_, port, _ := net.SplitHostPort(p.at["udp"])
		own := net.JoinHostPort("127.0.0.1", port)
		ask(t, "udp", own, "www.shop.example.", dns.TypeA)
		rawSend(t, syscall.SOCK_DGRAM, 0, func(fd int) error {
			return errors.Join(syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_BROADCAST, 1),
				syscall.SetsockoptInet4Addr(fd, syscall.IPPROTO_IP, syscall.IP_MULTICAST_IF, [4]byte{127, 0, 0, 1}))
		}, netip.MustParseAddrPort(net.JoinHostPort(to, port)), datagram(t, 1))
		stillAnswers(t, p, own)
		p.finish()
	}
}

// stillAnswers waits until one datagram was ignored, and asks more than once, since the one
// that cannot be answered may be behind the first in its batch.
func stillAnswers(t *testing.T, p *process, address string) {
	t.Helper()
	eventually(t, "datagram that is ignored", func() bool {
		return strings.Contains(scrape(t, p), `{transport="udp",verdict="ignored"} 1`)
	})
	for range 3 {
		ask(t, "udp", address, "www.shop.example.", dns.TypeA)
	}
}

// An answer comes from the address that was asked (RFC 2181 §4.1), also when the query before it, in the same batch
// maybe, was sent to another one; and so do those of queries that are answered later.
func TestSourceOfAnswers(t *testing.T) {
	h := newTestHandler(t)
	conns, err := listenUDP(netip.MustParseAddrPort("0.0.0.0:0"), 1)
	if err != nil {
		t.Skip(err)
	}
	l := newUDPListener(conns[0], h)
	ended := make(chan error)
	go func() { ended <- l.serve() }()
	var clients []net.Conn
	for _, addr := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"} {
		to := net.JoinHostPort(addr, fmt.Sprint(addrPort(conns[0].LocalAddr()).Port()))
		conn, err := net.Dial("udp4", to) // takes what comes from there only
		if err != nil {
			t.Skip(err)
		}
		defer conn.Close()
		_ = conn.SetReadDeadline(time.Now().Add(patience / 6)) // or what goes wrong would never end
		clients = append(clients, conn)
	}
	for round := range uint16(3) {
		for range 4 {
			for _, conn := range clients {
				if _, err := conn.Write(datagram(t, round)); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, conn := range clients {
			for range 4 {
				reply := make([]byte, udpSize)
				if n, err := conn.Read(reply); err != nil || n < headerSize || binary.BigEndian.Uint16(reply) != round {
					t.Fatalf("round %d, from %v: got % x, %v", round, conn.RemoteAddr(), reply[:n], err)
				}
			}
		}
	}
	l.stop()
	if err := errors.Join(<-ended, l.close()); err != nil {
		t.Error(err)
	}
}

// What the cache answers over UDP costs no allocation here; net has one or two for the address.
func TestHitsAllocateNothing(t *testing.T) {
	h := newTestHandler(t, "-client-rate", "1000000000")
	conns, err := listenUDP(netip.MustParseAddrPort("0.0.0.0:0"), 1)
	if err != nil {
		t.Skip(err)
	}
	l := newUDPListener(conns[0], h)
	defer l.close()
	if l.control == 0 {
		t.Skip("the system does not say what was asked")
	}
	query, control := datagram(t, 1), (&ipv4.ControlMessage{Src: net.IPv4(127, 0, 0, 1)}).Marshal()
	remote := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1024}
	q := l.query(query, nil, remote, netip.MustParseAddrPort("127.0.0.1:1024"))
	q.way = noAnswer{}
	h.answer(&q) // into the cache
	// As the kernel writes it: struct in_pktinfo, whose third member is the destination.
	copy(control[syscall.CmsgLen(0)+8:], []byte{127, 0, 0, 1})
	m := ipv4.Message{Buffers: [][]byte{query}, N: len(query), OOB: control, NN: len(control), Addr: remote}
	buffer := make([]byte, 0, udpSize)
	if n := testing.AllocsPerRun(100, func() {
		l.read, l.out = time.Now(), l.out[:0]
		l.take(&m, buffer)
	}); n > 0 || len(l.out) != 1 {
		t.Errorf("got %v allocations for %d answers, want none for 1", n, len(l.out))
	}
}

// noAnswer is a way back on which nobody listens.
type noAnswer struct{}

func (noAnswer) send(*query, []byte) error { return nil }
