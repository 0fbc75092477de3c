package resolver_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/test/realserver"
	"github.com/iterdns/iterdns/resolver"
)

// realZone is a test zone and the product that serves it. All of them have the same
// names, so that each kind of answer comes from each product; their aliases lead to
// the next zone, in another top-level domain and served by another product.
type realZone struct {
	origin  string
	next    string // where its aliases lead
	remote  bool   // all its name servers are out-of-bailiwick: the delegation has no glue
	product realserver.Product
	addrs   []string // of its name servers
	apex    string   // its NS records, and the addresses of name servers that it holds
}

// realZones: two with in-domain name servers, over both address families, and one
// whose name servers are in the other two.
func realZones() []realZone {
	return []realZone{
		{
			origin: "example.com.", next: "example.net.", product: realserver.Knot,
			addrs: []string{"198.51.100.1", "198.51.100.2", "2001:db8:1::1"},
			apex: `
@        NS    ns1
@        NS    ns2
ns1      A     198.51.100.1
ns1      AAAA  2001:db8:1::1
ns2      A     198.51.100.2
ns.child A     198.51.100.1
nsb      A     203.0.113.2
`,
		},
		{
			origin: "example.net.", next: "example.org.", product: realserver.BIND,
			addrs: []string{"198.51.100.17", "2001:db8:17::1"},
			apex: `
@        NS    ns
ns       A     198.51.100.17
ns       AAAA  2001:db8:17::1
ns.child A     198.51.100.17
nsa      A     203.0.113.1
`,
		},
		{
			origin: "example.org.", next: "example.com.", product: realserver.NSD, remote: true,
			addrs: []string{"203.0.113.1", "203.0.113.2"},
			apex: `
@        NS    nsa.example.net.
@        NS    nsb.example.com.
ns.child A     203.0.113.1
`,
		},
	}
}

// realDelegations is what the top-level domains have about the test zones: glue for name
// servers in the zone, none for those elsewhere.
const realDelegations = `
example.com.      NS    ns1.example.com.
example.com.      NS    ns2.example.com.
ns1.example.com.  A     198.51.100.1
ns1.example.com.  AAAA  2001:db8:1::1
ns2.example.com.  A     198.51.100.2
example.net.      NS    ns.example.net.
ns.example.net.   A     198.51.100.17
ns.example.net.   AAAA  2001:db8:17::1
example.org.      NS    nsa.example.net.
example.org.      NS    nsb.example.com.
`

// realBigText is the length in bytes of the text record that no UDP reply can hold.
const realBigText = 3000

// bigText is the data of that record: strings of at most 255 bytes.
func bigText() string {
	var quoted []string
	for left := realBigText; left > 0; left -= 250 {
		quoted = append(quoted, `"`+strings.Repeat("x", min(left, 250))+`"`)
	}
	return strings.Join(quoted, " ")
}

// text is the zone file.
func (z realZone) text() string {
	return "$ORIGIN " + z.origin + "\n$TTL 300\n@ SOA ns1 hostmaster 1 7200 3600 86400 60\n" + z.apex + `
child      NS     ns.child
www        A      192.0.2.80
www        AAAA   2001:db8::80
local      CNAME  www
alias      CNAME  www.` + z.next + `
double     CNAME  alias.` + z.next + `
dangling   CNAME  missing.` + z.next + `
old        DNAME  ` + z.next + `
*.wild     A      192.0.2.81
*.away     CNAME  www.` + z.next + `
leaf.ent   A      192.0.2.82
big        TXT    ` + bigText() + `
odd        TYPE65280 \# 4 0a000001
`
}

// childText is the zone file of the zone below it, on the same server.
func (z realZone) childText() string {
	return "$ORIGIN child." + z.origin + "\n$TTL 300\n@ SOA ns hostmaster 1 7200 3600 86400 60\n" +
		"@ NS ns\nns A " + z.addrs[0] + "\nwww A 192.0.2.83\n"
}

// realCase is a question about a test zone. $ stands for the zone, $$ for the next
// and $$$ for the one after.
type realCase struct {
	kind  string
	name  string
	qtype uint16
	rcode int
	want  []string
	soa   string // of a negative answer: the zone of its SOA
}

