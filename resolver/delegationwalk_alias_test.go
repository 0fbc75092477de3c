package resolver_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// TestDNAMETooLong: a DNAME that makes a name of more than 255 bytes ends in
// YXDOMAIN with the DNAME as the reason (RFC 6672 §2.2).
func TestDNAMETooLong(t *testing.T) {
	const label = "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff" // 60 bytes
	inWorld(t, `
-- zone shop.example. at 198.51.100.3 --
old             DNAME `+label+"."+label+`.new.example.
`, func(w *world) {
		name := label + "." + label + ".old.shop.example."
		for range 2 {
			o := w.ask(name, dns.TypeA)
			if o.err != nil || o.Rcode != dns.RcodeYXDomain {
				w.Fatalf("got %v, want YXDOMAIN", o)
			}
			if len(o.Answer) != 1 || o.Answer[0].Header().Rrtype != dns.TypeDNAME {
				w.Errorf("got %q, want the DNAME alone", brief(o.Answer))
			}
		}
		w.want("short.old.shop.example.", dns.TypeA, dns.RcodeNameError,
			"old.shop.example. DNAME "+label+"."+label+".new.example.",
			"short.old.shop.example. CNAME short."+label+"."+label+".new.example.")
	})
}

// TestAliasLoops end at the first repeat.
func TestAliasLoops(t *testing.T) {
	const text = `
-- zone shop.example. at 198.51.100.3 --
self            CNAME self
a               CNAME b
b               CNAME c
c               CNAME a
d               DNAME d
e               DNAME f
f               DNAME e
out             CNAME in.other.example.
-- zone other.example. at 198.51.100.4 --
in              CNAME out.shop.example.
`
	for _, name := range []string{"self", "a", "b", "x.d", "x.e", "x.f", "out"} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, text, func(w *world) {
				o := w.wantError(name+".shop.example.", dns.TypeA, resolver.ErrAliasLoop)
				if o.Result != nil {
					w.Errorf("got a partial chain %v", o.Result)
				}
				w.wantError(name+".shop.example.", dns.TypeA, resolver.ErrAliasLoop).atMost(w, 4)
			})
		})
	}
}

// chain is a zone with a chain of aliases n0 → n1 → … → n<length>, which has an
// address.
func chain(zone string, length int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "-- zone %s at 198.51.100.3 --\n", zone)
	for i := range length {
		fmt.Fprintf(&b, "n%d CNAME n%d\n", i, i+1)
	}
	fmt.Fprintf(&b, "n%d A 192.0.2.80\n", length)
	return b.String()
}

// TestAliasLimit: chains up to one less than Limits.Aliases are followed, longer
// ones end with an error that names the limit; raising it lets them through.
func TestAliasLimit(t *testing.T) {
	inWorld(t, chain("shop.example.", 20), func(w *world) {
		o := w.ask("n10.shop.example.", dns.TypeA)
		if o.err != nil || len(o.Answer) != 11 {
			w.Errorf("10 aliases: got %v", o)
		}
		w.wantLimit("n0.shop.example.", dns.TypeA, "Aliases")
		w.want("n20.shop.example.", dns.TypeA, 0, "n20.shop.example. A 192.0.2.80")
	})
	inWorld(t, chain("shop.example.", 20), func(w *world) {
		o := w.ask("n0.shop.example.", dns.TypeA)
		if o.err != nil || len(o.Answer) != 21 {
			w.Errorf("20 aliases with the limit off: got %v", o)
		}
	}, func(o *resolver.Options) { o.Limits.Aliases = -1 })
}

// TestAliasTargetsAreAskedAgain: each name of a chain is asked for in its own zone, even
// when a server answers for the target itself.
func TestAliasTargetsAreAskedAgain(t *testing.T) {
	inWorld(t, `
-- zone shop.example. at 198.51.100.3 --
www             CNAME www.other.example.
-- zone other.example. at 198.51.100.4 --
www             A     192.0.2.90
-- fault 198.51.100.3 --
when name www.shop.example.: add answer www.other.example. A 203.0.113.66
`, func(w *world) {
		w.want("www.shop.example.", dns.TypeA, 0,
			"www.shop.example. CNAME www.other.example.", "www.other.example. A 192.0.2.90")
		w.count(1, resolvertest.To("198.51.100.4"), resolvertest.Name("www.other.example."))
		w.want("www.other.example.", dns.TypeA, 0, "www.other.example. A 192.0.2.90").atMost(w, 0)
	})
}

// TestAliasTTL: the whole lives as long as its shortest part.
func TestAliasTTL(t *testing.T) {
	inWorld(t, `
-- zone shop.example. at 198.51.100.3 --
www        30   CNAME www.other.example.
-- zone other.example. at 198.51.100.4 --
www       200   A     192.0.2.90
`, func(w *world) {
		for range 2 {
			if o := w.ask("www.shop.example.", dns.TypeA); o.err != nil || o.TTL.Seconds() != 30 {
				w.Errorf("got %v with TTL %v, want 30 s", o, o.TTL)
			}
		}
	})
}

// TestAliasLoopIsNamed: the error has the names of the loop, without those that lead into it, and of a
// long loop the first few.
func TestAliasLoopIsNamed(t *testing.T) {
	const text = `
-- zone shop.example. at 198.51.100.3 --
self    CNAME   self
in      CNAME   a
a       CNAME   b
b       CNAME   a
d       DNAME   d
n0      CNAME   n1
n1      CNAME   n2
n2      CNAME   n3
n3      CNAME   n4
n4      CNAME   n0
`
	inWorld(t, text, func(w *world) {
		for name, want := range map[string]string{
			"self": "self -> self", "in": "a -> b -> a", "x.d": "x.d -> x.d", "n0": "n0 -> n1 -> n2 -> 2 more -> n0",
		} {
			want = "alias loop: " + strings.Join(strings.Split(want, " -> "), ".shop.example. -> ") + ".shop.example."
			want = strings.Replace(want, "more.shop.example.", "more", 1)
			_, err := w.r.Resolve(w.Context(), name+".shop.example.", dns.TypeA)
			if !errors.Is(err, resolver.ErrAliasLoop) || !strings.HasSuffix(err.Error(), ": "+want) {
				t.Errorf("%s: got %v, want %s", name, err, want)
			}
			if strings.HasPrefix(name, "x.") {
				continue // FindZone finds the zone of the DNAME
			}
			_, err = w.r.FindZone(w.Context(), name+".shop.example.", resolver.FindZoneOptions{FollowAliases: true})
			if !errors.Is(err, resolver.ErrAliasLoop) || !strings.HasSuffix(err.Error(), ": "+want) {
				t.Errorf("FindZone of %s: got %v, want %s", name, err, want)
			}
		}
	})
}
