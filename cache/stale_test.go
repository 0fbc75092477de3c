package cache

import (
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
)

func TestStale(t *testing.T) {
	n, day := name("www.example.com"), 24*time.Hour
	put := func(v *View) { v.Put(start, addressSet(n, 60, anyAddr), answer) }
	deny := func(v *View, nameError bool, at time.Time) {
		v.PutNegative(at, Negative{Name: n, Type: dns.TypeA, NameError: nameError, SOA: soa(t, "example.com", 60, 60)}, Meta{})
	}
	alone := func(v *View, at time.Time) {
		aliases := []*dnssec.RRset{set(t, "www.example.com. 10 IN CNAME a.example.com."), set(t, "a.example.com. 10 IN CNAME b.example.com.")}
		v.PutChain(at, Chain{Name: n, Type: dns.TypeCNAME, Answer: aliases}, answer)
	}
	dname := set(t, "example.com. 10 IN DNAME other.example.")
	for _, tt := range []struct {
		about            string
		keep             time.Duration
		prepare          func(v *View)
		after            time.Duration
		positive, denied bool
	}{
		{"alive", day, put, 59 * time.Second, false, false},
		{"just expired", day, put, 60 * time.Second, true, false},
		{"at the end of what is kept", day, put, 60*time.Second + day - time.Millisecond, true, false},
		{"beyond it", day, put, 60*time.Second + day, false, false},
		{"off by default", 0, put, 60 * time.Second, false, false},
		{"NXDOMAIN since", day, func(v *View) { put(v); deny(v, true, start.Add(60*time.Second)) }, 61 * time.Second, false, false},
		{"NODATA since", day, func(v *View) { put(v); deny(v, false, start.Add(60*time.Second)) }, 61 * time.Second, false, false},
		{"NXDOMAIN of another type since", day, func(v *View) {
			put(v)
			v.PutNegative(start.Add(60*time.Second), Negative{Name: n, Type: dns.TypeMX, NameError: true, SOA: soa(t, "example.com", 60, 60)}, Meta{})
		}, 61 * time.Second, false, false},
		{"denial expired", day, func(v *View) { deny(v, false, start) }, 61 * time.Second, false, true},
		{"name error expired", day, func(v *View) { deny(v, true, start) }, 61 * time.Second, false, true},
		{"denial expired, answer alive", day, func(v *View) { deny(v, false, start); v.Put(start, addressSet(n, 600, anyAddr), answer) }, 61 * time.Second, false, false},
		{"denial expired, an alias since", day, func(v *View) {
			deny(v, false, start)
			v.Put(start.Add(30*time.Second), set(t, "www.example.com. 10 IN CNAME other.example.com."), answer)
		}, 61 * time.Second, false, false},
		{"aliases of the name alone since", day, func(v *View) { put(v); alone(v, start.Add(30*time.Second)) }, 61 * time.Second, false, false},
		{"denial expired, aliases of the name alone since", day, func(v *View) { deny(v, false, start); alone(v, start.Add(30*time.Second)) }, 61 * time.Second, false, false},
		{"aliases of the name alone before", day, func(v *View) { alone(v, start.Add(-10*time.Second)); put(v) }, 61 * time.Second, true, false},
		{"a DNAME above since", day, func(v *View) { put(v); v.Put(start.Add(30*time.Second), dname, answer) }, 61 * time.Second, false, false},
		{"denial expired, a DNAME above since", day, func(v *View) { deny(v, false, start); v.Put(start.Add(30*time.Second), dname, answer) }, 61 * time.Second, false, false},
		{"a DNAME above before", day, func(v *View) { v.Put(start.Add(-10*time.Second), dname, answer); put(v) }, 61 * time.Second, true, false},
		{"a DNAME of the name itself since", day, func(v *View) {
			put(v)
			v.Put(start.Add(30*time.Second), set(t, "www.example.com. 10 IN DNAME other.example."), answer)
		}, 61 * time.Second, true, false},
		{"glue", day, func(v *View) { v.Put(start, addressSet(n, 60, anyAddr), Meta{Rank: RankGlue}) }, 61 * time.Second, false, false},
		{"unchecked", day, func(v *View) { v.Put(start, addressSet(n, 60, anyAddr), Meta{Rank: RankAnswer, Trust: Unchecked}) }, 61 * time.Second, false, false},
	} {
		v := newView(Options{KeepStale: tt.keep})
		tt.prepare(v)
		now := start.Add(tt.after)
		item, ok := v.GetStale(now, n, dns.TypeA, Checked, RankAnswer)
		if ok != tt.positive || ok && (item.TTL != StaleTTL || item.Set.TTL != StaleTTL || !item.Stale || item.Set.Records != addressSet(n, 0, anyAddr).Records) {
			t.Errorf("%s: GetStale = %+v, %v; want %v", tt.about, item, ok, tt.positive)
		}
		denial, ok := v.GetStaleNegative(now, n, dns.TypeA, Checked)
		if ok != tt.denied || ok && (denial.TTL != StaleTTL || denial.SOA.TTL != StaleTTL || !denial.Stale) {
			t.Errorf("%s: GetStaleNegative = %+v, %v; want %v", tt.about, denial, ok, tt.denied)
		}
	}
}

