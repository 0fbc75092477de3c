package cache

import (
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
)

// soa makes the start of authority of zone with a TTL and a negative TTL.
func soa(t testing.TB, zone string, ttl, minimum uint32) *dnssec.RRset {
	t.Helper()
	return set(t, fmt.Sprintf("%s. %d IN SOA ns.example. root.example. 1 2 3 4 %d", zone, ttl, minimum))
}

func TestNegativeTTL(t *testing.T) {
	for _, tt := range []struct {
		about        string
		options      Options
		ttl, minimum uint32
		proofTTL     uint32 // 0: no proof
		want         uint32 // 0: not kept
	}{
		{"the SOA's TTL is lower", Options{}, 60, 300, 0, 60},
		{"MINIMUM is lower", Options{}, 300, 60, 0, 60},
		{"proof is lower", Options{}, 300, 300, 30, 30},
		{"capped", Options{}, 86400, 86400, 0, 3600},
		{"MINIMUM 2^31", Options{}, 300, 1 << 31, 0, 300},
		{"both with the top bit set", Options{}, 1 << 31, 1 << 31, 0, 3600},
		{"no cap", Options{MaxNegativeTTL: -1}, 86400, 86400, 0, 86400},
		{"TTL 0", Options{}, 0, 300, 0, 0},
		{"MINIMUM 0", Options{}, 300, 0, 0, 0},
	} {
		v := newView(tt.options)
		n := Negative{Name: name("no.example.com"), Type: dns.TypeA, SOA: soa(t, "example.com", tt.ttl, tt.minimum)}
		if tt.proofTTL > 0 {
			n.Proof = []*dnssec.RRset{set(t, fmt.Sprintf("no.example.com. %d IN NSEC o.example.com. TXT", tt.proofTTL))}
		}
		kept := v.PutNegative(start, n, Meta{})
		got, ok := v.GetNegative(start, n.Name, n.Type, Checked)
		if kept != (tt.want > 0) || ok != kept || got.TTL != tt.want {
			t.Errorf("%s: kept %v, found %v with TTL %d; want %d", tt.about, kept, ok, got.TTL, tt.want)
		}
		if _, ok := v.GetNegative(start.Add(time.Duration(tt.want)*time.Second), n.Name, n.Type, Checked); ok {
			t.Errorf("%s: still there at the end of its TTL", tt.about)
		}
	}
}

// TestBareNoData: NODATA with nothing beside it is kept for a few seconds, also in a
// snapshot; a name error is not, nor what claims to be proven.
func TestBareNoData(t *testing.T) {
	v := newView(Options{})
	bare := Negative{Name: name("www.example.com"), Type: dns.TypeA, Zone: name("example.com")}
	if !v.PutNegative(start, bare, Meta{}) {
		t.Fatal("was refused")
	}
	got, ok := v.GetNegative(start.Add(4*time.Second), bare.Name, bare.Type, Checked)
	if !ok || got.SOA != nil || got.Proof != nil || got.TTL != 1 || got.Zone != bare.Zone {
		t.Errorf("after 4 s: got %+v, %v, want it with a TTL of 1 and no SOA", got, ok)
	}
	if _, ok := v.GetNegative(start.Add(MaxBareTTL*time.Second), bare.Name, bare.Type, Checked); ok {
		t.Errorf("still there after %d s", MaxBareTTL)
	}
	if _, ok := v.GetNegative(start, bare.Name, dns.TypeAAAA, Checked); ok {
		t.Error("denies another type too")
	}
	for about, n := range map[string]Negative{
		"name error":        {Name: bare.Name, Type: bare.Type, Zone: bare.Zone, NameError: true},
		"secure":            {Name: bare.Name, Type: bare.Type, Zone: bare.Zone, Status: dnssec.Secure},
		"of another zone":   {Name: bare.Name, Type: bare.Type, Zone: name("example.net")},
		"of no zone":        {Name: bare.Name, Type: bare.Type},
		"of a meta type":    {Name: bare.Name, Type: dns.TypeANY, Zone: bare.Zone},
		"proof, yet no SOA": {Name: bare.Name, Type: bare.Type, Zone: bare.Zone, Proof: []*dnssec.RRset{set(t, "www.example.com. 60 IN NSEC x.example.com. TXT")}},
	} {
		if newView(Options{}).PutNegative(start, n, Meta{}) {
			t.Errorf("%s: was kept", about)
		}
	}
}