func realCases() []realCase {
	return []realCase{
		{kind: "answer", name: "www.$", qtype: dns.TypeA, want: []string{"www.$ A 192.0.2.80"}},
		{kind: "answer", name: "WWW.$", qtype: dns.TypeAAAA, want: []string{"www.$ AAAA 2001:db8::80"}},
		{kind: "answer", name: "leaf.ent.$", qtype: dns.TypeA, want: []string{"leaf.ent.$ A 192.0.2.82"}},
		{kind: "answer of an unknown type", name: "odd.$", qtype: 65280, want: []string{`odd.$ TYPE65280 \# 4 0a000001`}},
		{kind: "ANY", name: "www.$", qtype: dns.TypeANY, want: []string{"www.$ A 192.0.2.80", "www.$ AAAA 2001:db8::80"}},
		{kind: "text of 3,000 bytes, over TCP", name: "big.$", qtype: dns.TypeTXT, want: []string{"big.$ TXT " + bigText()}},
		{kind: "wildcard", name: "a.b.wild.$", qtype: dns.TypeA, want: []string{"a.b.wild.$ A 192.0.2.81"}},
		{kind: "wildcard CNAME across zones", name: "a.away.$", qtype: dns.TypeA,
			want: []string{"a.away.$ CNAME www.$$", "www.$$ A 192.0.2.80"}},
		{kind: "NODATA", name: "www.$", qtype: dns.TypeMX, soa: "$"},
		{kind: "NODATA, empty non-terminal", name: "ent.$", qtype: dns.TypeA, soa: "$"},
		{kind: "NXDOMAIN", name: "missing.$", qtype: dns.TypeA, rcode: dns.RcodeNameError, soa: "$"},
		{kind: "NXDOMAIN", name: "a.b.missing.$", qtype: dns.TypeA, rcode: dns.RcodeNameError, soa: "$"},
		{kind: "CNAME in the zone", name: "local.$", qtype: dns.TypeA,
			want: []string{"local.$ CNAME www.$", "www.$ A 192.0.2.80"}},
		{kind: "CNAME asked for", name: "alias.$", qtype: dns.TypeCNAME, want: []string{"alias.$ CNAME www.$$"}},
		{kind: "CNAME across zones", name: "alias.$", qtype: dns.TypeA,
			want: []string{"alias.$ CNAME www.$$", "www.$$ A 192.0.2.80"}},
		{kind: "two CNAMEs across three zones", name: "double.$", qtype: dns.TypeA,
			want: []string{"double.$ CNAME alias.$$", "alias.$$ CNAME www.$$$", "www.$$$ A 192.0.2.80"}},
		{kind: "CNAME across zones to NXDOMAIN", name: "dangling.$", qtype: dns.TypeA, rcode: dns.RcodeNameError,
			want: []string{"dangling.$ CNAME missing.$$"}, soa: "$$"},
		{kind: "DNAME across zones", name: "www.old.$", qtype: dns.TypeA,
			want: []string{"old.$ DNAME $$", "www.old.$ CNAME www.$$", "www.$$ A 192.0.2.80"}},
		{kind: "DNAME and CNAME across three zones", name: "alias.old.$", qtype: dns.TypeA,
			want: []string{"old.$ DNAME $$", "alias.old.$ CNAME alias.$$", "alias.$$ CNAME www.$$$", "www.$$$ A 192.0.2.80"}},
		{kind: "child zone on the same server", name: "www.child.$", qtype: dns.TypeA, want: []string{"www.child.$ A 192.0.2.83"}},
		{kind: "DS of that child (NODATA)", name: "child.$", qtype: dns.TypeDS, soa: "$"},
	}
}

// in fills in the zones.
func (z realZone) in(text string) string {
	afterNext := z.next
	for _, other := range realZones() {
		if other.origin == z.next {
			afterNext = other.next
		}
	}
	return strings.NewReplacer("$$$", afterNext, "$$", z.next, "$", z.origin).Replace(text)
}

