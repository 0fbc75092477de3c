package dnssec

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// unchecked is a verify function for tables of proofs: all records are good.
func unchecked(set *RRset) (verified, Reason, error) { return verified{ttl: set.TTL}, Reason{}, nil }

// record makes an RRset of one line of zone-file text.
func record(t testing.TB, text string) *RRset {
	t.Helper()
	rr, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return mustSet(t, rr)
}

// proofOf makes a proof of a zone from NSEC records, "owner next types…" each.
func proofOf(t testing.TB, zone string, records []string) *proof {
	t.Helper()
	var all []*RRset
	for _, text := range records {
		owner, rest, _ := strings.Cut(text, " ")
		all = append(all, record(t, owner+" 60 IN NSEC "+rest))
	}
	p, err := newProof(name(zone), all, NewWork(Limits{}), unchecked)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// proofCase is a row of a table of proofs.
type proofCase struct {
	label   string
	records []string
	name    string
	qtype   uint16
	want    finding // closest encloser and next closer are compared only if set
}

func checkProofs(t *testing.T, zone string, prove prover, cases []proofCase) {
	t.Helper()
	for _, c := range cases {
		got, err := prove(proofOf(t, zone, c.records), name(c.name), c.qtype)
		if err != nil {
			t.Fatal(err)
		}
		if c.want.closestEncloser == "" {
			got.closestEncloser, got.nextCloser = "", ""
		}
		if got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.label, got, c.want)
		}
	}
}

var proven = finding{proven: true}

func TestNSECNoData(t *testing.T) {
	checkProofs(t, "example.", (*proof).noData, []proofCase{
		{"type clear", []string{"a.example. c.example. A RRSIG NSEC"}, "a.example.", dns.TypeTXT, proven},
		{"type set", []string{"a.example. c.example. A TXT RRSIG NSEC"}, "a.example.", dns.TypeTXT, finding{}},
		{"CNAME set", []string{"a.example. c.example. CNAME RRSIG NSEC"}, "a.example.", dns.TypeTXT, finding{}},
		{"delegation", []string{"a.example. c.example. NS RRSIG NSEC"}, "a.example.", dns.TypeTXT, finding{}},
		{"delegation, DS", []string{"a.example. c.example. NS RRSIG NSEC"}, "a.example.", dns.TypeDS, proven},
		{"apex", []string{"example. c.example. NS SOA RRSIG NSEC"}, "example.", dns.TypeTXT, proven},
		{"apex, DS", []string{"example. c.example. NS SOA RRSIG NSEC"}, "example.", dns.TypeDS, finding{}},
		{"high type set", []string{"a.example. c.example. A RRSIG NSEC CAA"}, "a.example.", dns.TypeCAA, finding{}},
		{"high type clear", []string{"a.example. c.example. A RRSIG NSEC CAA"}, "a.example.", dns.TypeURI, proven},
		{"ANY of an empty name", []string{"a.example. c.example. RRSIG NSEC"}, "a.example.", dns.TypeANY, proven},
		{"ANY of a name with data", []string{"a.example. c.example. A RRSIG NSEC"}, "a.example.", dns.TypeANY, finding{}},
		{"empty non-terminal", []string{"a.example. x.b.example. A RRSIG NSEC"}, "b.example.", dns.TypeA, proven},
		{"empty non-terminal below a delegation", []string{"a.example. x.b.a.example. NS RRSIG NSEC"}, "b.a.example.", dns.TypeA, finding{}},
		{"name missing, no wildcard shown", []string{"a.example. c.example. A RRSIG NSEC"}, "b.example.", dns.TypeA, finding{}},
		{"name missing, no wildcard", []string{"a.example. c.example. A RRSIG NSEC", "example. a.example. SOA NS RRSIG NSEC"}, "b.example.", dns.TypeA, finding{}},
		{"wildcard without type", []string{"a.example. c.example. A RRSIG NSEC", "*.example. a.example. A RRSIG NSEC"}, "b.example.", dns.TypeTXT,
			finding{proven: true, closestEncloser: "\x07example\x00", nextCloser: "\x01b\x07example\x00"}},
		{"wildcard with type", []string{"a.example. c.example. A RRSIG NSEC", "*.example. a.example. TXT RRSIG NSEC"}, "b.example.", dns.TypeTXT, finding{}},
		{"wildcard with CNAME", []string{"a.example. c.example. A RRSIG NSEC", "*.example. a.example. CNAME RRSIG NSEC"}, "b.example.", dns.TypeTXT, finding{}},
		{"wildcard delegation", []string{"a.example. c.example. A RRSIG NSEC", "*.example. a.example. NS RRSIG NSEC"}, "b.example.", dns.TypeTXT, finding{}},
		{"wildcard of another encloser", []string{"a.example. c.example. A RRSIG NSEC", "*.w.example. x.w.example. A RRSIG NSEC"}, "b.example.", dns.TypeTXT, finding{}},
		{"wildcard is an empty non-terminal", []string{"a.example. c.example. A RRSIG NSEC", "example. x.*.example. SOA NS RRSIG NSEC"}, "b.example.", dns.TypeTXT, proven},
		{"compact name error", []string{`a.example. \000.a.example. RRSIG NSEC NXNAME`}, "a.example.", dns.TypeA, finding{proven: true, compact: true}},
		{"compact empty non-terminal", []string{`a.example. \000.a.example. RRSIG NSEC`}, "a.example.", dns.TypeA, proven},
		{"compact of another name", []string{`a.example. \000.a.example. RRSIG NSEC NXNAME`}, "b.a.example.", dns.TypeA, finding{}},
		{"compact that reaches further", []string{"a.example. c.example. RRSIG NSEC NXNAME", "*.example. a.example. A RRSIG NSEC"}, "b.example.", dns.TypeTXT, finding{}},
		{"next name outside the zone", []string{"a.example. z.other. A RRSIG NSEC", "*.example. a.example. A RRSIG NSEC"}, "b.example.", dns.TypeTXT, finding{}},
		{"next name backwards", []string{"c.example. a.example. A RRSIG NSEC"}, "c.example.", dns.TypeTXT, finding{}},
		{"owner outside the zone", []string{"a.other. c.example. A RRSIG NSEC"}, "a.other.", dns.TypeTXT, finding{}},
	})
}

