package realserver

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const smallRoot = `. 60 SOA a.root-servers.example. hostmaster.example. 1 7200 3600 86400 60
. 60 NS a.root-servers.Example.
Example. 60 NS ns1.example.
example. 60 NS ns2.example.
example. 60 DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000000
NS1.example. 60 A 192.0.2.53
ns1.example. 60 AAAA 2001:db8::53
ns2.example. 60 A 192.0.2.53
a.root-servers.example. 60 A 192.0.2.1
test. 60 NS ns1.example.
`

const delegated = `shop.example. NS ns.shop.example.
shop.example. NS ns.other.test.
ns.shop.example. A 198.51.100.1
ns.other.test. A 198.51.100.2
`

// parseRoot reads smallRoot.
func parseRoot(t *testing.T) *RootZone {
	t.Helper()
	root, err := ParseRootZone(smallRoot)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func TestCatchAllReply(t *testing.T) {
	c := &CatchAll{root: parseRoot(t), cuts: make(map[string][]dns.RR), glue: make(map[string][]dns.RR)}
	if err := c.delegate(delegated); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		qtype uint16
		want  string // rcode, aa, and the records: owner and type
	}{
		{"www.example.", dns.TypeA, "NOERROR aa | www.example. A"},
		{"wWw.eXample.", dns.TypeA, "NOERROR aa | wWw.eXample. A"},
		{"www.example.", dns.TypeTXT, "NOERROR aa | example. SOA"},
		{"a.missing.example.", dns.TypeA, "NXDOMAIN aa | example. SOA"},
		{"example.", dns.TypeSOA, "NOERROR aa | example. SOA"},
		{"example.", dns.TypeNS, "NOERROR aa | Example. NS, example. NS"},
		{"example.", dns.TypeA, "NOERROR aa | example. SOA"},
		{"ns1.example.", dns.TypeAAAA, "NOERROR aa | ns1.example. AAAA"},
		{"ns2.example.", dns.TypeAAAA, "NOERROR aa | example. SOA"},
		{"nowhere.", dns.TypeA, "REFUSED | "},
		{".", dns.TypeNS, "REFUSED | "},
		{"www.SHOP.example.", dns.TypeA, "NOERROR | shop.example. NS, shop.example. NS, ns.shop.example. A"},
		{"shop.example.", dns.TypeA, "NOERROR | shop.example. NS, shop.example. NS, ns.shop.example. A"},
		{"shop.example.", dns.TypeDS, "NOERROR aa | example. SOA"},
		{"www.shop.example.", dns.TypeDS, "NOERROR | shop.example. NS, shop.example. NS, ns.shop.example. A"},
	} {
		query := new(dns.Msg).SetQuestion(test.name, test.qtype)
		if got := summary(c.reply(query)); got != test.want {
			t.Errorf("%s %s: got %q, want %q", test.name, dns.Type(test.qtype), got, test.want)
		}
	}
}

// summary returns a reply in a line.
func summary(m *dns.Msg) string {
	var b strings.Builder
	b.WriteString(dns.RcodeToString[m.Rcode])
	if m.Authoritative {
		b.WriteString(" aa")
	}
	var records []string
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range section {
			records = append(records, rr.Header().Name+" "+dns.Type(rr.Header().Rrtype).String())
		}
	}
	return b.String() + " | " + strings.Join(records, ", ")
}

func TestCatchAllDelegatesOnlyZones(t *testing.T) {
	c := &CatchAll{root: parseRoot(t), cuts: make(map[string][]dns.RR), glue: make(map[string][]dns.RR)}
	if err := c.delegate("shop.example. TXT no"); err == nil {
		t.Error("a TXT record among delegations: got no error")
	}
}

// A port that is free for TCP is passed over if it is taken for UDP, as many are here.
func TestListenPassesOverPorts(t *testing.T) {
	for range 1000 {
		taken, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
	}
	for range 300 {
		listener, packets, err := listen()
		if err != nil {
			t.Fatal(err)
		}
		listener.Close()
		packets.Close()
	}
}

// The server answers over sockets, through a router that knows one route, and every
// query is in the log.
func TestRouter(t *testing.T) {
	c := StartCatchAll(t, parseRoot(t), delegated)
	client, err := net.Dial("tcp", c.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	nobody := client.LocalAddr().(*net.TCPAddr).AddrPort() // a port that is taken, and takes no connections

	r := NewRouter(c.Addr())
	root := parseRoot(t)
	r.Route(nobody, root.Servers...)
	for _, network := range []string{"udp", "tcp"} {
		conn, err := r.Dial(t.Context(), network, "203.0.113.7:53")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(time.Minute))
		message := &dns.Conn{Conn: conn}
		if network == "udp" {
			message = &dns.Conn{Conn: packetConn{conn}}
		}
		for range 2 {
			if err := message.WriteMsg(new(dns.Msg).SetQuestion("Www.example.", dns.TypeA)); err != nil {
				t.Fatal(err)
			}
			reply, err := message.ReadMsg()
			if err != nil {
				t.Fatal(err)
			}
			if got, want := summary(reply), "NOERROR aa | Www.example. A"; got != want {
				t.Errorf("over %s: got %q, want %q", network, got, want)
			}
		}
	}
	if conn, err := r.Dial(t.Context(), "tcp", "192.0.2.1:53"); err == nil {
		conn.Close()
		t.Error("a connection to the address with a route was opened, where nobody listens")
	}
	checkLog(t, r.Queries(0), []string{
		"@203.0.113.7 www.example. A (udp)", "@203.0.113.7 www.example. A (udp)",
		"@203.0.113.7 www.example. A (tcp)", "@203.0.113.7 www.example. A (tcp)",
	})
	checkLog(t, r.Queries(3), []string{"@203.0.113.7 www.example. A (tcp)"})
	checkLog(t, r.Queries(9), nil)
}

// packetConn makes miekg/dns see that its connection keeps message boundaries,
// which it recognises by the interface.
type packetConn struct{ net.Conn }

func (packetConn) ReadFrom([]byte) (int, net.Addr, error) { return 0, nil, net.ErrClosed }
func (packetConn) WriteTo([]byte, net.Addr) (int, error)  { return 0, net.ErrClosed }

func checkLog(t *testing.T, got []Query, want []string) {
	t.Helper()
	var lines []string
	for _, q := range got {
		lines = append(lines, q.String())
	}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("log: got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

// A message that is written in pieces, or together with the next, is logged once,
// when it is complete.
func TestLogStreamPieces(t *testing.T) {
	packed, err := new(dns.Msg).SetQuestion("www.example.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	one := append([]byte{0, byte(len(packed))}, packed...)
	stream := append(append([]byte(nil), one...), one...)
	for cut := range stream {
		r := NewRouter(netip.AddrPort{})
		c := &loggedConn{router: r, network: "tcp"}
		c.logStream(stream[:cut])
		if got, want := len(r.Queries(0)), cut/len(one); got != want {
			t.Errorf("after %d bytes: got %d queries, want %d", cut, got, want)
		}
		c.logStream(stream[cut:])
		if got := len(r.Queries(0)); got != 2 {
			t.Errorf("cut at %d: got %d queries, want 2", cut, got)
		}
	}
}
