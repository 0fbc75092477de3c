package resolvertest

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

// Query is one query as it arrived at a server address, and what became of it.
type Query struct {
	// Time is when it arrived: virtual time inside testing/synctest.
	Time time.Time
	// Server is the address it was sent to, whether or not a server is there.
	Server netip.Addr
	// Network is "udp" or "tcp".
	Network string
	// Unconnected says that there was no query: somebody wanted to send one, and got
	// no connection. It is a TCP handshake that failed, or a host without a route.
	// Of the fields below none is set.
	Unconnected bool
	// Client is the sender's address and port on loopback sockets; the zero
	// value in memory, where there are no ports.
	Client netip.AddrPort

	ID     uint16
	Opcode int
	// Name is the name asked for in the letter case it arrived in, absolute.
	Name  string
	Type  uint16
	Class uint16
	// RD, CD and AD are flags of the header, DO the one of EDNS.
	RD, CD, AD, DO bool
	// EDNS says that the query has an OPT record, UDPSize the size it offers.
	EDNS    bool
	UDPSize uint16
	// Cookie is the DNS cookie option (RFC 7873): nil without one.
	Cookie []byte
	// Size is the length of the query in bytes, without TCP's length field.
	Size int

	// Answered says that something was sent back. Rcode, Truncated and ReplySize
	// describe it, as far as it could be read as a message.
	Answered  bool
	Rcode     int
	Truncated bool
	ReplySize int
	// Unmocked says that the name is outside every zone that the test wrote.
	Unmocked bool
}

// String returns the query in one line.
func (q Query) String() string {
	return fmt.Sprintf("%s %s %s", q.Server, q.Network, q.question())
}

func (q Query) question() string {
	if q.Unconnected {
		return "(no connection)"
	}
	return q.Name + " " + dns.Type(q.Type).String()
}

// newQuery reads the fields of a query from its message, which may be nil if it
// could not be read.
func newQuery(m *dns.Msg) Query {
	var q Query
	if m == nil {
		return q
	}
	q.ID, q.Opcode = m.Id, m.Opcode
	q.RD, q.CD, q.AD = m.RecursionDesired, m.CheckingDisabled, m.AuthenticatedData
	if len(m.Question) > 0 {
		question := m.Question[0]
		q.Name, q.Type, q.Class = question.Name, question.Qtype, question.Qclass
	}
	if opt := m.IsEdns0(); opt != nil {
		q.EDNS, q.UDPSize, q.DO = true, opt.UDPSize(), opt.Do()
		q.Cookie = cookieOf(opt)
	}
	return q
}

// queryLog collects queries. It is safe for concurrent use.
type queryLog struct {
	mu      sync.Mutex
	queries []Query // guarded by mu
}

func (l *queryLog) append(q Query) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queries = append(l.queries, q)
}

// note puts a query into the log.
func (in *Internet) note(q Query) {
	in.log.append(q)
	if q.Unmocked && in.failUnmocked && in.t != nil {
		in.mu.RLock()
		defer in.mu.RUnlock()
		if !in.closed { // the test may be over
			in.t.Errorf("resolvertest: no zone has the name asked for: %v", q)
		}
	}
}

// Log returns the queries that were sent since the start or the last ResetLog, in the
// order of their arrival.
func (in *Internet) Log(filters ...Filter) []Query {
	in.log.mu.Lock()
	defer in.log.mu.Unlock()
	matching := make([]Query, 0, len(in.log.queries))
	for _, q := range in.log.queries {
		if matchesAll(q, filters) {
			matching = append(matching, q)
		}
	}
	return matching
}

// Count says how many of the queries in the log pass all filters.
func (in *Internet) Count(filters ...Filter) int { return len(in.Log(filters...)) }

// ResetLog empties the log.
func (in *Internet) ResetLog() {
	in.log.mu.Lock()
	defer in.log.mu.Unlock()
	in.log.queries = nil
}

// Table writes queries one a line for people to read: how long after the first
// one, to which server, what was asked, and what came back.
func Table(queries []Query) string {
	if len(queries) == 0 {
		return "no queries\n"
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "after\tserver\tnet\tquestion\tflags\tsize\treply")
	for _, q := range queries {
		fmt.Fprintf(w, "%v\t%s\t%s\t%s\t%s\t%d\t%s\n", q.Time.Sub(queries[0].Time).Round(time.Millisecond),
			q.Server, q.Network, q.question(), q.flags(), q.Size, q.outcome())
	}
	w.Flush() // to a strings.Builder, which cannot fail
	return b.String()
}

func (q Query) flags() string {
	var flags []string
	for _, f := range []struct {
		name string
		set  bool
	}{{"rd", q.RD}, {"ad", q.AD}, {"cd", q.CD}, {"do", q.DO}, {"edns", q.EDNS}, {"cookie", q.Cookie != nil}} {
		if f.set {
			flags = append(flags, f.name)
		}
	}
	if len(flags) == 0 {
		return "-"
	}
	return strings.Join(flags, ",")
}

func (q Query) outcome() string {
	if !q.Answered {
		return "-"
	}
	text := wire.RcodeName(q.Rcode)
	if q.Truncated {
		text += " tc"
	}
	return fmt.Sprintf("%s %d", text, q.ReplySize)
}

// Filter picks queries: from the log, or those that a fault is for. A nil Filter
// picks all.
type Filter func(Query) bool

func matchesAll(q Query, filters []Filter) bool {
	for _, f := range filters {
		if f != nil && !f(q) {
			return false
		}
	}
	return true
}

// Name picks queries for exactly this name, in any letter case, with or without
// the trailing dot.
func Name(name string) Filter {
	want, err := dnsname.Parse(name)
	return func(q Query) bool {
		got, gotErr := dnsname.Parse(q.Name)
		return err == nil && gotErr == nil && got == want
	}
}

// Below picks queries for this name and all names below it.
func Below(name string) Filter {
	top, err := dnsname.Parse(name)
	return func(q Query) bool {
		got, gotErr := dnsname.Parse(q.Name)
		return err == nil && gotErr == nil && got.IsAtOrBelow(top)
	}
}

// Type picks queries for one of these types.
func Type(types ...uint16) Filter {
	return func(q Query) bool {
		for _, t := range types {
			if q.Type == t && q.Name != "" {
				return true
			}
		}
		return false
	}
}

// Over picks queries that came over a network, "udp" or "tcp".
func Over(network string) Filter {
	return func(q Query) bool { return q.Network == network }
}

// To picks queries to one of these server addresses.
func To(addrs ...string) Filter {
	wanted := make(map[netip.Addr]bool)
	for _, text := range addrs {
		if addr, err := netip.ParseAddr(text); err == nil {
			wanted[addr.Unmap()] = true
		}
	}
	return func(q Query) bool { return wanted[q.Server] }
}

// Not picks the queries that filter does not pick.
func Not(filter Filter) Filter {
	return func(q Query) bool { return !matchesAll(q, []Filter{filter}) }
}
