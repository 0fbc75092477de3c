package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// recorder writes down the events of one question. Its hooks take no lock, since they
// are promised not to be called concurrently; the race detector would see.
type recorder struct {
	lines    []string
	returned atomic.Bool
	late     atomic.Int32
}

func (r *recorder) note(format string, args ...any) {
	if r.returned.Load() {
		r.late.Add(1)
		return
	}
	r.lines = append(r.lines, strings.ToLower(fmt.Sprintf(format, args...)))
}

func (r *recorder) trace() *resolver.Trace {
	return &resolver.Trace{
		Joined: func(i resolver.JoinedInfo) { r.note("joined %q", i.Zone) },
		Cache:  func(i resolver.CacheInfo) { r.note("cache %s hit %t", i.Question.Name, i.Hit) },
		Start:  func(i resolver.StartInfo) { r.note("start %s at %s hints %t", i.Question.Name, i.Cut.Zone, i.Hints) },
		Query: func(i resolver.QueryInfo) {
			r.note("query %d %s of %s minimised %t %s", i.ID, i.Asked.Name, i.Zone, i.Minimised, i.Network)
		},
		Response: func(i resolver.ResponseInfo) { r.note("response %d %s %v", i.ID, i.Kind, i.RTT) },
		Referral: func(i resolver.ReferralInfo) { r.note("referral %s to %s", i.From, i.Cut.Zone) },
		ServerLookup: func(i resolver.ServerLookupInfo) {
			r.note("server %s of %s done %t", i.Server, i.Zone, i.Done)
		},
		Alias: func(i resolver.AliasInfo) { r.note("alias %s to %s dname %t", i.From, i.To, i.DNAME) },
		Done:  func(i resolver.DoneInfo) { r.note("done sends %d failed %t %v", i.Sends, i.Err != nil, i.Elapsed) },
	}
}

// askTraced asks and returns the events.
func (w *world) askTraced(name string, qtype uint16) (asked, []string) {
	r := &recorder{}
	o := w.askWith(resolver.WithTrace(w.Context(), r.trace()), name, qtype)
	r.returned.Store(true)
	w.settle()
	if n := r.late.Load(); n > 0 {
		w.Errorf("%s: %d events after the method had returned", name, n)
	}
	return o, r.lines
}

