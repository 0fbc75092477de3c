//go:build race

package cache

import (
	"testing"
	"time"

	"github.com/miekg/dns"
)

// What questions cost in looks into a shard, each of which takes a lock, and in hashes of a
// name. A miss is looked for by AppendReply and then by Find; name servers without addresses
// of their own in the cache cost no look.
func TestCostOfQuestions(t *testing.T) {
	v := newView(Options{})
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
		about          string
		do             func()
		probes, hashes int64
	}{
		{"a hit", reply("www.example.com", dns.TypeA), 1, 1},
		{"a denial", reply("www.example.com", dns.TypeMX), 2, 1},
		{"AppendReply of a miss", reply("new.w.example.com", dns.TypeA), 1, 1},
		// The delegation, and at which names no zone is cut: the name and w.example.com.
		{"Find of a miss", func() { v.Find(start, Question{Name: missed, Type: dns.TypeA, Onward: true}) }, 3, 4},
		{"addresses of a name server", func() {
			v.Get(start, name("ns1.example.com"), dns.TypeA, Unchecked, RankAnswer)
			v.Get(start, name("ns1.example.com"), dns.TypeAAAA, Unchecked, RankAnswer)
		}, 0, 2},
		// The name, and the names above, which might have been denied.
		{"keeping an answer", func() { v.Put(start, addressSet(missed, 300, anyAddr), answer) }, 1, 4 + 1},
		{"forgetting a failure", func() { v.ClearFailure(missed, dns.TypeA, Checked) }, 0, 1},
		{"keeping where no zone is cut", func() { v.PutNoCut(start, name("example.com"), missed, 300, time.Time{}) }, 1, 1},
	} {
		probes, hashes := probesCounted.Load(), hashesCounted.Load()
		tt.do()
		probes, hashes = probesCounted.Load()-probes, hashesCounted.Load()-hashes
		t.Logf("%s: %d probes, %d hashes", tt.about, probes, hashes)
		if probes != tt.probes || hashes != tt.hashes {
			t.Errorf("%s: %d probes and %d hashes, want %d and %d", tt.about, probes, hashes, tt.probes, tt.hashes)
		}
	}
}
