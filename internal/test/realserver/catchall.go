package realserver

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// MissingLabel is the label that makes a name not exist: the catch-all answers
// NXDOMAIN for it and for everything below it.
const MissingLabel = "missing"

// catchAllTTL is the TTL of what the catch-all makes up, long enough to stay in the
// cache for a whole test.
const catchAllTTL = 3600

// catchAllSize is the largest UDP reply of the catch-all, the usual limit of
// servers since DNS flag day 2020.
const catchAllSize = 1232

// CatchAllAddr is the address that the catch-all returns for every name of which the
// root zone has no glue.
func CatchAllAddr() netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, 1}) }

// CatchAll is an authoritative server for every top-level domain of a root zone. In
// each of them the name servers have the addresses that the root zone has as glue,
// and every other name below has the A record of [CatchAllAddr] and no other type,
// except below [MissingLabel] and except delegated names. Its zones are not signed.
type CatchAll struct {
	root *RootZone
	cuts map[string][]dns.RR // NS records by lower-case name of the zone
	glue map[string][]dns.RR // for the names in cuts
	addr netip.AddrPort
}

// StartCatchAll runs a server for the top-level domains of root until the test
// ends. delegations is zone-file text: the NS records of zones that it delegates,
// and glue for them.
func StartCatchAll(t testing.TB, root *RootZone, delegations string) *CatchAll {
	t.Helper()
	c := &CatchAll{root: root, cuts: make(map[string][]dns.RR), glue: make(map[string][]dns.RR)}
	if err := c.delegate(delegations); err != nil {
		t.Fatalf("delegations of the catch-all: %v", err)
	}
	listener, packets, err := listen()
	if err != nil {
		t.Fatalf("sockets of the catch-all: %v", err)
	}
	c.addr, err = netip.ParseAddrPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.serve(t, &dns.Server{Listener: listener, Handler: c})
	c.serve(t, &dns.Server{PacketConn: packets, Handler: c, UDPSize: catchAllSize})
	return c
}

// Addr is the address at which the server answers, over UDP and TCP.
func (c *CatchAll) Addr() netip.AddrPort { return c.addr }

// delegate reads the zones that the server delegates.
func (c *CatchAll) delegate(text string) error {
	parser := dns.NewZoneParser(strings.NewReader(text), ".", "")
	parser.SetDefaultTTL(catchAllTTL)
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		owner := strings.ToLower(rr.Header().Name)
		switch rr.(type) {
		case *dns.NS:
			c.cuts[owner] = append(c.cuts[owner], rr)
		case *dns.A, *dns.AAAA:
			c.glue[owner] = append(c.glue[owner], rr)
		default:
			return fmt.Errorf("neither NS record nor glue: %v", rr)
		}
	}
	return parser.Err()
}

// portTries is how many ports are tried until one is found that is free for TCP and UDP: the system
// chooses one that is free for TCP, and another socket may have it for UDP.
const portTries = 100

// listen opens a TCP and a UDP socket with the same port.
func listen() (net.Listener, net.PacketConn, error) {
	for try := 1; ; try++ {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, nil, err
		}
		packets, err := net.ListenPacket("udp", listener.Addr().String())
		if err == nil {
			return listener, packets, nil
		}
		_ = listener.Close() // the first error is the one to report
		if try == portTries {
			return nil, nil, err
		}
	}
}

// serve runs a server until the test ends.
func (c *CatchAll) serve(t testing.TB, s *dns.Server) {
	started, ended := make(chan struct{}), make(chan error, 1)
	s.NotifyStartedFunc = func() { close(started) }
	go func() { ended <- s.ActivateAndServe() }()
	select {
	case <-started:
	case err := <-ended:
		t.Fatalf("the catch-all does not start: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Shutdown(); err != nil {
			t.Errorf("stop the catch-all: %v", err)
		}
		if err := <-ended; err != nil {
			t.Errorf("the catch-all ended with: %v", err)
		}
	})
}

