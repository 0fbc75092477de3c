package resolver_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// victim is the zone that hostile zones name as their servers' home; what it gets is the measure.
const victim = "\n-- zone test. at 198.51.100.1 --\n-- zone victim.test. at 198.51.100.66 --\nwww A 192.0.2.1\n"

// TestAttackZoneOfManyServers: a zone of 500 name servers at a victim's costs the victim what a search
// does, whether the names exist or not, and the victim's addresses get one question each.
func TestAttackZoneOfManyServers(t *testing.T) {
	var ns, addrs strings.Builder
	for i := range 500 {
		fmt.Fprintf(&ns, "many NS gone%d.victim.test.\n", i)
	}
	inWorld(t, "\n-- zone test. at 198.51.100.1 --\n"+ns.String()+"-- zone victim.test. at 198.51.100.66 --\nwww A 192.0.2.1\n", func(w *world) {
		z := w.zoneOf("www.many.test", resolver.FindZoneOptions{})
		if z.Apex != "many.test." || !errors.Is(z.Problem, resolver.ErrNoServerAddress) || z.Delegation == nil {
			w.Fatal(zoneText(z))
		}
		found := w.in.Count(resolvertest.To("198.51.100.66"))
		w.in.ResetLog()
		answers := w.askServers(z, "www.many.test", dns.TypeA)
		asked := w.in.Count(resolvertest.To("198.51.100.66"))
		// One look-up may fail, and those fail too that are under way then.
		if found > 3 || asked > 6 {
			w.Errorf("the victim got %d queries for the zone, and %d for its servers", found, asked)
		}
		if len(answers.Servers) != 13 {
			w.Errorf("%d entries, want one for each name server that is kept", len(answers.Servers))
		}
		w.Logf("the victim got %d and %d queries", found, asked)
	}, ipv4Only, func(o *resolver.Options) { o.Limits.FailedServerLookups = 1 })

	// Names that the zone itself has, each with six addresses at the victim's.
	ns.Reset()
	for i := range 200 {
		fmt.Fprintf(&ns, "@ NS ns%d\n", i)
		for j := range 6 {
			fmt.Fprintf(&addrs, "ns%d A 203.0.113.%d\n", i, (i*6+j)%250+1)
		}
	}
	inWorld(t, "\n-- zone test. at 198.51.100.1 --\nmany NS ns.many.test.\nns.many A 198.51.100.3\n-- zone many.test. at 198.51.100.3 --\n@ NS ns\nns A 198.51.100.3\n"+ns.String()+addrs.String(), func(w *world) {
		w.in.Fault("203.0.113.0/24", resolvertest.Drop())
		z := w.zoneOf("many.test", resolver.FindZoneOptions{})
		w.in.ResetLog()
		begun := time.Now()
		answers := w.askServers(z, "x.many.test", dns.TypeA)
		if took := time.Since(begun); took > 11*time.Second {
			w.Errorf("took %v", took)
		}
		asked := make(map[string]int)
		for _, q := range w.in.Log(resolvertest.Name("x.many.test")) {
			asked[q.Server.String()]++
		}
		if len(answers.Servers) > 64 || len(asked) > 64 || answers.Omitted == 0 {
			w.Errorf("%d entries, %d addresses asked, %d left out", len(answers.Servers), len(asked), answers.Omitted)
		}
		for addr, n := range asked {
			if n > 3 {
				w.Errorf("%s was asked %d times", addr, n)
			}
		}
		w.in.ResetLog()
		w.askServers(z, "y.many.test", dns.TypeA)
		if n := w.in.Count(resolvertest.Name("y.many.test")); n > 65 {
			w.Errorf("%d queries to servers that are known to be silent", n)
		}
	}, ipv4Only)
}

// TestAttackZonesInEachOther: zones whose servers are in each other end with the error that says so,
// and their delegation; aliases above aliases end by the limit; and no caller waits for another.
func TestAttackZonesInEachOther(t *testing.T) {
	inWorld(t, "\n-- zone test. at 198.51.100.2 --\na NS ns.b.test.\nb NS ns.a.test.\n", func(w *world) {
		for _, name := range []string{"www.a.test", "b.test"} {
			z := w.zoneOf(name, resolver.FindZoneOptions{})
			if !errors.Is(z.Problem, resolver.ErrCircular) || z.Delegation == nil || z.Parent != "test." {
				w.Errorf("%s: %s", name, zoneText(z))
			}
			answers := w.askServers(z, name, dns.TypeA)
			if len(answers.Servers) != 1 || answers.Servers[0].Err == nil {
				w.Errorf("%s: %q", name, serverTexts(answers))
			}
		}
		if n := w.in.Count(notPriming); n > 12 {
			w.Errorf("%d queries", n)
		}
	})
}