func TestBogusIsNeverStale(t *testing.T) {
	v, n := newView(Options{KeepStale: time.Hour}), name("www.example.com")
	v.Put(start, addressSet(n, 60, anyAddr), Meta{Rank: RankAnswer, Trust: Unchecked, Status: dnssec.Bogus})
	if item, ok := v.GetStale(start.Add(time.Minute), n, dns.TypeA, Unchecked, RankAnswer); ok {
		t.Errorf("GetStale = %+v, want nothing", item)
	}
}

func TestOneClaimInHalfAMinute(t *testing.T) {
	v, n := newView(Options{}), name("www.example.com")
	for _, tt := range []struct {
		after  time.Duration
		rrtype uint16
		want   bool
	}{
		{0, dns.TypeA, true},
		{0, dns.TypeA, false},
		{0, dns.TypeAAAA, true},
		{29999 * time.Millisecond, dns.TypeA, false},
		{30 * time.Second, dns.TypeA, true},
		{31 * time.Second, dns.TypeA, false},
	} {
		if got := v.ClaimRefresh(start.Add(tt.after), n, tt.rrtype, Checked); got != tt.want {
			t.Errorf("ClaimRefresh of type %d after %s = %v, want %v", tt.rrtype, tt.after, got, tt.want)
		}
	}
}

// Only what is asked for again is worth fetching before its end, and only in the last
// tenth of its life.
func TestPrefetch(t *testing.T) {
	for _, tt := range []struct {
		about string
		asked []time.Duration
		want  bool
	}{
		{"first use, at the end", []time.Duration{299 * time.Second}, false},
		{"second use, early", []time.Duration{0, 269 * time.Second}, false},
		{"second use, last tenth", []time.Duration{0, 270 * time.Second}, true},
		{"third use, last second", []time.Duration{0, 280 * time.Second, 299 * time.Second}, true},
	} {
		v, n := newView(Options{}), name("www.example.com")
		v.Put(start, addressSet(n, 300, anyAddr), answer)
		var got bool
		for _, after := range tt.asked {
			item, _ := v.Get(start.Add(after), n, dns.TypeA, Checked, RankAnswer)
			got = item.Prefetch
		}
		if got != tt.want {
			t.Errorf("%s: Prefetch = %v, want %v", tt.about, got, tt.want)
		}
	}
}

// What expired comes back unless a name above it was denied since, with proof.
func TestStaleBelowNameError(t *testing.T) {
	n := name("www.shop.example.com")
	for _, tt := range []struct {
		about        string
		denied       string
		status       dnssec.Status
		want, strict bool
	}{
		{"nothing denied", "other.example.com", dnssec.Secure, true, true},
		{"above, proven", "shop.example.com", dnssec.Secure, false, false},
		{"above, unsigned", "shop.example.com", dnssec.Insecure, true, false},
		{"the name, unsigned", "www.shop.example.com", dnssec.Insecure, false, false},
	} {
		v := newView(Options{KeepStale: time.Hour})
		v.Put(start, addressSet(n, 60, anyAddr), answer)
		then := start.Add(61 * time.Second)
		v.PutNegative(then, Negative{Name: name(tt.denied), Type: dns.TypeA, NameError: true, Status: tt.status, SOA: soa(t, "example.com", 60, 60)}, Meta{})
		then = then.Add(61 * time.Second) // all have expired
		if _, ok := v.GetStale(then, n, dns.TypeA, Checked, RankAnswer); ok != tt.want {
			t.Errorf("%s: GetStale = %v, want %v", tt.about, ok, tt.want)
		}
		if _, ok := v.Strict().GetStale(then, n, dns.TypeA, Checked, RankAnswer); ok != tt.strict {
			t.Errorf("%s: to a strict view GetStale = %v, want %v", tt.about, ok, tt.strict)
		}
	}
}
