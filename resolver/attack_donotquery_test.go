package resolver_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

var allowReplies = flag.Int("replies", 4000, "how many replies TestAttackAnyRecord has records added to")

// foreignRecords are records that the server of shop.example. may not speak for: every type
// at every owner outside its zone, all pointing to the attacker.
func foreignRecords(t *testing.T) []dns.RR {
	t.Helper()
	var rrs []dns.RR
	for _, owner := range []string{".", "example.", "test.", "victim.example.", "www.victim.example.", "other.victim.example.", "ns.victim.example.", "none.victim.example.", "*.example.", "*.victim.example.", "ns1.example."} {
		for _, data := range []string{
			"A 203.0.113.66", "AAAA 2001:db8::66", "NS ns.evil.example.", "NS ns.shop.example.", "CNAME evil.example.", "DNAME evil.example.",
			"MX 10 evil.example.", "TXT evil", "SRV 0 0 53 evil.example.", "SOA evil.example. evil.example. 1 1 1 1 86400",
			"DS 4711 13 2 EE", "DNSKEY 257 3 13 EEEE", "NSEC evil.example. A", "NSEC3 1 0 0 - 00000000000000000000000000000000 A",
			"RRSIG A 13 2 300 20300101000000 20200101000000 1 evil.example. AAAA", "HTTPS 1 evil.example. ipv4hint=203.0.113.66",
		} {
			rr, err := dns.NewRR(owner + " 86400 IN " + data)
			if err != nil {
				t.Fatal(err)
			}
			rrs = append(rrs, rr)
		}
	}
	return rrs
}

// evilRecord finds what only the attacker says in the records of a message.
func evilRecord(rrs []dns.RR) (string, bool) {
	for _, rr := range rrs {
		text := rr.String()
		for _, mark := range []string{"203.0.113.66", "2001:db8::66", "evil", "4711"} {
			if strings.Contains(text, mark) {
				return text, true
			}
		}
	}
	return "", false
}

// TestAttackAnyRecord adds any records of other zones to any sections of the replies of a
// hostile server. Nothing of them reaches the caller or the cache, and what the server may
// say arrives (attacks.md 2.2, item 9). internal/scrub has the same property of single
// replies in greater numbers.
func TestAttackAnyRecord(t *testing.T) {
	const seed = 1
	pool := foreignRecords(t)
	text := strings.Replace(poisonWorld, "-- zone victim.example. at", "*.gen A 192.0.2.99\n*.txt TXT \"mine\"\n-- zone victim.example. at", 1)
	inWorld(t, text, func(w *world) {
		var mu sync.Mutex
		random := rand.New(rand.NewPCG(seed, 0))
		w.in.Fault("198.51.100.3", resolvertest.Hook(func(_, reply *dns.Msg) {
			mu.Lock()
			defer mu.Unlock()
			for range 1 + random.IntN(4) {
				section := []*[]dns.RR{&reply.Answer, &reply.Ns, &reply.Extra}[random.IntN(3)]
				*section = slices.Insert(*section, random.IntN(len(*section)+1), dns.Copy(pool[random.IntN(len(pool))]))
			}
		}))
		for i := range *allowReplies {
			name := fmt.Sprintf("n%d.gen.shop.example.", i)
			switch i % 4 {
			case 0, 1:
				w.want(name, dns.TypeA, dns.RcodeSuccess, name+" A 192.0.2.99")
			case 2:
				name = fmt.Sprintf("n%d.txt.shop.example.", i)
				w.want(name, dns.TypeTXT, dns.RcodeSuccess, name+` TXT "mine"`)
			case 3:
				w.want(fmt.Sprintf("n%d.shop.example.", i), dns.TypeA, dns.RcodeNameError)
			}
			if i%100 == 99 {
				w.wantNothingEvil()
				time.Sleep(7 * time.Second)
			}
			if w.Failed() {
				w.Fatalf("after %d replies of seed %d", i+1, seed)
			}
		}
		w.wantInnocent()
		w.want("alias.shop.example.", dns.TypeA, 0, "alias.shop.example. CNAME www.victim.example.", "www.victim.example. A 192.0.2.90")
		w.count(0, resolvertest.To("203.0.113.66"))
	}, ipv4Only)
}

// wantNothingEvil looks for the attacker's records in the cache, by questions for which no
// server may be asked (RD=0).
func (w *world) wantNothingEvil() {
	w.Helper()
	for _, name := range []string{".", "example.", "test.", "victim.example.", "www.victim.example.", "other.victim.example.", "ns.victim.example.", "none.victim.example.", "any.example.", "ns1.example.", "shop.example.", "www.shop.example."} {
		for _, rrtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeNS, dns.TypeCNAME, dns.TypeDNAME, dns.TypeMX, dns.TypeTXT, dns.TypeSRV, dns.TypeSOA, dns.TypeDS, dns.TypeDNSKEY, dns.TypeNSEC, dns.TypeHTTPS} {
			query := new(dns.Msg)
			query.SetQuestion(name, rrtype)
			query.RecursionDesired = false
			reply, err := w.r.Exchange(w.Context(), query)
			if err != nil {
				w.Fatalf("%s %s out of the cache: %v", name, dns.Type(rrtype), err)
			}
			if record, found := evilRecord(slices.Concat(reply.Answer, reply.Ns, reply.Extra)); found {
				w.Errorf("the cache has %s", record)
			}
		}
	}
}
