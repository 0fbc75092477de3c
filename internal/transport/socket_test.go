package transport

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

func TestUsablePort(t *testing.T) {
	usable := 0
	for p := range 1 << 16 {
		if usablePort(uint16(p)) {
			usable++
		}
	}
	if want := 65536 - 1024 - 11; usable != want {
		t.Errorf("usable ports: got %d, want %d", usable, want)
	}
	for port, want := range map[uint16]bool{0: false, 53: false, 1023: false, 1024: true, 4790: true, 4791: false, 5353: false, 11211: false, 65535: true} {
		if got := usablePort(port); got != want {
			t.Errorf("usablePort(%d): got %t, want %t", port, got, want)
		}
	}
}

// chiSquareLimit is exceeded by 63 degrees of freedom once in 10^9 runs
// (Wilson-Hilferty: 63 * (1 - 2/567 + 6*sqrt(2/567))^3), and by as few as 400 ports in 64 cells, whose
// sum is not quite as smooth, less than once in 10^7.
const chiSquareLimit = 156.0

// chiSquare compares ports in 64 cells of equal width with the uniform
// distribution.
func chiSquare(ports []uint16) float64 {
	const cells = 64
	var seen, usable [cells]float64
	cell := func(p int) int { return (p - firstPort) * cells / (65536 - firstPort) }
	all := 0.0
	for p := range 1 << 16 {
		if usablePort(uint16(p)) {
			usable[cell(p)]++
			all++
		}
	}
	for _, p := range ports {
		seen[cell(int(p))]++
	}
	sum := 0.0
	for i := range cells {
		want := float64(len(ports)) * usable[i] / all
		sum += (seen[i] - want) * (seen[i] - want) / want
	}
	return sum
}

// RFC 5452 §9.2: ports are unpredictable, from the whole range.
func TestDrawPortIsUniform(t *testing.T) {
	ports := make([]uint16, 20000)
	ones := [16]int{}
	repeats := 0
	for i := range ports {
		ports[i] = drawPort()
		if !usablePort(ports[i]) {
			t.Fatalf("drawPort: got %d, which is not usable", ports[i])
		}
		for bit := range ones {
			ones[bit] += int(ports[i] >> bit & 1)
		}
		if i > 0 && ports[i] == ports[i-1] {
			repeats++
		}
	}
	if got := chiSquare(ports); got > chiSquareLimit {
		t.Errorf("chi-square of %d ports: got %.1f, want at most %.1f", len(ports), got, chiSquareLimit)
	}
	for bit, n := range ones { // 10,000 expected, the top bits a few more; 5 standard deviations are 354
		if n < 9500 || n > 10600 {
			t.Errorf("bit %d of %d ports is set %d times, want about half", bit, len(ports), n)
		}
	}
	if repeats > 8 { // 0.3 expected
		t.Errorf("a port was drawn twice in a row %d times", repeats)
	}
}

// All goroutines draw from one population: nobody who sees the ports of one
// group learns which group another port belongs to.
func TestDrawPortOfGroups(t *testing.T) {
	groups := make(chan []uint16)
	const n = 4
	for range n {
		go func() {
			ports := make([]uint16, 5000)
			for i := range ports {
				ports[i] = drawPort()
			}
			groups <- ports
		}()
	}
	for range n {
		if got := chiSquare(<-groups); got > chiSquareLimit {
			t.Errorf("chi-square of a group: got %.1f, want at most %.1f", got, chiSquareLimit)
		}
	}
}

func listenUDP(t testing.TB, network, address string) *net.UDPConn {
	t.Helper()
	a, err := net.ResolveUDPAddr(network, address)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.ListenUDP(network, a)
	if err != nil {
		t.Skipf("no socket on %s: %v", address, err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func addrPort(c *net.UDPConn) netip.AddrPort {
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// takenTwice draws a port that is taken twice, and then any, one of which is free.
type takenTwice struct {
	port, last uint16
	drawn      int
}

func (d *takenTwice) draw() uint16 {
	if d.drawn++; d.drawn <= 2 {
		d.last = d.port
	} else {
		d.last = drawPort()
	}
	return d.last
}

// closedPort returns an address of this host where nobody hears datagrams, and that nobody can take
// until the test ends: its socket is connected to another one.
func closedPort(t testing.TB) netip.AddrPort {
	t.Helper()
	other := listenUDP(t, "udp4", "127.0.0.1:0")
	c, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, other.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return addrPort(c)
}

// A port in use is passed over.
func TestOpenSocketPortTaken(t *testing.T) {
	server := listenUDP(t, "udp4", "127.0.0.1:0")
	taken := addrPort(listenUDP(t, "udp4", "0.0.0.0:0")).Port()
	ports := takenTwice{port: taken}
	c, err := openSocket(addrPort(server), ports.draw)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := c.LocalAddr().(*net.UDPAddr).Port; got != int(ports.last) || ports.drawn < 3 {
		t.Errorf("port: got %d after %d draws, want the last one, %d, after 3", got, ports.drawn, ports.last)
	}

	drawn := 0
	_, err = openSocket(addrPort(server), func() uint16 { drawn++; return taken })
	if !portTaken(err) || drawn != maxBinds {
		t.Errorf("all ports taken: got %v after %d draws, want port taken after %d", err, drawn, maxBinds)
	}
	if portTaken(errors.New("other")) {
		t.Error("portTaken(other): got true, want false")
	}
}

func TestOpenSocketIPv6(t *testing.T) {
	server := listenUDP(t, "udp6", "[::1]:0")
	c, err := openSocket(addrPort(server), drawPort)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := c.LocalAddr().(*net.UDPAddr).AddrPort(); !got.Addr().Is6() || !usablePort(got.Port()) {
		t.Errorf("local address: got %v, want IPv6 and a usable port", got)
	}
}

// lateLooker is a connection of a host that stands still before its first look, and has a datagram.
type lateLooker struct {
	*net.UDPConn // only for its methods that are not called
	looks        int
}

func (c *lateLooker) SetDeadline(time.Time) error { return nil }

func (c *lateLooker) Read(b []byte) (int, error) {
	if c.looks++; c.looks == 1 {
		return 0, os.ErrDeadlineExceeded
	}
	return copy(b, "datagram"), nil
}

// One look that finds nothing may have been none.
func TestLooksOnceMoreThanOnce(t *testing.T) {
	c := new(lateLooker)
	buffer := make([]byte, 100)
	if n, err := newNetSocket(c).lookOnceMore(buffer); err != nil || string(buffer[:n]) != "datagram" || c.looks != 2 {
		t.Errorf("got %q, %v after %d looks, want the datagram after 2", buffer[:n], err, c.looks)
	}
}
