package resolvertest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// patience is how long the helpers wait for a reply: virtual time in most tests, and in the others
// longer than a busy machine takes. A connection that loses every segment five times takes longer still.
const patience = 30 * time.Second

// dialer is Dial or LoopbackDial.
type dialer func(t *testing.T, in *Internet, network, server string) (net.Conn, error)

func inMemory(t *testing.T, in *Internet, network, server string) (net.Conn, error) {
	return in.Dial(t.Context(), network, at(server))
}

func onLoopback(t *testing.T, in *Internet, network, server string) (net.Conn, error) {
	return in.LoopbackDial(t.Context(), network, at(server))
}

func at(server string) string {
	return netip.AddrPortFrom(netip.MustParseAddr(server), dnsPort).String()
}

// query makes a query with EDNS.
func query(name string, qtype uint16) *dns.Msg {
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype)
	m.RecursionDesired = false
	return m.SetEdns0(1232, false)
}

// wireOf packs a message.
func wireOf(t *testing.T, m *dns.Msg) []byte {
	t.Helper()
	wire, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

// send sends a message over a new connection and returns what comes back first, nil
// if nothing does.
func send(t *testing.T, in *Internet, dial dialer, network, server string, wire []byte) ([]byte, error) {
	t.Helper()
	c, err := dial(t, in, network, server)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if network == "udp" {
		return sendDatagram(c, wire)
	}
	return sendStream(c, wire)
}

func sendDatagram(c net.Conn, wire []byte) ([]byte, error) {
	if _, err := c.Write(wire); err != nil {
		return nil, err
	}
	return readDatagram(c)
}

func readDatagram(c net.Conn) ([]byte, error) {
	buffer := make([]byte, maxMessage)
	n, err := c.Read(buffer)
	if err != nil {
		return nil, err
	}
	return buffer[:n], nil
}

func sendStream(c net.Conn, wire []byte) ([]byte, error) {
	if _, err := c.Write(framed(wire)); err != nil {
		return nil, err
	}
	return readStream(c)
}

func readStream(c net.Conn) ([]byte, error) {
	var length [lengthSize]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return nil, err
	}
	reply := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(c, reply)
	return reply, err
}

// exchangeOver asks a server in memory and parses the reply.
func exchangeOver(t *testing.T, in *Internet, network, server string, m *dns.Msg) *dns.Msg {
	t.Helper()
	wire, err := send(t, in, inMemory, network, server, wireOf(t, m))
	if err != nil {
		t.Fatalf("%s %s: %v", server, network, err)
	}
	reply := new(dns.Msg)
	if err := reply.Unpack(wire); err != nil {
		t.Fatalf("%s %s: reply %x: %v", server, network, wire, err)
	}
	return reply
}

// ask asks a server over UDP.
func ask(t *testing.T, in *Internet, server string, m *dns.Msg) *dns.Msg {
	t.Helper()
	return exchangeOver(t, in, "udp", server, m)
}

// text writes a reply for comparison: RCODE and flags, then the sections with a
// letter before each record. OPT is left out.
func text(m *dns.Msg) string {
	var b strings.Builder
	fmt.Fprint(&b, dns.RcodeToString[m.Rcode])
	for _, f := range []struct {
		name string
		set  bool
	}{{"aa", m.Authoritative}, {"tc", m.Truncated}, {"ra", m.RecursionAvailable}} {
		if f.set {
			fmt.Fprint(&b, " ", f.name)
		}
	}
	fmt.Fprintln(&b)
	for _, s := range []struct {
		letter  string
		records []dns.RR
	}{{"an", m.Answer}, {"ns", m.Ns}, {"ar", m.Extra}} {
		for _, rr := range s.records {
			if rr.Header().Rrtype != dns.TypeOPT {
				fmt.Fprintln(&b, s.letter, strings.Join(strings.Fields(rr.String()), " "))
			}
		}
	}
	return b.String()
}

// lines takes the indentation off a wanted text.
func lines(s string) string {
	var out []string
	for line := range strings.SplitSeq(strings.TrimSpace(s), "\n") {
		out = append(out, strings.TrimSpace(line))
	}
	return strings.Join(out, "\n") + "\n"
}

func compare(t *testing.T, got, want string) {
	t.Helper()
	if got != lines(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, lines(want))
	}
}

func isTimeout(err error) bool {
	var netErr net.Error
	return errors.As(err, &netErr) && netErr.Timeout()
}

// recorder is a TB that only remembers.
type recorder struct {
	failures []string
	cleanups []func()
}

func (r *recorder) Helper()             {}
func (r *recorder) Logf(string, ...any) {}
func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(fatal{})
}

// fatal is what Fatalf of a recorder panics with, to end what called it.
type fatal struct{}

// failuresOf runs f with a recorder.
func failuresOf(f func(t TB)) []string {
	r := new(recorder)
	func() {
		defer func() {
			if v := recover(); v != nil && v != (fatal{}) {
				panic(v)
			}
		}()
		f(r)
	}()
	for _, cleanup := range slices.Backward(r.cleanups) {
		cleanup()
	}
	return r.failures
}

func mustAddrPort(server string) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(server), dnsPort)
}