func TestNSECNameError(t *testing.T) {
	apex := "example. a.example. SOA NS RRSIG NSEC"
	checkProofs(t, "example.", (*proof).nameError, []proofCase{
		{"whole", []string{"a.example. c.example. A RRSIG NSEC", apex}, "b.example.", dns.TypeA,
			finding{proven: true, closestEncloser: "\x07example\x00", nextCloser: "\x01b\x07example\x00"}},
		{"deep", []string{"a.example. c.example. A RRSIG NSEC", apex}, "x.y.b.example.", dns.TypeA,
			finding{proven: true, closestEncloser: "\x07example\x00", nextCloser: "\x01b\x07example\x00"}},
		{"encloser by the next name", []string{"a.example. z.b.example. A RRSIG NSEC", "x.example. example. A RRSIG NSEC"}, "c.b.example.", dns.TypeA,
			finding{proven: true, closestEncloser: "\x01b\x07example\x00", nextCloser: "\x01c\x01b\x07example\x00"}},
		{"wildcard not denied", []string{"a.example. c.example. A RRSIG NSEC"}, "b.example.", dns.TypeA, finding{}},
		{"wildcard exists", []string{"a.example. c.example. A RRSIG NSEC", "*.example. a.example. A RRSIG NSEC"}, "b.example.", dns.TypeA, finding{}},
		{"wildcard is an empty non-terminal", []string{"a.example. c.example. A RRSIG NSEC", "example. x.*.example. SOA NS RRSIG NSEC"}, "b.example.", dns.TypeA, finding{}},
		{"name exists", []string{"b.example. c.example. A RRSIG NSEC", apex}, "b.example.", dns.TypeA, finding{}},
		{"name is an empty non-terminal", []string{"a.example. x.b.example. A RRSIG NSEC", apex}, "b.example.", dns.TypeA, finding{}},
		{"below a delegation", []string{"a.example. c.example. NS RRSIG NSEC", apex}, "b.a.example.", dns.TypeA, finding{}},
		{"below a DNAME", []string{"a.example. c.example. DNAME RRSIG NSEC", apex}, "b.a.example.", dns.TypeA, finding{}},
		{"below a name", []string{"a.example. c.example. A RRSIG NSEC", apex}, "b.a.example.", dns.TypeA, proven},
		{"beside a delegation", []string{"a.example. c.example. NS RRSIG NSEC", apex}, "b.example.", dns.TypeA, proven},
		{"last of the zone", []string{"a.example. example. A RRSIG NSEC", apex}, "zz.example.", dns.TypeA, proven},
		{"zone of one name", []string{"example. example. SOA NS RRSIG NSEC"}, "b.example.", dns.TypeA, proven},
		{"compact", []string{`b.example. \000.b.example. RRSIG NSEC NXNAME`}, "b.example.", dns.TypeA, finding{proven: true, compact: true}},
		{"compact without NXNAME", []string{`b.example. \000.b.example. RRSIG NSEC`}, "b.example.", dns.TypeA, finding{}},
		{"wildcard asked for itself", []string{"example. a.example. SOA NS RRSIG NSEC"}, "*.example.", dns.TypeA, proven},
		{"two records in one RRset", []string{}, "b.example.", dns.TypeA, finding{}},
	})
	long := strings.Repeat("a.", 126) // with the root 253 bytes: no room for an asterisk
	p := proofOf(t, ".", []string{". z. SOA NS RRSIG NSEC", long + " z. A RRSIG NSEC"})
	child, err := name(long).Child("b")
	if err == nil {
		f, err := p.nameError(child, dns.TypeA)
		if err != nil || !f.proven {
			t.Errorf("encloser without room for a wildcard: got %+v, %v", f, err)
		}
	}
}