// ServeDNS answers one query.
func (c *CatchAll) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	reply := c.reply(query)
	size := dns.MaxMsgSize
	if _, ok := w.RemoteAddr().(*net.UDPAddr); ok {
		size = dns.MinMsgSize
		if opt := query.IsEdns0(); opt != nil {
			size = min(max(size, int(opt.UDPSize())), catchAllSize)
		}
	}
	reply.Truncate(size)
	_ = w.WriteMsg(reply) // the client is gone: it is not our test that notices
}

// reply is what the server says to query. RFC 1034 §4.3.2.
func (c *CatchAll) reply(query *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(query)
	if query.IsEdns0() != nil {
		m.SetEdns0(catchAllSize, false)
	}
	if len(query.Question) != 1 {
		m.Rcode = dns.RcodeFormatError
		return m
	}
	q := query.Question[0]
	name := strings.ToLower(q.Name)
	tld := c.root.TLD(topLabel(name))
	if tld == nil {
		m.Rcode = dns.RcodeRefused
		return m
	}
	if cut := c.cutAbove(name, q.Qtype); cut != "" {
		c.refer(m, cut)
		return m
	}
	m.Authoritative = true
	if !exists(name) {
		m.Rcode = dns.RcodeNameError
	} else {
		m.Answer = c.answer(tld, q, name)
	}
	if len(m.Answer) == 0 {
		m.Ns = []dns.RR{tldSOA(tld)}
	}
	return m
}

// topLabel returns the top-level domain that name is in.
func topLabel(name string) string {
	labels := dns.SplitDomainName(name)
	if len(labels) == 0 {
		return "."
	}
	return dns.Fqdn(labels[len(labels)-1])
}

// cutAbove returns the delegated zone that name belongs to, or "". The DS of a zone
// is the parent's (RFC 4035 §3.1.4.1).
func (c *CatchAll) cutAbove(name string, qtype uint16) string {
	for i, end := 0, false; !end; i, end = dns.NextLabel(name, i) {
		zone := name[i:]
		if c.cuts[zone] != nil && !(i == 0 && qtype == dns.TypeDS) {
			return zone
		}
	}
	return ""
}

// refer makes m a referral to cut, with the glue that is below it or beside it.
func (c *CatchAll) refer(m *dns.Msg, cut string) {
	m.Ns = c.cuts[cut]
	opt := m.Extra
	m.Extra = nil
	for _, name := range nsNames(m.Ns) {
		if dns.IsSubDomain(topLabel(cut), name) {
			m.Extra = append(m.Extra, c.glue[strings.ToLower(name)]...)
		}
	}
	m.Extra = append(m.Extra, opt...)
}

// exists reports whether the name is neither at nor below MissingLabel.
func exists(name string) bool {
	return !slices.Contains(dns.SplitDomainName(name), MissingLabel)
}

// answer returns the records of an existing name; none is NODATA.
func (c *CatchAll) answer(tld *TLD, q dns.Question, name string) []dns.RR {
	if name == tld.Name {
		switch q.Qtype {
		case dns.TypeSOA:
			return []dns.RR{tldSOA(tld)}
		case dns.TypeNS:
			return tld.NS
		}
		return nil
	}
	if glue := c.root.Glue[name]; glue != nil {
		return ofType(glue, q.Qtype)
	}
	if q.Qtype != dns.TypeA {
		return nil
	}
	return []dns.RR{&dns.A{Hdr: header(q.Name, dns.TypeA), A: CatchAllAddr().AsSlice()}}
}

// ofType returns the records of one type.
func ofType(rrs []dns.RR, qtype uint16) []dns.RR {
	var some []dns.RR
	for _, rr := range rrs {
		if rr.Header().Rrtype == qtype {
			some = append(some, rr)
		}
	}
	return some
}

// tldSOA is the SOA record of a top-level domain.
func tldSOA(tld *TLD) dns.RR {
	return &dns.SOA{
		Hdr: header(tld.Name, dns.TypeSOA), Ns: nsNames(tld.NS)[0], Mbox: "hostmaster." + tld.Name,
		Serial: 1, Refresh: 7200, Retry: 3600, Expire: 86400, Minttl: catchAllTTL,
	}
}

func header(owner string, rrtype uint16) dns.RR_Header {
	return dns.RR_Header{Name: owner, Rrtype: rrtype, Class: dns.ClassINET, Ttl: catchAllTTL}
}