// TestAttackAliasesAbove: a server that answers for each name above another one with a DNAME or CNAME
// makes no more queries than a chain of aliases does, and the error names the limit.
func TestAttackAliasesAbove(t *testing.T) {
	for _, rrtype := range []uint16{dns.TypeDNAME, dns.TypeCNAME} {
		inWorld(t, victim+"-- zone evil.test. at 198.51.100.3 --\n", func(w *world) {
			w.in.Fault("198.51.100.3", resolvertest.Hook(func(query, reply *dns.Msg) {
				q := query.Question[0]
				if q.Qtype != dns.TypeSOA || dns.CountLabel(q.Name) < 4 {
					return
				}
				owner := dns.CanonicalName(q.Name)
				if rrtype == dns.TypeDNAME {
					owner = owner[strings.IndexByte(owner, '.')+1:]
				}
				rr, err := dns.NewRR(owner + " 60 " + dns.TypeToString[rrtype] + " victim.test.")
				if err != nil {
					panic(err)
				}
				reply.Rcode, reply.Authoritative, reply.Answer, reply.Ns = dns.RcodeSuccess, true, []dns.RR{rr}, nil
			}))
			name := strings.Repeat("a.", 60) + "evil.test"
			_, err := w.r.FindZone(w.Context(), name, resolver.FindZoneOptions{})
			var limit *resolver.LimitError
			if !errors.As(err, &limit) || limit.Limit != "Aliases" {
				w.Errorf("got %v", err)
			}
			if n := w.in.Count(notPriming); n > 40 {
				w.Errorf("%d queries", n)
			}
			// An honest name below an alias, six labels deep.
			z := w.zoneOf("a.b.c.d.e.f.evil.test", resolver.FindZoneOptions{})
			if z.Apex != "evil.test." || len(z.Aliases) != 1 {
				w.Errorf("six labels: %s", zoneText(z))
			}
		}, minimiseOff, ipv4Only)
	}
}

// TestAttackHardZoneServers: a zone of 13 name servers with 26 addresses, as the top-level domains
// have, is asked in full, at once.
func TestAttackHardZoneServers(t *testing.T) {
	var addrs []string
	for i := range 13 {
		addrs = append(addrs, fmt.Sprintf("198.51.100.%d 2001:db8::%d", i+1, i+1))
	}
	inWorld(t, "\n-- zone tld. at "+strings.Join(addrs, " ")+" signed --\n-- zone shop.tld. at 203.0.113.1 signed --\n-- fault * --\nlatency 20ms\n", func(w *world) {
		z := w.zoneOf("tld", resolver.FindZoneOptions{})
		w.in.ResetLog()
		begun := time.Now()
		answers := w.askServers(z, "tld", dns.TypeDNSKEY)
		if !answers.Agree() || len(answers.Servers) != 26 || answers.Omitted != 0 || time.Since(begun) > time.Second {
			w.Errorf("got %d servers, %d left out, agreement %t after %v", len(answers.Servers), answers.Omitted, answers.Agree(), time.Since(begun))
		}
		for _, s := range answers.Servers {
			if !s.Answered() || !s.HasSerial || len(s.Answer) != 2 {
				w.Errorf("%s: %+v", s.Addr, s)
			}
		}
		w.count(26, resolvertest.Type(dns.TypeDNSKEY))
		if z.Status.String() != "secure" || len(z.NS) != 13 || len(z.Delegation.Servers) != 13 {
			w.Error(zoneText(z))
		}
	})
}

// TestAttackZoneOverAndOver: fifty callers that make up names in a silent zone get its servers no more
// queries than the pause between rounds lets through.
func TestAttackZoneOverAndOver(t *testing.T) {
	inWorld(t, victim+"-- zone evil.test. at 198.51.100.3 198.51.100.4 198.51.100.5 --\n", func(w *world) {
		z := w.zoneOf("evil.test", resolver.FindZoneOptions{})
		w.in.Fault("evil.test.", resolvertest.Drop())
		w.askServers(z, "first.evil.test", dns.TypeA)
		w.in.ResetLog()
		done := make(chan struct{})
		for i := range 50 {
			go func() {
				defer func() { done <- struct{}{} }()
				for j := range 4 {
					w.r.AskServers(w.Context(), z, fmt.Sprintf("a%d-%d.evil.test", i, j), dns.TypeA)
				}
			}()
		}
		begun := time.Now()
		for range 50 {
			<-done
		}
		took := time.Since(begun)
		rounds := int(took/(50*time.Millisecond)) + 1
		if n := w.in.Count(notPriming); n > 3*rounds {
			w.Errorf("%d queries to three servers in %v", n, took)
		}
	}, ipv4Only)
}