func TestTraceOfAWalk(t *testing.T) {
	inWorld(t, plainWorld, func(w *world) {
		_, got := w.askTraced("www.shop.example.", dns.TypeA)
		want := []string{
			"cache www.shop.example. hit false",
			"start www.shop.example. at . hints true",
			"query 1 example. of . minimised true udp",
			"response 1 referral 20ms",
			"referral . to example.",
			"query 2 shop.example. of example. minimised true udp",
			"response 2 referral 20ms",
			"referral example. to shop.example.",
			"query 3 www.shop.example. of shop.example. minimised false udp",
			"response 3 answer 20ms",
			"done sends 3 failed false 60ms",
		}
		if !slices.Equal(got, want) {
			w.Errorf("got events\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		_, got = w.askTraced("www.shop.example.", dns.TypeA)
		want = []string{"cache www.shop.example. hit true", "done sends 0 failed false 0s"}
		if !slices.Equal(got, want) {
			w.Errorf("from the cache: got events %q, want %q", got, want)
		}
	})
}

// The leader's Trace gets every step: no event happens before its Trace is there.
func TestTraceHearsTheFirstStep(t *testing.T) {
	r := resolvertest.New(t, "-- zone shop.example. --\n* A 192.0.2.1\n").Resolver(t)
	var missed int
	for i := range 10_000 {
		started := 0
		ctx := resolver.WithTrace(t.Context(), &resolver.Trace{Start: func(resolver.StartInfo) { started++ }})
		if _, err := r.Resolve(ctx, fmt.Sprintf("n%d.shop.example.", i), dns.TypeA); err != nil {
			t.Fatal(err)
		}
		if started == 0 {
			missed++
		}
	}
	if missed > 0 {
		t.Errorf("%d of 10,000 questions were not heard to begin", missed)
	}
}

func TestTraceOfLookups(t *testing.T) {
	inWorld(t, plainWorld+`
-- zone alias.example. at 198.51.100.9 --
www CNAME www.far.example.
-- fault 198.51.100.9 --
when type MX: rcode SERVFAIL
`, func(w *world) {
		o, got := w.askTraced("www.alias.example.", dns.TypeA)
		if o.err != nil {
			w.Fatalf("got %v", o)
		}
		if i := slices.Index(got, "alias www.alias.example. to www.far.example. dname false"); i < 0 {
			w.Errorf("got no event of the alias: %q", got)
		}
		began := slices.IndexFunc(got, func(l string) bool {
			return l == "server ns1.host.test. of far.example. done false" || l == "server ns2.host.test. of far.example. done false"
		})
		ended := slices.IndexFunc(got, func(l string) bool {
			return l == "server ns1.host.test. of far.example. done true" || l == "server ns2.host.test. of far.example. done true"
		})
		if began < 0 || ended < began {
			w.Errorf("got no events of the look-up of a name server: %q", got)
		}
		if last := got[len(got)-1]; !strings.HasPrefix(last, "done ") {
			w.Errorf("got %q last, want done", last)
		}
		if _, got = w.askTraced("mail.alias.example.", dns.TypeMX); !slices.ContainsFunc(got, func(l string) bool {
			return strings.Contains(l, "failed true")
		}) {
			w.Errorf("got no event of the failure: %q", got)
		}
	})
}

// TestTraceJoined: a joiner's Trace gets events from then on, and none after it has left.
func TestTraceJoined(t *testing.T) {
	inWorld(t, plainWorld, func(w *world) {
		leader, joiner, leaver := &recorder{}, &recorder{}, &recorder{}
		var all sync.WaitGroup
		all.Go(func() {
			w.r.Resolve(resolver.WithTrace(w.Context(), leader.trace()), "www.shop.example.", dns.TypeA)
			leader.returned.Store(true)
		})
		time.Sleep(25 * time.Millisecond)
		all.Go(func() {
			w.r.Resolve(resolver.WithTrace(w.Context(), joiner.trace()), "www.shop.example.", dns.TypeA)
			joiner.returned.Store(true)
		})
		all.Go(func() {
			ctx, cancel := context.WithTimeout(w.Context(), 5*time.Millisecond)
			defer cancel()
			_, err := w.r.Resolve(resolver.WithTrace(ctx, leaver.trace()), "www.shop.example.", dns.TypeA)
			if !errors.Is(err, context.DeadlineExceeded) {
				w.Errorf("leaver: got %v, want its own deadline", err)
			}
			leaver.returned.Store(true)
		})
		all.Wait()
		w.settle()
		if n := leader.late.Load() + joiner.late.Load() + leaver.late.Load(); n > 0 {
			w.Errorf("%d events after the method had returned", n)
		}
		if got := joiner.lines; !slices.Contains(got, `joined ""`) ||
			slices.Contains(got, "referral . to example.") || !slices.Contains(got, "referral example. to shop.example.") {
			w.Errorf("joiner: got events %q, want those from joining on", got)
		}
		if got := leaver.lines; !slices.Contains(got, `joined ""`) || slices.Contains(got, "referral example. to shop.example.") {
			w.Errorf("leaver: got events %q, want those until it left", got)
		}
	})
}

// TestTraceOfLateServers: a hedge that lost and look-ups that outlive the answer call no
// hook.
func TestTraceOfLateServers(t *testing.T) {
	inWorld(t, plainWorld+"-- fault * --\nlatency 300ms\n", func(w *world) {
		for _, name := range []string{"www.far.example.", "www.shop.example."} {
			if o, got := w.askTraced(name, dns.TypeA); o.err != nil || !strings.HasPrefix(got[len(got)-1], "done") {
				w.Errorf("%s: got %v and last %q", name, o, got[len(got)-1])
			}
		}
	})
}