func TestNSECNoDS(t *testing.T) {
	unsigned := finding{proven: true, unsigned: true}
	checkProofs(t, "example.", (*proof).noDS, []proofCase{
		{"unsigned delegation", []string{"a.example. c.example. NS RRSIG NSEC"}, "a.example.", 0, unsigned},
		{"signed delegation", []string{"a.example. c.example. NS DS RRSIG NSEC"}, "a.example.", 0, finding{}},
		{"apex of the child", []string{"a.example. c.example. NS SOA RRSIG NSEC"}, "a.example.", 0, finding{}},
		{"host", []string{"a.example. c.example. A RRSIG NSEC"}, "a.example.", 0, proven},
		{"alias", []string{"a.example. c.example. CNAME RRSIG NSEC"}, "a.example.", 0, finding{}},
		{"empty non-terminal", []string{"a.example. x.b.example. A RRSIG NSEC"}, "b.example.", 0, proven},
		{"missing name", []string{"a.example. c.example. A RRSIG NSEC"}, "b.example.", 0, finding{proven: true, absent: true}},
		{"compact", []string{`b.example. \000.b.example. RRSIG NSEC NXNAME`}, "b.example.", 0, finding{proven: true, absent: true}},
		{"below a delegation", []string{"a.example. c.example. NS RRSIG NSEC"}, "b.a.example.", 0, finding{}},
		{"another name", []string{"a.example. b.example. NS RRSIG NSEC"}, "c.example.", 0, finding{}},
	})
}

// TestNSECSeveralRecords: an RRset with the records of parent and child together.
func TestNSECSeveralRecords(t *testing.T) {
	rrs := make([]dns.RR, 2)
	for i, text := range []string{"a.example. 60 IN NSEC c.example. NS RRSIG NSEC", "a.example. 60 IN NSEC b.a.example. NS SOA RRSIG NSEC"} {
		var err error
		if rrs[i], err = dns.NewRR(text); err != nil {
			t.Fatal(err)
		}
	}
	if n, ok := parseNSEC(mustSet(t, rrs...), name("example.")); ok {
		t.Errorf("got %+v, want none", n)
	}
}

func TestMalformedNSEC(t *testing.T) {
	for label, rdata := range map[string]string{
		"empty":                "",
		"no bit map window":    "\x01b\x07example\x00\x00",
		"window of no bytes":   "\x01b\x07example\x00\x00\x00",
		"window of 33 bytes":   "\x01b\x07example\x00\x00\x21" + strings.Repeat("\x00", 33),
		"windows out of order": "\x01b\x07example\x00\x01\x01\x40\x00\x01\x40",
		"window twice":         "\x01b\x07example\x00\x00\x01\x40\x00\x01\x40",
		"window cut short":     "\x01b\x07example\x00\x00\x02\x40",
		"name without an end":  "\x01b\x07example",
		"compressed name":      "\xC0\x0C\x00\x01\x40",
		"name longer than 255": strings.Repeat("\x3f"+strings.Repeat("a", 63), 5) + "\x00",
	} {
		set := &RRset{Owner: name("a.example."), Type: dns.TypeNSEC, Class: dns.ClassINET, Records: Pack(rdata)}
		if n, ok := parseNSEC(set, name("example.")); ok {
			t.Errorf("%s: got %+v, want none", label, n)
		}
	}
}

func TestClosestEncloser(t *testing.T) {
	for _, c := range []struct{ owner, next, name, want string }{
		{"example.", "a.example.", "*.example.", "example."},
		{"a.b.example.", "d.example.", "c.b.example.", "b.example."},
		{"a.example.", "y.x.b.example.", "a.x.b.example.", "x.b.example."},
		{"b.example.", "example.", "z.b.example.", "b.example."},
	} {
		n := nsec{owner: name(c.owner), next: name(c.next)}
		if got := n.closestEncloser(name(c.name)); got != name(c.want) {
			t.Errorf("%s between %s and %s: got %s, want %s", c.name, c.owner, c.next, got, c.want)
		}
	}
}

func TestTypeMap(t *testing.T) {
	set := record(t, "a.example. 60 IN NSEC b.example. A NS MX RRSIG NSEC CAA TYPE65280")
	n, ok := parseNSEC(set, dnsname.Root)
	if !ok {
		t.Fatal("not parsed")
	}
	for rrtype := range uint16(0xFFFF) {
		want := false
		switch rrtype {
		case dns.TypeA, dns.TypeNS, dns.TypeMX, dns.TypeRRSIG, dns.TypeNSEC, dns.TypeCAA, 65280:
			want = true
		}
		if got := n.types.has(rrtype); got != want {
			t.Errorf("%s: got %v, want %v", typeName(rrtype), got, want)
		}
	}
}