func TestNegativeRefuses(t *testing.T) {
	good := func() Negative {
		return Negative{Name: name("no.example.com"), Type: dns.TypeA, SOA: soa(t, "example.com", 60, 60)}
	}
	for _, tt := range []struct {
		about  string
		change func(*Negative)
		meta   Meta
		want   bool
	}{
		{"nothing wrong", func(*Negative) {}, Meta{}, true},
		{"no SOA", func(n *Negative) { n.SOA = nil }, Meta{}, false},
		{"SOA of a sibling zone", func(n *Negative) { n.SOA = soa(t, "example.net", 60, 60) }, Meta{}, false},
		{"SOA below the name", func(n *Negative) { n.SOA = soa(t, "a.no.example.com", 60, 60) }, Meta{}, false},
		{"SOA above the zone asked", func(n *Negative) { n.SOA, n.Zone = soa(t, "com", 60, 60), name("example.com") }, Meta{}, false},
		{"another type as SOA", func(n *Negative) { n.SOA = set(t, "example.com. 60 IN NS ns.example.com.") }, Meta{}, false},
		{"NODATA of a meta type", func(n *Negative) { n.Type = dns.TypeANY }, Meta{}, false},
		{"NXDOMAIN for a meta type", func(n *Negative) { n.Type, n.NameError = dns.TypeANY, true }, Meta{}, true},
		{"bogus yet checked", func(n *Negative) { n.Status = dnssec.Bogus }, Meta{}, false},
		{"bogus, unchecked", func(n *Negative) { n.Status = dnssec.Bogus }, Meta{Trust: Unchecked}, true},
		{"too large", func(n *Negative) {
			n.Proof = []*dnssec.RRset{{Owner: n.Name, Type: dns.TypeNSEC, TTL: 60, Records: dnssec.Pack(string(make([]byte, 9000)))}}
		}, Meta{}, false},
		{"lease over", func(*Negative) {}, Meta{NotAfter: start}, false},
	} {
		n := good()
		tt.change(&n)
		if got := newView(Options{}).PutNegative(start, n, tt.meta); got != tt.want {
			t.Errorf("%s: PutNegative = %v, want %v", tt.about, got, tt.want)
		}
	}
}

