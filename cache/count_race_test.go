//go:build race

package cache

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/probes"
)

// What questions cost in looks into a shard, each of which takes a lock, and in hashes of a
// name. A miss is looked for by AppendReply and then by Find; name servers without addresses
// of their own in the cache cost no look.
func TestCostOfQuestions(t *testing.T) {
	v := roomyView("com", "example.com", "w.example.com", "new.w.example.com", "www.example.com", "ns1.example.com")
	for _, zone := range []string{".", "com", "example.com"} {
		v.PutCut(start, someDelegation(name(zone), 300), referral)
	}
	v.PutNoCut(start, name("example.com"), name("w.example.com"), 300, time.Time{})
	v.Put(start, addressSet(name("www.example.com"), 300, anyAddr), answer)
	v.PutNegative(start, Negative{Name: name("www.example.com"), Type: dns.TypeMX, SOA: exampleSOA}, Meta{})
	missed := name("new.w.example.com")
	reply := func(n string, rrtype uint16) func() {
		q := ReplyTo{Name: name(n), Type: rrtype, MaxAliases: 10}
		return func() { v.AppendReply(nil, start, q) }
	}
	for _, tt := range []struct {
		about string
		do    func()
		cost  probes.Counts
	}{
		{"a hit", reply("www.example.com", dns.TypeA), probes.Counts{Looks: 1, Hashes: 1}},
		{"a denial", reply("www.example.com", dns.TypeMX), probes.Counts{Looks: 2, Hashes: 1}},
		{"AppendReply of a miss", reply("new.w.example.com", dns.TypeA), probes.Counts{Looks: 1, Hashes: 1}},
		// The delegation, and at which names no zone is cut: the name and w.example.com.
		{"Find of a miss", func() { v.Find(start, Question{Name: missed, Type: dns.TypeA, Onward: true}) }, probes.Counts{Looks: 3, Hashes: 4}},
		{"addresses of a name server", func() {
			v.Get(start, name("ns1.example.com"), dns.TypeA, Unchecked, RankAnswer)
			v.Get(start, name("ns1.example.com"), dns.TypeAAAA, Unchecked, RankAnswer)
		}, probes.Counts{Looks: 0, Hashes: 2}},
		// The name, and the names above, which might have been denied.
		{"keeping an answer", func() { v.Put(start, addressSet(missed, 300, anyAddr), answer) }, probes.Counts{Looks: 1, Hashes: 4 + 1}},
		{"forgetting a failure", func() { v.ClearFailure(missed, dns.TypeA, Checked) }, probes.Counts{Looks: 0, Hashes: 1}},
		{"keeping where no zone is cut", func() { v.PutNoCut(start, name("example.com"), missed, 300, time.Time{}) }, probes.Counts{Looks: 1, Hashes: 1}},
	} {
		before := probes.Counted()
		tt.do()
		got := before.Since()
		t.Logf("%s: %+v", tt.about, got)
		if got != tt.cost {
			t.Errorf("%s: got %+v, want %+v", tt.about, got, tt.cost)
		}
	}
}

// roomyView makes a cache in which these names and the root share no slot of what is counted: two of
// them do once in some thousand caches, and a look is lost there.
func roomyView(names ...string) *View {
	for {
		v, taken := newView(Options{}), make(map[*atomic.Uint64]bool)
		for _, n := range append(names, ".") {
			taken[v.cache.presence.slot(marked{name: name(n), view: v.id})] = true
		}
		if len(taken) == len(names)+1 {
			return v
		}
	}
}
