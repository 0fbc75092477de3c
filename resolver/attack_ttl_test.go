package resolver_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// leasedWorld delegates a zone for half a minute that would have its data kept for a day.
const leasedWorld = `
-- zone example. at 198.51.100.2 --
$TTL 30
leased          NS      ns.leased
ns.leased       A       198.51.100.3
-- zone leased.example. at 198.51.100.3 %s --
$TTL 86400
@               SOA     ns hostmaster 1 3600 600 86400 3600
@               NS      ns
ns              A       198.51.100.3
www             A       192.0.2.80
alias           CNAME   www
deep            CNAME   alias
old             DNAME   leased.example.
*.wild          A       192.0.2.81
many            A       192.0.2.82
many            AAAA    2001:db8::82
`

// leasedQuestions are of every kind that there is an answer to.
var leasedQuestions = []dns.Question{
	{Name: "www.leased.example.", Qtype: dns.TypeA},
	{Name: "alias.leased.example.", Qtype: dns.TypeA},
	{Name: "deep.leased.example.", Qtype: dns.TypeA},
	{Name: "www.old.leased.example.", Qtype: dns.TypeA},
	{Name: "x.wild.leased.example.", Qtype: dns.TypeA},
	{Name: "many.leased.example.", Qtype: dns.TypeANY},
	{Name: "leased.example.", Qtype: dns.TypeDNSKEY},
	{Name: "www.leased.example.", Qtype: dns.TypeMX},
	{Name: "none.leased.example.", Qtype: dns.TypeA},
}

// wantTTLs: neither the result, nor a record of it or of the message, may be kept for longer
// than most, and all may be kept.
func (w *world) wantTTLs(q dns.Question, when string, most time.Duration) {
	w.Helper()
	within := func(ttl time.Duration) bool { return 0 < ttl && ttl <= most }
	o := w.ask(q.Name, q.Qtype)
	if o.err != nil || !within(o.TTL) {
		w.Errorf("%s %s, %s: got TTL %v, %v; want at most %v", q.Name, dns.Type(q.Qtype), when, o.TTL, o.err, most)
		return
	}
	reply := exchanged(w.T, w.r, ask(q.Name, q.Qtype, withDO))
	for _, rr := range append(append(o.Answer, o.Authority...), append(reply.Answer, reply.Ns...)...) {
		if ttl := time.Duration(rr.Header().Ttl) * time.Second; !within(ttl) {
			w.Errorf("%s %s, %s: got %v, want at most %v", q.Name, dns.Type(q.Qtype), when, rr, most)
		}
	}
}

// TestAttackGhostsDownstream: a zone that its parent is about to remove hands out data for
// a day, so that the caches of our clients go on with it. The first caller gets no more
// than the lease, as do later ones (attacks.md 11, 45).
func TestAttackGhostsDownstream(t *testing.T) {
	for _, words := range []string{"", "signed"} {
		for _, q := range leasedQuestions {
			if words == "" && q.Qtype == dns.TypeDNSKEY {
				continue
			}
			inWorld(t, fmt.Sprintf(leasedWorld, words), func(w *world) {
				w.wantTTLs(q, "first "+words, 30*time.Second)
				time.Sleep(9 * time.Second)
				w.wantTTLs(q, "later "+words, 21*time.Second)
			}, ipv4Only)
		}
	}
}

// TestFirstTTLIsTheBounds: TTLs that Options.Cache bounds are bounded for the first caller
// too; others are returned in full.
func TestFirstTTLIsTheBounds(t *testing.T) {
	text := fmt.Sprintf(leasedWorld, "") + "-- zone long.example. at 198.51.100.4 --\n$TTL 1800\n@ SOA ns hostmaster 1 3600 600 86400 3600\nwww A 192.0.2.80\n*.wild A 192.0.2.81\nalias CNAME www\n"
	for _, test := range []struct {
		name     string
		rrtype   uint16
		positive time.Duration
	}{
		{"www.long.example.", dns.TypeA, 50 * time.Second},
		{"alias.long.example.", dns.TypeA, 50 * time.Second},
		{"www.long.example.", dns.TypeMX, 20 * time.Second},
		{"none.long.example.", dns.TypeA, 20 * time.Second},
	} {
		inWorld(t, text, func(w *world) {
			w.wantTTLs(dns.Question{Name: test.name, Qtype: test.rrtype}, "first", test.positive)
			time.Sleep(time.Second)
			w.wantTTLs(dns.Question{Name: test.name, Qtype: test.rrtype}, "later", test.positive-time.Second)
		}, ipv4Only, func(o *resolver.Options) {
			o.Cache = cache.New(cache.Options{MaxTTL: 50 * time.Second, MaxNegativeTTL: 20 * time.Second})
		})
	}
	inWorld(t, text, func(w *world) {
		for name, want := range map[string]time.Duration{"www.long.example.": 30 * time.Minute, "none.long.example.": 30 * time.Minute} {
			if o := w.ask(name, dns.TypeA); o.err != nil || o.TTL != want {
				t.Errorf("%s: got TTL %v, %v, want %v", name, o.TTL, o.err, want)
			}
		}
	}, ipv4Only)
}

// TestFirstTTLWithoutSOA: a denial without an SOA is kept, and returned, with a TTL of a
// few seconds.
func TestFirstTTLWithoutSOA(t *testing.T) {
	inWorld(t, forgeWorld, func(w *world) {
		w.in.Fault("198.51.100.3", resolvertest.Hook(func(_, m *dns.Msg) {
			if len(m.Answer) == 0 {
				m.Ns = nil
			}
		}))
		for _, want := range []time.Duration{cache.MaxBareTTL * time.Second, (cache.MaxBareTTL - 1) * time.Second} {
			if o := w.ask("www.shop.example.", dns.TypeMX); o.err != nil || o.TTL != want {
				t.Errorf("got TTL %v, %v, want %v", o.TTL, o.err, want)
			}
			time.Sleep(time.Second)
		}
	}, ipv4Only)
}
