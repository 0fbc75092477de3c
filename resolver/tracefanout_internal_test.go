package resolver

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/events"
)

// allEvents tells each event once.
func allEvents(e events.Sink) {
	name := dnsname.Name("\x03www\x07example\x00")
	q := answer.Question{Name: name, Type: dns.TypeA}
	in := events.Step{Walk: 2, Parent: 1, Depth: 1, Question: q}
	server := netip.MustParseAddrPort("192.0.2.53:53")
	e.Joined(in, name)
	e.Cache(in, events.Cache{Hit: true})
	e.SecondLevel(in, events.SecondLevel{Zone: name, Asked: q})
	e.Start(in, rootCut, true, false)
	e.Query(in, events.Query{ID: 1, Zone: name, Server: server, ServerName: name, Network: "udp", Asked: q, Reason: events.ReasonBest})
	e.Response(in, events.Response{ID: 1, Zone: name, Server: server, ServerName: name, Network: "udp", Err: errSent})
	e.Referral(in, name, rootCut, nil, false)
	e.ServerLookup(in, events.ServerLookup{Zone: name, Server: name, Done: true, Err: errSent})
	e.Alias(in, name, name, true)
	e.Validated(in, name, dnssec.Secure, dnssec.Reason{})
}

var (
	rootCut = &glue.Delegation{Zone: dnsname.Root}
	errSent = errors.New("not sent")
)

// TestNobodyListens: an event that nobody hears allocates nothing.
func TestNobodyListens(t *testing.T) {
	unwatched := (*audience)(nil)
	flight := unwatched.Flight()
	for _, waiter := range []events.Sink{unwatched, unwatched.Flight(), (&listener{trace: new(Trace)}).events()} {
		flight.Join(waiter)
		flight.Leave(waiter)
	}
	flight.Join(unwatched.Flight())
	for name, e := range map[string]events.Sink{"work of nobody's": unwatched, "flight": flight} {
		if n := testing.AllocsPerRun(100, func() { allEvents(e) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// TestEveryEventHasItsHook: a Trace hears each event through the hook of its name, and once,
// however many flights lead to it. Hooks that are nil are left out.
func TestEveryEventHasItsHook(t *testing.T) {
	heard := make(map[string]Step)
	count := 0
	note := func(hook string, s Step) { heard[hook] = s; count++ }
	l := &listener{trace: &Trace{
		Joined:       func(i JoinedInfo) { note("Joined", i.Step) },
		Cache:        func(i CacheInfo) { note("Cache", i.Step) },
		SecondLevel:  func(i SecondLevelInfo) { note("SecondLevel", i.Step) },
		Start:        func(i StartInfo) { note("Start", i.Step) },
		Query:        func(i QueryInfo) { note("Query", i.Step) },
		Response:     func(i ResponseInfo) { note("Response", i.Step) },
		Referral:     func(i ReferralInfo) { note("Referral", i.Step) },
		ServerLookup: func(i ServerLookupInfo) { note("ServerLookup", i.Step) },
		Alias:        func(i AliasInfo) { note("Alias", i.Step) },
		Validated:    func(i ValidatedInfo) { note("Validated", i.Step) },
	}}
	own := l.events()
	flight, other := own.Flight(), own.Flight()
	flight.Join(own)
	other.Join(own)
	other.Join(flight)
	other.Join((&listener{trace: new(Trace)}).events())
	allEvents(other)
	if len(heard) != 10 || count != 10 {
		t.Errorf("%d hooks were called %d times, want 10 hooks once each: %v", len(heard), count, heard)
	}
	for hook, s := range heard {
		if s.Walk != 2 || s.Parent != 1 || s.Depth != 1 || s.Question.Name != "www.example." || s.At.IsZero() {
			t.Errorf("%s: got %+v", hook, s)
		}
	}
	l.Close()
	if allEvents(other); count != 10 {
		t.Error("a hook was called after the call had ended")
	}
}

// TestQueryReasonsHaveWords, and no two the same.
func TestQueryReasonsHaveWords(t *testing.T) {
	seen := map[QueryReason]bool{"": true}
	for r := events.ReasonBest; r <= events.ReasonConnection; r++ {
		if seen[publicReason(r)] {
			t.Errorf("reason %d: %q is none, or another's", r, publicReason(r))
		}
		seen[publicReason(r)] = true
	}
}
