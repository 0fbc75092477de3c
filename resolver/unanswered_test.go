package resolver_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
)

// silentWorld has a zone with one server, a zone whose only name server has its name there, and a
// signed one.
const silentWorld = `
-- zone slow.example. at 198.51.100.3 --
www   A  192.0.2.1
ns    A  198.51.100.3
-- zone far.example. at 198.51.100.4 --
@     NS ns.slow.example.
www   A  192.0.2.1
-- zone key.example. at 198.51.100.5 signed --
www   A  192.0.2.1
-- zone two.example. at 198.51.100.6 198.51.100.7 --
www   A  192.0.2.1
`

// TestUnanswered: the error of a question that is ended before there is an answer names the zone
// that was being asked and the servers that had not replied, however it was ended.
func TestUnanswered(t *testing.T) {
	const third = 300 * time.Millisecond
	type end int
	const (
		deadline end = iota // of the caller
		cancel              // by the caller
		cause               // by the caller, who says why
		limit               // Limits.Time
		joined              // the deadline of a caller that has joined another one
		late                // the Limits.Time of one that has, with another one's work
	)
	why := errors.New("the user pressed a key")
	for _, test := range []struct {
		about, fault, host string
		how                end
		after              time.Duration
		zone, want         string // the text from the zone to the cause
		is                 error
	}{
		{"silence", "-- fault slow.example. --\ndead\n", "www.slow.example.", deadline, third,
			"slow.example.", "no reply yet from 198.51.100.3:53 (1 of 1 server asked): context deadline exceeded", context.DeadlineExceeded},
		{"before the reply is late", "-- fault slow.example. --\ndead\n", "www.slow.example.", deadline, 25 * time.Millisecond,
			"slow.example.", "no reply yet from 198.51.100.3:53 (1 of 1 server asked): context deadline exceeded", context.DeadlineExceeded},
		{"cancelled", "-- fault slow.example. --\ndead\n", "www.slow.example.", cancel, third,
			"slow.example.", "no reply yet from 198.51.100.3:53 (1 of 1 server asked): context canceled", context.Canceled},
		{"cancelled with a cause", "-- fault slow.example. --\ndead\n", "www.slow.example.", cause, third,
			"slow.example.", "no reply yet from 198.51.100.3:53 (1 of 1 server asked): the user pressed a key", why},
		{"limit", "-- fault slow.example. --\ndead\n", "www.slow.example.", limit, third,
			"slow.example.", "no reply yet from 198.51.100.3:53 (1 of 1 server asked): limit Time (300ms) reached", nil},
		{"joined", "-- fault slow.example. --\ndead\n", "www.slow.example.", joined, third,
			"slow.example.", "no reply yet from 198.51.100.3:53 (1 of 1 server asked): context deadline exceeded", context.DeadlineExceeded},
		{"joined, limit", "-- fault slow.example. --\ndead\n", "www.slow.example.", late, third,
			"slow.example.", "no reply yet from 198.51.100.3:53 (1 of 1 server asked): limit Time (300ms) reached", nil},
		{"address of a name server", "-- fault slow.example. --\ndead\n", "www.far.example.", deadline, third,
			"slow.example.", "no reply yet from 198.51.100.3:53 for ns.slow.example. A (1 of 1 server asked): context deadline exceeded", context.DeadlineExceeded},
		{"address of a name server, limit", "-- fault slow.example. --\ndead\n", "www.far.example.", limit, third,
			"slow.example.", "no reply yet from 198.51.100.3:53 for ns.slow.example. A (1 of 1 server asked): limit Time (300ms) reached", nil},
		{"keys", "-- fault key.example. --\nwhen type DNSKEY: dead\n", "www.key.example.", deadline, third,
			"key.example.", "no reply yet from 198.51.100.5:53 for key.example. DNSKEY (1 of 1 server asked", context.DeadlineExceeded},
		{"others failed", "-- fault 198.51.100.6 --\ndead\n-- fault 198.51.100.7 --\nrcode REFUSED\n", "www.two.example.", deadline, third,
			"two.example.", "no reply yet from 198.51.100.6:53 (2 of 2 servers asked; 198.51.100.7: does not serve the zone (REFUSED))", context.DeadlineExceeded},
		{"root", "-- fault . --\ndead\n", "www.slow.example.", deadline, 50 * time.Millisecond,
			".", "no reply yet from ", context.DeadlineExceeded},
	} {
		t.Run(test.about, func(t *testing.T) {
			bounded := func(o *resolver.Options) {
				if test.how == limit || test.how == late {
					o.Limits.Time = test.after
				}
			}
			play := func(w *world) {
				ctx, end := context.WithCancelCause(w.Context())
				defer end(nil)
				switch test.how {
				case deadline, joined:
					var stop context.CancelFunc
					ctx, stop = context.WithTimeout(ctx, test.after)
					defer stop()
				case cancel:
					time.AfterFunc(test.after, func() { end(nil) })
				case cause:
					time.AfterFunc(test.after, func() { end(why) })
				case limit, late:
				}
				if test.how == joined || test.how == late {
					go w.r.Resolve(w.Context(), test.host, dns.TypeA)
					synctest.Wait()
				}
				begun := time.Now()
				_, err := w.r.Resolve(ctx, test.host, dns.TypeA)
				if took := time.Since(begun); took != test.after {
					t.Errorf("took %v, want %v", took, test.after)
				}
				var e *resolver.Error
				text := "resolve " + test.host + " A: zone " + test.zone + ": " + test.want
				if !errors.As(err, &e) || e.Zone != test.zone || len(e.Servers) == 0 || !strings.HasPrefix(err.Error(), text) {
					t.Fatalf("got\n\t%v\nwant\n\t%s", err, text)
				}
				if strings.Count(err.Error(), e.Servers[0].String()) > 1 {
					t.Errorf("got %v, which names a server twice", err)
				}
				reached := new(resolver.LimitError)
				if test.is != nil && !errors.Is(err, test.is) || test.is == nil && (!errors.As(err, &reached) || reached.Limit != "Time") {
					t.Errorf("got %#v, want %v", e.Err, test.is)
				}
				pending, _, _ := strings.Cut(test.want, " (")
				if got := resolver.Explain(err); !strings.Contains(got, ". It ended in the zone "+test.zone+": "+pending) {
					t.Errorf("explained as %q", got)
				}
			}
			for range 8 { // what the end meets first differs
				inWorld(t, silentWorld+test.fault, play, ipv4Only, bounded)
			}
		})
	}
}

