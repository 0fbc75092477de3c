package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// serversWorld has a zone whose parent names ns1, ns2 and gone, and which itself names ns1, ns3 and
// private. ns2 is lame, ns1 has a second name and is silent at one address, ns3 is out of step.
const serversWorld = `
-- zone example. at 198.51.100.1 --
shop       NS    ns1.shop.example.
shop       NS    ns2.host.example.
shop       NS    gone.host.example.
shop       NS    same.host.example.
ns1.shop   A     198.51.100.3
-- zone shop.example. at 198.51.100.3 203.0.113.4 --
@          SOA   ns1 hostmaster 5 7200 3600 86400 60
@          NS    ns1
@          NS    ns3.host.example.
@          NS    private.host.example.
ns1        A     198.51.100.3
ns1        A     203.0.113.4
txt        TXT   "token"
-- zone host.example. at 198.51.100.2 --
ns2        A     198.51.100.2
ns3        A     198.51.100.6
same       A     198.51.100.3
private    A     10.0.0.1
-- fault 203.0.113.4 --
drop
-- fault 198.51.100.6 --
lame refused
-- fault * --
latency 20ms
`

// zoneOf finds a zone, which has to be there.
func (w *world) zoneOf(name string, o resolver.FindZoneOptions) *resolver.Zone {
	w.Helper()
	z, err := w.r.FindZone(w.Context(), name, o)
	if err != nil {
		w.Fatal(err)
	}
	return z
}

// askServers asks the servers of a zone, which has to be possible.
func (w *world) askServers(z *resolver.Zone, name string, qtype uint16) *resolver.ServerAnswers {
	w.Helper()
	answers, err := w.r.AskServers(w.Context(), z, name, qtype)
	if err != nil {
		w.Fatal(err)
	}
	return answers
}

