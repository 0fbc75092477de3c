package main

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/miekg/dns"
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
