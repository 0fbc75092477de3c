package resolver_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// fourServers has zones of four addresses each: a root, top-level zones, and below
// each as many zones as asked for.
func fourServers(zones int) string {
	var b strings.Builder
	b.WriteString("-- zone . at 198.51.100.1 198.51.100.2 198.51.100.3 198.51.100.4 --\n")
	b.WriteString("-- zone example. at 198.51.100.5 198.51.100.6 198.51.100.7 198.51.100.8 --\n")
	for i := range zones {
		fmt.Fprintf(&b, "-- zone z%d.example. at", i)
		for j := range 4 {
			fmt.Fprintf(&b, " 203.0.113.%d", 4*i+j)
		}
		b.WriteString(" --\nwww A 192.0.2.80\nmail A 192.0.2.81\n")
	}
	return b.String()
}

// times are how long questions took.
type times []time.Duration

func (l times) sorted() times {
	sorted := slices.Clone(l)
	slices.Sort(sorted)
	return sorted
}

func (l times) percentile(p int) time.Duration { return l.sorted()[(len(l)-1)*p/100] }

func (l times) mean() time.Duration {
	var sum time.Duration
	for _, d := range l {
		sum += d
	}
	return sum / time.Duration(len(l))
}

func (l times) String() string {
	return fmt.Sprintf("%d questions: mean %v, median %v, p95 %v, worst %v",
		len(l), l.mean(), l.percentile(50), l.percentile(95), l.percentile(100))
}

// bounds are the times that must hold.
type bounds struct{ mean, p95, worst time.Duration }

func (l times) check(t *testing.T, name string, b bounds) {
	t.Helper()
	t.Logf("%s: %s", name, l)
	if l.mean() > b.mean || l.percentile(95) > b.p95 || l.percentile(100) > b.worst {
		t.Errorf("%s: %s; want mean %v, p95 %v, worst %v at most", name, l, b.mean, b.p95, b.worst)
	}
}

// zonesPerWorld is how many zones of fourServers one world has.
const zonesPerWorld = 50

// measure asks for a name in each of a world's zones, in worlds of several seeds, and
// returns how long the first question took, with an empty cache, and the others. The resolver
// has the seed too, so that every run measures the same.
func measure(t *testing.T, seeds int, text string, faults func(in *resolvertest.Internet)) (cold, fresh times) {
	t.Helper()
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			in := resolvertest.New(t, text, resolvertest.Seed(uint64(seed)))
			in.Fault("*", resolvertest.Latency(20*time.Millisecond))
			faults(in)
			w := &world{t, in, in.Resolver(t, ipv4Only)}
			w.r.Seed(uint64(seed))
			for i := range zonesPerWorld {
				name := fmt.Sprintf("www.z%d.example.", i)
				o := w.want(name, dns.TypeA, 0, name+" A 192.0.2.80")
				if i == 0 {
					cold = append(cold, o.took)
				} else {
					fresh = append(fresh, o.took)
				}
			}
		})
	}
	return cold, fresh
}

// TestLoss: exchanges are lost everywhere; zones have four addresses. Every name resolves,
// and most of them as if nothing had been lost.
func TestLoss(t *testing.T) {
	for _, test := range []struct {
		loss        float64
		cold, fresh bounds
	}{
		{0.2, bounds{500 * time.Millisecond, 1500 * time.Millisecond, 4 * time.Second}, bounds{150 * time.Millisecond, 500 * time.Millisecond, 3 * time.Second}},
		{0.3, bounds{700 * time.Millisecond, 2 * time.Second, 4 * time.Second}, bounds{200 * time.Millisecond, 650 * time.Millisecond, 3 * time.Second}},
	} {
		cold, fresh := measure(t, 20, fourServers(zonesPerWorld), func(in *resolvertest.Internet) {
			in.Fault("*", resolvertest.Loss(test.loss))
		})
		cold.check(t, fmt.Sprintf("loss %v, cold", test.loss), test.cold)
		fresh.check(t, fmt.Sprintf("loss %v, a fresh zone", test.loss), test.fresh)
	}
}

// TestOneServerDead: one of the four servers of every zone is dead. It costs the wait
// for the hedge at most, and less once the table knows what is usual.
func TestOneServerDead(t *testing.T) {
	cold, fresh := measure(t, 10, fourServers(zonesPerWorld), func(in *resolvertest.Internet) {
		for _, zone := range append([]string{".", "example."}, zoneNames()...) {
			in.Fault(in.Servers(zone)[1].String(), resolvertest.Dead())
		}
	})
	cold.check(t, "cold", bounds{mean: 350 * time.Millisecond, p95: 700 * time.Millisecond, worst: time.Second})
	fresh.check(t, "a fresh zone", bounds{mean: 100 * time.Millisecond, p95: 250 * time.Millisecond, worst: 500 * time.Millisecond})
}

func zoneNames() []string {
	var names []string
	for i := range zonesPerWorld {
		names = append(names, fmt.Sprintf("z%d.example.", i))
	}
	return names
}