// serverTexts returns what servers say, each in a line.
func serverTexts(answers *resolver.ServerAnswers) []string {
	var lines []string
	for _, s := range answers.Servers {
		line := "none"
		if s.Addr.IsValid() {
			line = s.Addr.Addr().String()
		}
		line += " " + strings.Join(s.Names, ",")
		for _, is := range []struct {
			so   bool
			text string
		}{{s.InParent, "parent"}, {s.InZone, "zone"}, {s.Glue, "glue"}, {s.OwnAddr, "own"}, {s.AA, "aa"}, {s.Lame, "lame"}} {
			if is.so {
				line += " " + is.text
			}
		}
		if s.Network != "" {
			line += " " + s.Network + " " + s.Kind + " " + dns.RcodeToString[s.Rcode]
		}
		for _, rr := range s.Answer {
			line += " " + strings.Join(strings.Fields(rr.String())[3:], " ")
		}
		if s.HasSerial {
			line += fmt.Sprintf(" serial %d", s.Serial)
		}
		if s.NSID != "" {
			line += " nsid " + s.NSID
		}
		for _, e := range s.Extended {
			line += " " + e.String()
		}
		switch {
		case errors.Is(s.Err, resolver.ErrServerNotAllowed):
			line += " not allowed"
		case errors.Is(s.Err, resolver.ErrNoServerAddress):
			line += " no address"
		case s.Err != nil && s.Network == "":
			line += " silent"
		case s.Err != nil:
			line += " failed"
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

func (w *world) wantServers(answers *resolver.ServerAnswers, want ...string) {
	w.Helper()
	slices.Sort(want)
	if got := serverTexts(answers); !slices.Equal(got, want) {
		w.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestAskServers: every server is in the result, whether the parent or the zone names it, with what it says, or why it says
// nothing. An address with two names is asked once.
func TestAskServers(t *testing.T) {
	inWorld(t, serversWorld, func(w *world) {
		w.in.Fault("198.51.100.3", resolvertest.Hook(func(query, reply *dns.Msg) {
			for _, o := range query.IsEdns0().Option {
				if o.Option() == dns.EDNS0NSID && o.String() == "" {
					opt := reply.IsEdns0()
					opt.Option = append(opt.Option, &dns.EDNS0_NSID{Code: dns.EDNS0NSID, Nsid: "6e73\x00"[:4]}, &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeOther})
				}
			}
		}))
		w.in.Fault("198.51.100.3", resolvertest.Truncated().When(resolvertest.Type(dns.TypeTXT)))
		z := w.zoneOf("txt.shop.example", resolver.FindZoneOptions{})
		w.in.ResetLog()
		answers := w.askServers(z, "txt.shop.example", dns.TypeTXT)
		w.wantServers(answers,
			`198.51.100.3 ns1.shop.example.,same.host.example. parent zone glue own aa tcp answer NOERROR TXT "token" serial 5 nsid ns Other`,
			"203.0.113.4 ns1.shop.example. parent zone own silent",
			"198.51.100.2 ns2.host.example. parent own lame udp lame REFUSED",
			"198.51.100.6 ns3.host.example. zone own lame udp lame REFUSED",
			"10.0.0.1 private.host.example. zone own not allowed",
			"none gone.host.example. parent no address",
		)
		w.count(0, resolvertest.To("10.0.0.1"))
		w.count(1, resolvertest.To("198.51.100.3"), resolvertest.Type(dns.TypeTXT), resolvertest.Over("udp"))
		w.count(3, resolvertest.To("203.0.113.4"), resolvertest.Type(dns.TypeTXT))
		for _, s := range answers.Servers {
			if s.Network == "udp" && s.RTT != 20*time.Millisecond {
				w.Errorf("%s: round-trip time %v", s.Addr, s.RTT)
			}
		}
		if !answers.Agree() || answers.Omitted != 0 || answers.Zone != "shop.example." || answers.Servers[0].TTL != 300*time.Second {
			w.Errorf("got agreement %t, %d left out, %s, %v", answers.Agree(), answers.Omitted, answers.Zone, answers.Servers[0].TTL)
		}
		// It is marked down now, and is asked once.
		w.in.ResetLog()
		w.askServers(z, "txt.shop.example", dns.TypeTXT)
		w.count(1, resolvertest.To("203.0.113.4"))
	}, ipv4Only, allowDocumentation)
}

// allowDocumentation forbids private addresses as the default does, but not those of documentation,
// which the world is made of.
func allowDocumentation(o *resolver.Options) {
	o.AllowServer = func(a netip.Addr) bool { return !a.IsPrivate() && !a.IsLoopback() }
}

// TestServersDisagree: other data, other serials and a server that has not heard of a name yet are no
// agreement, whatever the order of records.
func TestServersDisagree(t *testing.T) {
	const one, two = "198.51.100.3", "198.51.100.4"
	for fault, want := range map[string]string{
		"mend": "agree [1]",
		"when type TXT: replace NOERROR txt.shop.example. 60 TXT other":                      "disagree [1]",
		"when type TXT: replace NXDOMAIN":                                                    "disagree [1]",
		"when type SOA: replace NOERROR shop.example. 60 SOA ns1.shop.example. h. 2 1 1 1 1": "disagree [1 2]",
		"drop":           "agree [1]",
		"lame refused":   "agree [1]",
		"lame upward":    "agree [1]",
		"rcode SERVFAIL": "agree [1]",
	} {
		inWorld(t, "\n-- zone example. at 198.51.100.1 --\n-- zone shop.example. at "+one+" "+two+" --\ntxt TXT a\ntxt TXT b\n-- fault "+two+" --\n"+fault+"\n", func(w *world) {
			z := w.zoneOf("shop.example", resolver.FindZoneOptions{})
			answers := w.askServers(z, "txt.shop.example", dns.TypeTXT)
			got := "disagree"
			if answers.Agree() {
				got = "agree"
			}
			if got += fmt.Sprintf(" %v", answers.Serials()); got != want {
				w.Errorf("%s: got %s, want %s: %q", fault, got, want, serverTexts(answers))
			}
			has := answers.Every(func(s *resolver.ServerAnswer) bool { return s.HasTXT("b") })
			if want := !strings.Contains(fault, "TXT:"); has != want && !strings.Contains(fault, "type TXT") {
				w.Errorf("%s: every server has the record: %t", fault, has)
			}
		})
	}
	inWorld(t, "\n-- zone example. at 198.51.100.1 --\n-- zone shop.example. at "+one+" --\n", func(w *world) {
		z := w.zoneOf("shop.example", resolver.FindZoneOptions{})
		w.in.Fault(one, resolvertest.Dead())
		answers := w.askServers(z, "txt.shop.example", dns.TypeTXT)
		if answers.Every(func(*resolver.ServerAnswer) bool { return true }) {
			w.Error("every server of none has the record")
		}
	})
}

// TestAskServersInARow: who asks in a loop waits: a second for the same question, less for another one
// about the same zone, not at all for another zone.
func TestAskServersInARow(t *testing.T) {
	inWorld(t, "\n-- zone example. at 198.51.100.1 --\n-- zone shop.example. at 198.51.100.3 --\n-- zone other.example. at 198.51.100.4 --\n", func(w *world) {
		shop, other := w.zoneOf("shop.example", resolver.FindZoneOptions{}), w.zoneOf("other.example", resolver.FindZoneOptions{})
		took := func(times int, z *resolver.Zone, name func(i int) string) time.Duration {
			begun := time.Now()
			for i := range times {
				w.askServers(z, name(i), dns.TypeTXT)
			}
			return time.Since(begun)
		}
		same := func(int) string { return "a.shop.example" }
		if got, want := took(6, shop, same), 5*time.Second; got != want {
			w.Errorf("the same question: took %v, want %v", got, want)
		}
		if got, want := took(21, shop, func(i int) string { return fmt.Sprintf("b%d.shop.example", i) }), 21*50*time.Millisecond; got != want {
			w.Errorf("other questions: took %v, want %v", got, want)
		}
		if got := took(1, other, func(int) string { return "a.other.example" }); got != 0 {
			w.Errorf("another zone: took %v", got)
		}
		// Who waits to ask again holds up no other question.
		waiting := make(chan error)
		for range 2 {
			go func() {
				_, err := w.r.AskServers(w.Context(), w.zoneOf("shop.example", resolver.FindZoneOptions{}), "a.shop.example", dns.TypeTXT)
				waiting <- err
			}()
		}
		time.Sleep(100 * time.Millisecond)
		if got := took(1, shop, func(int) string { return "c.shop.example" }); got > 50*time.Millisecond {
			w.Errorf("beside one that waits: took %v", got)
		}
		if err := errors.Join(<-waiting, <-waiting); err != nil {
			w.Error(err)
		}
		// Many at once are one round.
		time.Sleep(2 * time.Second)
		w.in.Fault("*", resolvertest.Latency(20*time.Millisecond))
		w.in.ResetLog()
		done := make(chan error)
		for range 50 {
			go func() {
				_, err := w.r.AskServers(w.Context(), shop, "a.shop.example", dns.TypeTXT)
				done <- err
			}()
		}
		for range 50 {
			if err := <-done; err != nil {
				w.Error(err)
			}
		}
		w.count(1, resolvertest.Type(dns.TypeTXT))
	})
}

// TestWaitFor: the servers are asked with longer and longer pauses, until the last of them has the
// record; the callback sees each round.
func TestWaitFor(t *testing.T) {
	const text = `
-- zone example. at 198.51.100.1 --
-- zone shop.example. at 198.51.100.3 198.51.100.4 --
-- fault 198.51.100.4 --
when type TXT first 4: replace NXDOMAIN
`
	inWorld(t, text, func(w *world) {
		z := w.zoneOf("_acme-challenge.shop.example", resolver.FindZoneOptions{})
		w.update(strings.Replace(text, "-- fault", "_acme-challenge TXT token\n-- fault", 1))
		begun := time.Now()
		var at []time.Duration
		answers, err := w.r.WaitFor(w.Context(), z, "_acme-challenge.shop.example", dns.TypeTXT, func(a *resolver.ServerAnswers) bool {
			at = append(at, time.Since(begun))
			return a.Every(func(s *resolver.ServerAnswer) bool { return s.HasTXT("token") })
		})
		if err != nil || !answers.Agree() {
			w.Fatal(answers, err)
		}
		if want := []time.Duration{0, 2 * time.Second, 6 * time.Second, 14 * time.Second, 30 * time.Second}; !slices.Equal(at, want) {
			w.Errorf("asked at %v, want %v", at, want)
		}
	})
}

// TestWaitForEnds: with the context, at once, and after an hour without one; also when the resolver is
// closed, and when nothing can be asked at all.
func TestWaitForEnds(t *testing.T) {
	const text = "\n-- zone example. at 198.51.100.1 --\n-- zone shop.example. at 198.51.100.3 --\n"
	never := func(*resolver.ServerAnswers) bool { return false }
	wait := func(w *world, ctx context.Context, name string) (*resolver.ServerAnswers, time.Duration, error) {
		z, begun := w.zoneOf("shop.example", resolver.FindZoneOptions{}), time.Now()
		answers, err := w.r.WaitFor(ctx, z, name, dns.TypeTXT, never)
		return answers, time.Since(begun), err
	}
	inWorld(t, text, func(w *world) {
		ctx, cancel := context.WithTimeout(w.Context(), 5*time.Second)
		defer cancel()
		answers, took, err := wait(w, ctx, "x.shop.example")
		var told *resolver.Error
		if answers == nil || !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &told) || took != 5*time.Second {
			w.Errorf("with a deadline: %v, %v after %v", answers, err, took)
		}
		if text := resolver.Explain(err); !strings.Contains(text, "the wait for a change ended") || resolver.Reason(err) != resolver.FailureTimeout {
			w.Errorf("with a deadline: %v: %q", resolver.Reason(err), text)
		}
	})
	inWorld(t, text, func(w *world) {
		answers, took, err := wait(w, w.Context(), "x.shop.example")
		if answers == nil || !errors.Is(err, context.DeadlineExceeded) || took != time.Hour {
			w.Errorf("without end: %v, %v after %v", answers, err, took)
		}
		if n := w.in.Count(resolvertest.Type(dns.TypeTXT)); n > 125 {
			w.Errorf("%d queries in an hour", n)
		}
	})
	inWorld(t, text, func(w *world) {
		time.AfterFunc(3*time.Second, func() { w.r.Close() })
		if _, _, err := wait(w, w.Context(), "x.shop.example"); !errors.Is(err, resolver.ErrClosed) {
			w.Errorf("closed: %v", err)
		}
	})
	inWorld(t, text, func(w *world) {
		if answers, _, err := wait(w, w.Context(), "x.other.example"); answers != nil || !errors.Is(err, resolver.ErrOutsideZone) {
			w.Errorf("outside: %v, %v", answers, err)
		}
	})
}

// TestAskServersCancelled: the call returns when its context ends, and leaves nothing behind.
func TestAskServersCancelled(t *testing.T) {
	inWorld(t, "\n-- zone example. at 198.51.100.1 --\n-- zone shop.example. at 198.51.100.3 198.51.100.4 --\n", func(w *world) {
		z := w.zoneOf("shop.example", resolver.FindZoneOptions{})
		w.in.Fault("shop.example.", resolvertest.Drop())
		ctx, cancel := context.WithCancel(w.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		begun := time.Now()
		_, err := w.r.AskServers(ctx, z, "x.shop.example", dns.TypeTXT)
		if !errors.Is(err, context.Canceled) || time.Since(begun) != 100*time.Millisecond {
			w.Errorf("got %v after %v", err, time.Since(begun))
		}
		w.wantNobodyWorking()
	})
}

// TestAskServersOfRoute: within a route the servers asked are the route's. The public zone above knows
// nothing of what it has.
func TestAskServersOfRoute(t *testing.T) {
	for _, route := range []string{"shop.example=198.51.100.9,stub", "shop.example=198.51.100.9", "example=198.51.100.9", "shop.example=ns.host.test,stub"} {
		inWorld(t, `
-- zone example. at 198.51.100.1 --
-- zone host.test. at 198.51.100.2 --
ns A 198.51.100.9
-- zone shop.example. at 198.51.100.9 undelegated --
txt TXT inner
`, func(w *world) {
			rt, err := resolver.ParseRoute(route)
			if err != nil {
				w.Fatal(err)
			}
			if err := w.r.SetRoutes([]resolver.Route{rt}); err != nil {
				w.Fatal(err)
			}
			w.in.Fault("198.51.100.9", resolvertest.Flag("ra", true))
			z := w.zoneOf("txt.shop.example", resolver.FindZoneOptions{})
			answers := w.askServers(z, "txt.shop.example", dns.TypeTXT)
			if rt.Servers[0].Name != "" { // once more, when its address is known
				answers = w.askServers(z, "txt.shop.example", dns.TypeTXT)
			}
			if z.Apex != "shop.example." || len(answers.Servers) != 1 || !answers.Servers[0].HasTXT("inner") {
				w.Errorf("%s: %s, %q", route, zoneText(z), serverTexts(answers))
			}
		}, ipv4Only)
	}
}

// TestNSIDRefused: a server that takes EDNS but no option is asked without any, and is not taken for
// one without EDNS.
func TestNSIDRefused(t *testing.T) {
	inWorld(t, "\n-- zone example. at 198.51.100.1 signed --\n-- zone shop.example. at 198.51.100.3 signed --\ntxt TXT token\n", func(w *world) {
		z := w.zoneOf("txt.shop.example", resolver.FindZoneOptions{})
		w.in.Fault("198.51.100.3", resolvertest.Hook(func(query, reply *dns.Msg) {
			if opt := query.IsEdns0(); opt != nil && len(opt.Option) > 0 {
				*reply = *new(dns.Msg).SetRcode(query, dns.RcodeFormatError)
			}
		}))
		for range 2 {
			answers := w.askServers(z, "txt.shop.example", dns.TypeTXT)
			w.wantServers(answers, `198.51.100.3 ns1.shop.example. parent zone glue own aa udp answer NOERROR TXT "token" serial 1`)
		}
	})
}
