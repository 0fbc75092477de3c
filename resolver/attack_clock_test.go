package resolver_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// clockWorld has what grows old: an answer, a denial, a delegation, signatures.
const clockWorld = `
-- zone shop.example. at 198.51.100.3 algorithm=13 --
www     300     A       192.0.2.80
-- zone fails.example. at 198.51.100.4 --
-- fault 198.51.100.4 --
rcode SERVFAIL
`

// clockCases are questions and what becomes of them in 300 s.
var clockCases = []struct {
	name  string
	rcode int
	fails bool
}{
	{"www.shop.example.", dns.RcodeSuccess, false},
	{"none.shop.example.", dns.RcodeNameError, false},
	{"www.fails.example.", 0, true},
}

// wantAged asks twice now, when the second answer comes out of the cache, and again when
// the TTL is over, when servers are asked.
func wantAged(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver, wait func(time.Duration)) {
	t.Helper()
	ask := func(when string, fromCache bool) {
		t.Helper()
		for _, c := range clockCases {
			in.ResetLog()
			result, err := r.Resolve(t.Context(), c.name, dns.TypeA)
			if (err != nil) != c.fails || err == nil && (result.Rcode != c.rcode || result.Status != dnssec.Secure) {
				t.Errorf("%s, %s: got %v, %v", when, c.name, result, err)
			}
			if asked := in.Count(resolvertest.Name(c.name)) > 0; asked == fromCache {
				t.Errorf("%s, %s: asked servers %t, want %t", when, c.name, asked, !fromCache)
			}
			if err == nil && (result.TTL > 300*time.Second || result.TTL <= 0) {
				t.Errorf("%s, %s: TTL %v, want at most 300 s", when, c.name, result.TTL)
			}
		}
	}
	ask("at first", false)
	wait(time.Second)
	ask("a second later", true)
	wait(300 * time.Second)
	ask("when it is over", false)
}

// TestAttackClockYears: cached and signed data lives as long as it should across the
// moments at which seconds of 31 and 32 bits overflow, and serial arithmetic starts anew
// (RFC 4034 §3.1.5; attacks.md 36).
func TestAttackClockYears(t *testing.T) {
	for _, moment := range []time.Time{
		time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC),
		time.Date(2106, 2, 7, 6, 28, 16, 0, time.UTC),
	} {
		for _, before := range []time.Duration{400 * time.Second, 200 * time.Second, time.Second, 0, -time.Hour} {
			t.Run(fmt.Sprint(moment.Year(), " ", before), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					time.Sleep(time.Until(moment.Add(-before)))
					in := resolvertest.New(t, clockWorld) // signed now
					wantAged(t, in, in.Resolver(t), time.Sleep)
				})
			})
		}
	}
}

// TestAttackClock1970: a machine whose clock starts at the epoch, like those without a
// battery, caches like any other; signatures it can check only by a clock that is right.
func TestAttackClock1970(t *testing.T) {
	for _, start := range []time.Time{time.Unix(0, 0), time.Unix(-10, 0), time.Unix(1, 0)} {
		synctest.Test(t, func(t *testing.T) {
			in := resolvertest.New(t, clockWorld)
			begin := time.Now()
			now := func() time.Time { return start.Add(time.Since(begin)) }
			wantAged(t, in, in.Resolver(t, func(o *resolver.Options) { o.Now, o.SignatureTime = now, time.Now }), time.Sleep)

			r := in.Resolver(t, func(o *resolver.Options) { o.Now = now })
			if got := statusOf(t, r, "www.shop.example."); got != dnssec.Bogus {
				t.Errorf("signatures that begin in the future: got %v, want bogus", got)
			}
		})
	}
}

// TestAttackClockSteps: a wall clock that is set back or forward, with no other beside it,
// makes nothing live longer than its TTL: data learnt at a time that is now in the future
// is asked for again.
func TestAttackClockSteps(t *testing.T) {
	for _, step := range []time.Duration{-time.Hour, -24 * 365 * time.Hour, time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, clockWorld)
				var ahead atomic.Int64
				now := func() time.Time { return time.Now().Round(0).Add(time.Duration(ahead.Load())) }
				r := in.Resolver(t, func(o *resolver.Options) { o.Now, o.SignatureTime = now, time.Now })
				wantAged(t, in, r, time.Sleep)
				ahead.Store(int64(step))
				wantAged(t, in, r, time.Sleep)
				ahead.Store(0)
				wantAged(t, in, r, time.Sleep)
			})
		})
	}
}

// TestAttackClockBackWithServers: when the clock is set back or forward, zones' keys that
// were proven are proven anew, and no server stays marked down for as long as the clock was
// set back by.
func TestAttackClockBackWithServers(t *testing.T) {
	for _, step := range []time.Duration{0, -time.Hour, -24 * 365 * time.Hour, 48 * time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			var ahead atomic.Int64
			now := func() time.Time { return time.Now().Round(0).Add(time.Duration(ahead.Load())) }
			inWorld(t, `
-- zone shop.example. at 198.51.100.3 signed --
$TTL 7200
www             A       192.0.2.80
*.w             A       192.0.2.81
-- zone dead.example. at 198.51.100.4 198.51.100.5 --
*               A       192.0.2.82
-- fault dead.example. --
dead
`, func(w *world) {
				if got := statusOf(w.T, w.r, "a.w.shop.example."); got != dnssec.Secure {
					w.Errorf("before: got %v, want secure", got)
				}
				for i := range 12 { // until it waits the longest before it is tried again
					w.ask(fmt.Sprintf("n%d.dead.example.", i), dns.TypeA)
					time.Sleep(time.Minute)
				}
				w.in.Fault("dead.example.", resolvertest.Mend())
				ahead.Store(int64(step))
				w.in.ResetLog()
				w.want("b.w.shop.example.", dns.TypeMX, 0)
				keys := w.in.Count(resolvertest.Type(dns.TypeDNSKEY)) > 0
				if stepped := step != 0; keys != stepped {
					w.Errorf("after a step of %v: keys asked for %t, want %t:\n%s", step, keys, stepped, resolvertest.Table(w.in.Log()))
				}
				if got := statusOf(w.T, w.r, "www.shop.example."); got != dnssec.Secure {
					w.Errorf("got %v, want secure", got)
				}
				w.want("m.dead.example.", dns.TypeA, 0, "m.dead.example. A 192.0.2.82").within(w, 2*time.Second)
			}, ipv4Only, func(o *resolver.Options) { o.Now, o.SignatureTime = now, time.Now })
		})
	}
}