// TestFamilyDead: packets of one family go nowhere, silently or with an error. After a
// few questions that costs no time any more.
func TestFamilyDead(t *testing.T) {
	var text strings.Builder
	text.WriteString("-- zone . at 198.51.100.1 2001:db8::1 --\n-- zone example. at 198.51.100.2 2001:db8::2 --\n")
	for i := range zonesPerWorld {
		fmt.Fprintf(&text, "-- zone z%d.example. at 203.0.113.%d 2001:db8:1::%x --\nwww A 192.0.2.80\n", i, i, i)
	}
	for _, test := range []struct {
		family string
		fault  resolvertest.Fault
	}{
		{"::/0", resolvertest.Dead()}, {"0.0.0.0/0", resolvertest.Dead()},
		{"::/0", resolvertest.Unreachable()}, {"0.0.0.0/0", resolvertest.Unreachable()},
	} {
		var early, late times
		for seed := range uint64(5) {
			inWorld(t, text.String(), func(w *world) {
				w.r.Seed(seed)
				w.in.Fault("*", resolvertest.Latency(20*time.Millisecond))
				w.in.Fault(test.family, test.fault)
				for i := range zonesPerWorld {
					name := fmt.Sprintf("www.z%d.example.", i)
					o := w.want(name, dns.TypeA, 0, name+" A 192.0.2.80")
					if i < 10 {
						early = append(early, o.took)
					} else {
						late = append(late, o.took)
					}
				}
			})
		}
		early.check(t, test.family+" dead, the first ten", bounds{250 * time.Millisecond, 700 * time.Millisecond, 1500 * time.Millisecond})
		late.check(t, test.family+" dead, the others", bounds{50 * time.Millisecond, 120 * time.Millisecond, 800 * time.Millisecond})
	}
}

// TestDeadServersAreProbedSingly: servers that are marked down are tried by one query at a
// time, and found when they are back.
func TestDeadServersAreProbedSingly(t *testing.T) {
	inWorld(t, `
-- zone shop.example. at 198.51.100.3 198.51.100.4 --
www A 192.0.2.80
`, func(w *world) {
		w.ask("www.shop.example.", dns.TypeA)
		w.in.Fault("shop.example.", resolvertest.Dead())
		for i := range 4 {
			w.ask(fmt.Sprintf("n%d.shop.example.", i), dns.TypeA)
			time.Sleep(200 * time.Millisecond)
		}
		o := w.wantError("n5.shop.example.", dns.TypeA, resolver.ErrNoReachableServer).within(w, 2*time.Second)
		o.atMost(w, 3)
		w.in.Fault("shop.example.", resolvertest.Mend())
		time.Sleep(time.Minute)
		w.want("www.shop.example.", dns.TypeMX, 0).atMost(w, 1)
		time.Sleep(time.Minute)
		used := make(map[string]bool)
		for i := 0; i < 300 || i < 6000 && len(used) < 2; i++ { // another than the best is asked seldom
			w.want(fmt.Sprintf("m%d.shop.example.", i), dns.TypeA, dns.RcodeNameError)
			for _, q := range w.in.Log() {
				used[q.Server.String()] = true
			}
		}
		if len(used) != 2 {
			w.Errorf("of two servers that are back only %v are asked", used)
		}
	}, ipv4Only)
}

// TestProbeIsAwaited: while one question probes a server that is marked down and has no
// alternative, others wait for the outcome, such as the one for the keys of the zone and
// the one whose answer they are for.
func TestProbeIsAwaited(t *testing.T) {
	const asked = 5
	// at asks several questions at the same instant, and returns their results.
	at := func(w *world) (errs []error) {
		came := make(chan error)
		for i := range asked {
			go func() {
				_, err := w.r.Resolve(w.Context(), fmt.Sprintf("h%d.shop.example.", i), dns.TypeA)
				came <- err
			}()
		}
		for range asked {
			errs = append(errs, <-came)
		}
		return errs
	}
	inWorld(t, `
-- zone example. at 198.51.100.1 signed --
-- zone shop.example. at 198.51.100.3 signed --
www A 192.0.2.80
-- fault * --
latency 20ms
`, func(w *world) {
		if o := w.ask("www.shop.example.", dns.TypeA); o.err != nil {
			w.Fatalf("before: got %v", o.err)
		}
		w.in.Fault("198.51.100.3", resolvertest.Dead())
		for i := range 4 {
			w.wantError(fmt.Sprintf("n%d.shop.example.", i), dns.TypeA, resolver.ErrNoReachableServer)
		}
		time.Sleep(time.Hour)
		w.in.ResetLog()
		for _, err := range at(w) {
			if !errors.Is(err, resolver.ErrNoReachableServer) {
				w.Errorf("down: got %v, want %v", err, resolver.ErrNoReachableServer)
			}
		}
		if n := w.in.Count(resolvertest.To("198.51.100.3")); n != 1 {
			w.Errorf("got %d queries to the server that is down, want the probe alone", n)
		}
		w.in.Fault("198.51.100.3", resolvertest.Mend(), resolvertest.Latency(20*time.Millisecond))
		time.Sleep(48 * time.Hour) // delegation and keys have to be asked for again
		for _, err := range at(w) {
			if err != nil {
				w.Errorf("back: got %v, want answers", err)
			}
		}
	}, ipv4Only)
}

// TestSlowServerIsOvertaken: a server that is later than expected is overtaken by
// another one, and asked less from then on.
func TestSlowServerIsOvertaken(t *testing.T) {
	inWorld(t, `
-- zone shop.example. at 198.51.100.3 198.51.100.4 --
www A 192.0.2.80
-- fault * --
latency 20ms
`, func(w *world) {
		w.r.Seed(1)
		for i := range 20 {
			w.want(fmt.Sprintf("n%d.shop.example.", i), dns.TypeA, dns.RcodeNameError)
		}
		w.in.Fault("198.51.100.3", resolvertest.Latency(700*time.Millisecond))
		var took times
		for i := range 50 {
			o := w.want(fmt.Sprintf("m%d.shop.example.", i), dns.TypeA, dns.RcodeNameError)
			took = append(took, o.took)
		}
		took.check(w.T, "one of two has become slow", bounds{60 * time.Millisecond, 150 * time.Millisecond, 300 * time.Millisecond})
	}, ipv4Only)
}