// TestUnansweredByNet: so do the methods of package net, behind its own words.
func TestUnansweredByNet(t *testing.T) {
	const want = ": zone slow.example.: no reply yet from 198.51.100.3:53 (1 of 1 server asked)"
	inWorld(t, silentWorld+"-- fault slow.example. --\ndead\n", func(w *world) {
		for _, test := range []struct {
			text string
			with func(context.Context) (context.Context, context.CancelFunc)
			is   error
		}{
			{"i/o timeout", func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, 50*time.Millisecond)
			}, context.DeadlineExceeded},
			{"operation was canceled", func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(50*time.Millisecond, cancel)
				return ctx, cancel
			}, context.Canceled},
		} {
			for name, call := range map[string]func(context.Context) error{
				"LookupHost": func(ctx context.Context) error { _, err := w.r.LookupHost(ctx, "www.slow.example"); return err },
				"LookupMX":   func(ctx context.Context) error { _, err := w.r.LookupMX(ctx, "www.slow.example"); return err },
				"DialContext": func(ctx context.Context) error {
					_, err := w.r.DialContext(ctx, "tcp", "www.slow.example:25")
					return err
				},
			} {
				ctx, cancel := test.with(w.Context())
				err := call(ctx)
				cancel()
				var e *net.DNSError
				if !errors.As(err, &e) || e.Err != test.text+want || e.Server != "198.51.100.3:53" || !errors.Is(err, test.is) {
					t.Errorf("%s: got %v, want %s", name, err, test.text+want)
				}
				time.Sleep(time.Minute) // nothing is marked down or remembered
			}
		}
	}, ipv4Only)
}
