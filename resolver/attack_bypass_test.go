package resolver_test

import (
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// bypassWorld has names of each sort, and an RRset that is larger than any that the cache keeps
// among others.
func bypassWorld(words string) string {
	return "-- zone shop.example. at 198.51.100.3 " + words + " --\n" +
		"www A 192.0.2.80\nwww AAAA 2001:db8::80\na.ent A 192.0.2.81\nalias CNAME www\nold DNAME shop.example.\n*.wild A 192.0.2.82\n" +
		bigTexts("big") + bigTexts("*.bigwild")
}

// bigTexts are 40 TXT records of 250 bytes.
func bigTexts(owner string) string {
	var b strings.Builder
	for i := range 40 {
		b.WriteString(owner + ` TXT "` + strings.Repeat(string(rune('a'+i%26)), 240) + strings.Repeat("z", i%10) + "\"\n")
	}
	return b.String()
}

// TestAttackPastTheCache: questions repeated for data that the cache does not keep among
// other answers, be it ANY, also of names that do not exist, or records of more than 8 KiB,
// cost the zone's servers one query in half a minute and not one each.
func TestAttackPastTheCache(t *testing.T) {
	for _, words := range []string{"", "signed"} {
		for _, q := range []dns.Question{
			{Name: "www.shop.example.", Qtype: dns.TypeANY},
			{Name: "shop.example.", Qtype: dns.TypeANY},
			{Name: "none.shop.example.", Qtype: dns.TypeANY},
			{Name: "ent.shop.example.", Qtype: dns.TypeANY},
			{Name: "alias.shop.example.", Qtype: dns.TypeANY},
			{Name: "www.old.shop.example.", Qtype: dns.TypeANY},
			{Name: "x.wild.shop.example.", Qtype: dns.TypeANY},
			{Name: "big.shop.example.", Qtype: dns.TypeTXT},
			{Name: "x.bigwild.shop.example.", Qtype: dns.TypeTXT},
		} {
			held := cache.New(cache.Options{})
			inWorld(t, bypassWorld(words), func(w *world) {
				name := strings.TrimSpace(q.Name + " " + dns.Type(q.Qtype).String() + " " + words)
				w.ask("shop.example.", dns.TypeMX) // what leads there, and the keys
				w.ask("none.shop.example.", dns.TypeMX)
				first := w.ask(q.Name, q.Qtype)
				want := brief(first.Answer)
				if first.err != nil || first.TTL <= 0 || first.TTL > cache.MaxBriefTTL*time.Second && first.Rcode == 0 {
					t.Fatalf("%s: got %v for %v", name, first, first.TTL)
				}
				before := w.held(held)
				sends, start := 0, time.Now()
				for range 20 {
					o := w.want(q.Name, q.Qtype, first.Rcode, want...)
					if !o.FromCache || o.TTL > first.TTL || o.Status != first.Status || len(o.Authority) != len(first.Authority) {
						t.Errorf("%s: got %v, %v for %v with %v, want what was there before", name, o, o.Status, o.TTL, o.Authority)
					}
					reply := exchanged(t, w.r, ask(q.Name, q.Qtype, withDO, func(m *dns.Msg) { m.RecursionDesired = false }))
					if reply.Rcode != first.Rcode || len(reply.Answer) != len(want) {
						t.Errorf("%s: as a message without RD: got\n%v", name, reply)
					}
					sends += o.sends
				}
				wantCost(w.T, name+", 20 times", cost{sends, sends, len(w.held(held)) - len(before), time.Since(start)}, cost{})
				if words == "signed" && first.Status != dnssec.Secure {
					t.Errorf("%s: got %v, want it Secure", name, first.Status)
				}
			}, ipv4Only, func(o *resolver.Options) { o.Cache = held })
		}
	}
}

// TestKnownNameErrorAnswersANY: a name that is known not to be there, or proven not to be, has
// no records of any type.
func TestKnownNameErrorAnswersANY(t *testing.T) {
	inWorld(t, bypassWorld("signed"), func(w *world) {
		w.want("none.shop.example.", dns.TypeA, dns.RcodeNameError)
		w.want("none.shop.example.", dns.TypeANY, dns.RcodeNameError).atMost(w, 0)
		w.want("nonf.shop.example.", dns.TypeANY, dns.RcodeNameError).atMost(w, 0)
		w.want("shop.example.", dns.TypeMX, 0)
		if o := w.ask("shop.example.", dns.TypeANY); o.err != nil || len(o.Answer) == 0 {
			t.Errorf("a name without MX: got %v, want what it has", o)
		}
	}, ipv4Only)
}

// TestAttackLargeProofs: an answer that is small, but not with its proof or with all
// aliases of its name, is too large for the cache as a whole; asked for again it comes from
// the cache for half a minute too.
func TestAttackLargeProofs(t *testing.T) {
	label := func(i int) string { return strings.Repeat(string(rune('a'+i)), 60) }
	var aliases strings.Builder
	for i := range 4 {
		aliases.WriteString(label(i) + " CNAME " + label(i+1) + "\n")
	}
	for _, q := range []struct {
		words string
		dns.Question
	}{
		{"signed nsec3", dns.Question{Name: "x.wild.shop.example.", Qtype: dns.TypeA}},
		{"signed nsec3", dns.Question{Name: "none.shop.example.", Qtype: dns.TypeA}},
		{"signed nsec3", dns.Question{Name: "none.shop.example.", Qtype: dns.TypeANY}},
		{"signed nsec3", dns.Question{Name: "x.wild.shop.example.", Qtype: dns.TypeMX}},
		{"", dns.Question{Name: label(0) + ".shop.example.", Qtype: dns.TypeA}},
	} {
		inWorld(t, bypassWorld(q.words)+aliases.String()+label(4)+" A 192.0.2.83\n", func(w *world) {
			first := w.ask(q.Name, q.Qtype)
			if first.err != nil || first.TTL <= 0 || first.TTL > cache.MaxBriefTTL*time.Second {
				t.Fatalf("%v: got %v for %v", q, first, first.TTL)
			}
			for range 3 {
				o := w.want(q.Name, q.Qtype, first.Rcode, brief(first.Answer)...).atMost(w, 0)
				if o.Status != first.Status || len(o.Authority) != len(first.Authority) {
					t.Errorf("%v: got %v with %v, want %v with %v", q, o.Status, o.Authority, first.Status, first.Authority)
				}
			}
			time.Sleep((cache.MaxBriefTTL + 1) * time.Second)
			if o := w.want(q.Name, q.Qtype, first.Rcode, brief(first.Answer)...); o.sends == 0 {
				t.Errorf("%v: kept for longer than %v s", q, cache.MaxBriefTTL)
			}
		}, ipv4Only, func(o *resolver.Options) { o.Cache = cache.New(cache.Options{MaxEntry: 250}) })
	}
}

// TestBareANY: a server that answers ANY with nothing, without an SOA for how long, is
// asked again after some seconds, as it is for any other type.
func TestBareANY(t *testing.T) {
	inWorld(t, bypassWorld(""), func(w *world) {
		w.in.Fault("198.51.100.3", resolvertest.Hook(func(query, m *dns.Msg) {
			if query.Question[0].Qtype == dns.TypeANY {
				m.Answer, m.Ns = nil, nil
			}
		}))
		w.want("www.shop.example.", dns.TypeANY, 0)
		w.want("www.shop.example.", dns.TypeANY, 0).atMost(w, 0)
		time.Sleep((cache.MaxBareTTL + 1) * time.Second)
		w.want("www.shop.example.", dns.TypeANY, 0)
		w.count(1, target)
	}, ipv4Only)
}