// check compares a result with what the case wants in zone z.
func (c realCase) check(z realZone, result *resolver.Result) error {
	var lines []string
	for _, line := range c.want {
		lines = append(lines, z.in(line))
	}
	want, err := records(lines...)
	if err != nil {
		return err
	}
	switch {
	case c.qtype == dns.TypeANY:
		return someRecords(result, want)
	case c.soa == "":
		return sameRecords(result, c.rcode, want)
	}
	if err := sameRecords(result, c.rcode, want); err != nil {
		return err
	}
	return hasSOA(result, z.in(c.soa))
}

// someRecords expects at least one of the records and no other: a server may answer ANY
// with any one RRset (RFC 8482 §4.1), as Knot DNS and NSD do; BIND sends all.
func someRecords(result *resolver.Result, allowed []dns.RR) error {
	got, of := recordText(result.Answer), recordText(allowed)
	for line := range strings.Lines(got) {
		if !strings.Contains(of, line) {
			return fmt.Errorf("got\n%swant some of\n%s", got, of)
		}
	}
	if result.Rcode != dns.RcodeSuccess || got == "" {
		return fmt.Errorf("got %s, %d records, want NOERROR and some of\n%s",
			dns.RcodeToString[result.Rcode], len(result.Answer), of)
	}
	return nil
}

// Zones that Knot DNS, BIND and NSD serve, found from the real root: each question
// with an empty cache, and again.
func TestRealServers(t *testing.T) {
	realserver.Need(t, realserver.Products()...)
	w := newRealWorld(t, realDelegations)
	for _, z := range realZones() {
		server := realserver.Start(t, z.product,
			realserver.Zone{Origin: z.origin, Text: z.text()},
			realserver.Zone{Origin: "child." + z.origin, Text: z.childText()})
		for _, addr := range z.addrs {
			w.router.Route(server.Addr(), netip.MustParseAddr(addr))
		}
	}
	counts := newTally()
	for _, z := range realZones() {
		for _, c := range realCases() {
			name := z.in(c.name)
			t.Run(fmt.Sprintf("%v/%s/%s", z.product, name, dns.Type(c.qtype)), func(t *testing.T) {
				w.askColdAndWarm(t, z, c, counts)
			})
		}
	}
	t.Logf("upstream queries per question, three products:\n%s", counts)
}

// askColdAndWarm asks a question with an empty cache, and again.
func (w *realWorld) askColdAndWarm(t *testing.T, z realZone, c realCase, counts *tally) {
	// Test zones have documentation addresses, which the default filter forbids.
	r := w.newResolver(t, func(netip.Addr) bool { return true })
	kind := c.kind
	if z.remote {
		kind += ", servers elsewhere"
	}
	before := len(w.router.Queries(0))
	cold, _ := w.askTest(t, r, z, c)
	log := w.router.Queries(before)
	warm, fromCache := w.askTest(t, r, z, c)
	counts.cold(kind, cold)
	counts.warm(kind, warm)

	if warm != 0 || !fromCache {
		t.Errorf("asked again: got %d queries, from cache %t, want 0 and true", warm, fromCache)
	}
	if c.qtype == dns.TypeTXT && !slices.ContainsFunc(log, func(q realserver.Query) bool { return q.Network == "tcp" }) {
		t.Error("nothing was asked over TCP")
	}
	// Not equal: a look-up that is no longer needed may be cancelled between being counted
	// and being sent.
	if sent := withoutPriming(log); sent > cold {
		t.Errorf("the trace counts %d queries, but %d were sent", cold, sent)
	}
	if t.Failed() {
		for _, q := range log {
			t.Log(q)
		}
	}
}

// askTest asks a question, checks the answer, and returns the queries it took and
// whether it came from the cache.
func (w *realWorld) askTest(t *testing.T, r *resolver.Resolver, z realZone, c realCase) (sends int, fromCache bool) {
	t.Helper()
	result, sends, err := realResolve(t.Context(), r, z.in(c.name), c.qtype)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.check(z, result); err != nil {
		t.Error(err)
	}
	return sends, result.FromCache
}

// withoutPriming counts queries; those for the root's own name servers belong to no
// question (RFC 9609).
func withoutPriming(log []realserver.Query) int {
	n := 0
	for _, q := range log {
		if q.Name != "." && !strings.HasSuffix(q.Name, ".root-servers.net.") {
			n++
		}
	}
	return n
}