func TestNegativeComesBackAsItWas(t *testing.T) {
	v := newView(Options{})
	want := Negative{
		Name: name("no.example.com"), Type: dns.TypeA, NameError: true, Status: dnssec.Secure,
		SOA: set(t, "example.com. 60 IN SOA ns.Example. root.example. 1 2 3 4 60",
			"example.com. 60 IN RRSIG SOA 13 2 60 20300101000000 20200101000000 1 example.com. AAAA"),
		Proof: []*dnssec.RRset{
			set(t, "n.example.com. 60 IN NSEC o.example.com. TXT",
				"n.example.com. 60 IN RRSIG NSEC 13 3 60 20300101000000 20200101000000 1 example.com. BBBB"),
			set(t, "example.com. 60 IN NSEC a.example.com. SOA"),
		},
	}
	if !v.PutNegative(start, want, Meta{}) {
		t.Fatal("refused")
	}
	// NXDOMAIN is for every type.
	got, ok := v.GetNegative(start, want.Name, dns.TypeMX, Checked)
	if !ok || !got.NameError || got.Cut || got.Type != dns.TypeMX || got.Status != dnssec.Secure || got.Zone != name("example.com") {
		t.Fatalf("got %+v, %v", got, ok)
	}
	if *got.SOA != *want.SOA || len(got.Proof) != 2 || *got.Proof[0] != *want.Proof[0] || *got.Proof[1] != *want.Proof[1] {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestNameErrorCut(t *testing.T) {
	below := name("a.b.no.example.com")
	for _, tt := range []struct {
		about  string
		status dnssec.Status
		trust  Trust
		cuts   []string
		zone   string
		want   bool
		strict bool // likewise, for a strict view
	}{
		{"secure", dnssec.Secure, Checked, []string{"example.com"}, "example.com", true, true},
		{"secure, nothing known of delegations", dnssec.Secure, Checked, nil, "example.com", true, true},
		{"unsigned, same zone", dnssec.Insecure, Checked, []string{"example.com"}, "example.com", false, true},
		{"nobody validates, same zone", dnssec.Indeterminate, Checked, []string{"example.com"}, "example.com", false, true},
		{"unsigned, denied by a zone above the one that should", dnssec.Insecure, Checked, []string{"example.com"}, "com", false, false},
		{"unsigned, nothing known of delegations", dnssec.Insecure, Checked, nil, "example.com", false, true},
		{"a delegation below the denied name", dnssec.Secure, Checked, []string{"example.com", "b.no.example.com"}, "example.com", false, false},
		{"a delegation of the denied name", dnssec.Insecure, Checked, []string{"no.example.com"}, "example.com", false, false},
		{"never validated", dnssec.Bogus, Unchecked, []string{"example.com"}, "example.com", false, false},
	} {
		v := newView(Options{})
		for _, zone := range tt.cuts {
			v.PutCut(start, delegation(zone, 3600, "ns", "192.0.2.1"), Meta{Rank: RankReferral})
		}
		v.PutNegative(start, Negative{Name: name("no.example.com"), Type: dns.TypeA, NameError: true,
			Status: tt.status, SOA: soa(t, tt.zone, 60, 60)}, Meta{Trust: tt.trust})
		got, ok := v.GetNegative(start, below, dns.TypeA, tt.trust)
		if ok != tt.want || ok && !(got.Cut && got.NameError && got.Name == below) {
			t.Errorf("%s: GetNegative(%s) = %+v, %v; want %v", tt.about, below, got, ok, tt.want)
		}
		if got, ok := v.Strict().Uncounted().GetNegative(start, below, dns.TypeA, tt.trust); ok != tt.strict {
			t.Errorf("%s: to a strict view GetNegative(%s) = %+v, %v; want %v", tt.about, below, got, ok, tt.strict)
		}
		if got, ok := v.GetNegative(start, name("yes.example.com"), dns.TypeA, tt.trust); ok {
			t.Errorf("%s: a sibling is denied too: %+v", tt.about, got)
		}
	}
}

// The newer of an answer and a denial counts, unless the older is better proven.
func TestAnswerAndDenial(t *testing.T) {
	n := name("www.example.com")
	denial := func(status dnssec.Status, at string, nameError bool) Negative {
		return Negative{Name: name(at), Type: dns.TypeA, NameError: nameError, Status: status, SOA: soa(t, "example.com", 60, 60)}
	}
	positive := func(status dnssec.Status) Meta { return Meta{Rank: RankAnswer, Status: status} }
	for _, tt := range []struct {
		about            string
		first, second    func(v *View) bool
		answered, denied bool
	}{
		{"answer, then NODATA",
			func(v *View) bool { return v.Put(start, addressSet(n, 60, anyAddr), positive(0)) == nil },
			func(v *View) bool { return v.PutNegative(start, denial(0, "www.example.com", false), Meta{}) },
			false, true},
		{"NODATA, then answer",
			func(v *View) bool { return v.PutNegative(start, denial(0, "www.example.com", false), Meta{}) },
			func(v *View) bool { return v.Put(start, addressSet(n, 60, anyAddr), positive(0)) == nil },
			true, false},
		{"NXDOMAIN, then answer",
			func(v *View) bool { return v.PutNegative(start, denial(0, "www.example.com", true), Meta{}) },
			func(v *View) bool { return v.Put(start, addressSet(n, 60, anyAddr), positive(0)) == nil },
			true, false},
		{"NXDOMAIN of an ancestor, then answer",
			func(v *View) bool { return v.PutNegative(start, denial(0, "example.com", true), Meta{}) },
			func(v *View) bool { return v.Put(start, addressSet(n, 60, anyAddr), positive(0)) == nil },
			true, false},
		{"secure answer, then a denial that nothing proves",
			func(v *View) bool { return v.Put(start, addressSet(n, 60, anyAddr), positive(dnssec.Secure)) == nil },
			func(v *View) bool { return !v.PutNegative(start, denial(0, "www.example.com", true), Meta{}) },
			true, false},
		{"secure answer, then a secure denial",
			func(v *View) bool { return v.Put(start, addressSet(n, 60, anyAddr), positive(dnssec.Secure)) == nil },
			func(v *View) bool {
				return v.PutNegative(start, denial(dnssec.Secure, "www.example.com", true), Meta{})
			},
			false, true},
		{"NODATA, then NXDOMAIN",
			func(v *View) bool { return v.PutNegative(start, denial(0, "www.example.com", false), Meta{}) },
			func(v *View) bool { return v.PutNegative(start, denial(0, "www.example.com", true), Meta{}) },
			false, true},
	} {
		v := newView(Options{})
		v.PutCut(start, delegation("example.com", 3600, "ns", "192.0.2.1"), Meta{})
		if !tt.first(v) || !tt.second(v) {
			t.Errorf("%s: not stored as expected", tt.about)
		}
		_, answered := v.Get(start, n, dns.TypeA, Checked, RankAnswer)
		_, denied := v.GetNegative(start, n, dns.TypeA, Checked)
		if answered != tt.answered || denied != tt.denied {
			t.Errorf("%s: answered %v, denied %v; want %v, %v", tt.about, answered, denied, tt.answered, tt.denied)
		}
	}
}
