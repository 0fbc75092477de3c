package resolver_test

import (
	"cmp"
	"context"
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

// world is an Internet in memory and a resolver that uses it, in a bubble of virtual time.
type world struct {
	*testing.T
	in *resolvertest.Internet
	r  *resolver.Resolver
}

// inWorld plays in a world made of a text as resolvertest.New takes it.
func inWorld(t *testing.T, text string, play func(w *world), change ...func(*resolver.Options)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, text)
		play(&world{t, in, in.Resolver(t, change...)})
		if t.Failed() {
			t.Logf("queries since the last question began:\n%s", resolvertest.Table(in.Log()))
		}
	})
}

// ipv4Only, as a change of Options, keeps a test to one family where the other would
// only double the number of addresses.
func ipv4Only(o *resolver.Options) { o.Family = resolver.FamilyIPv4Only }

// minimiseOff makes every zone see the full question.
func minimiseOff(o *resolver.Options) { o.Minimise = resolver.MinimiseOff }

// notPriming picks the queries that are not the root's own (RFC 9609).
func notPriming(q resolvertest.Query) bool { return q.Name != "." || q.Type != dns.TypeNS }

// asked is the outcome of one question.
type asked struct {
	*resolver.Result
	err   error
	took  time.Duration
	sends int // until the answer was there, priming apart
}

// ask puts a question, with an empty log before it.
func (w *world) ask(name string, qtype uint16) asked {
	w.Helper()
	return w.askWith(w.Context(), name, qtype)
}

func (w *world) askWith(ctx context.Context, name string, qtype uint16) asked {
	w.in.ResetLog()
	start := time.Now()
	result, err := w.r.Resolve(ctx, name, qtype)
	return asked{result, err, time.Since(start), w.in.Count(notPriming)}
}

// want asks, and compares RCODE and records with lines like
// "www.shop.example. A 192.0.2.80".
func (w *world) want(name string, qtype uint16, rcode int, records ...string) asked {
	w.Helper()
	o := w.ask(name, qtype)
	o.check(w, name, rcode, records...)
	return o
}

func (o asked) check(w *world, name string, rcode int, records ...string) {
	w.Helper()
	if o.err != nil {
		w.Errorf("%s: got error %v, want %s %q", name, o.err, dns.RcodeToString[rcode], records)
		return
	}
	if got := brief(o.Answer); o.Rcode != rcode || !slices.Equal(got, records) {
		w.Errorf("%s: got %s %q, want %s %q", name, dns.RcodeToString[o.Rcode], got, dns.RcodeToString[rcode], records)
	}
}

// wantError asks for a question to fail with this cause.
func (w *world) wantError(name string, qtype uint16, cause error) asked {
	w.Helper()
	o := w.ask(name, qtype)
	if !errors.Is(o.err, cause) {
		w.Errorf("%s: got %s, want error %q", name, o, cause)
	}
	return o
}

// wantLimit asks for a question to fail by this field of Limits.
func (w *world) wantLimit(name string, qtype uint16, field string) asked {
	w.Helper()
	o := w.ask(name, qtype)
	var limit *resolver.LimitError
	if !errors.As(o.err, &limit) || limit.Limit != field {
		w.Errorf("%s: got %s, want the limit %s", name, o, field)
	}
	return o
}

func (o asked) String() string {
	if o.err != nil {
		return "error " + o.err.Error()
	}
	return fmt.Sprintf("%s %q", dns.RcodeToString[o.Rcode], brief(o.Answer))
}

// atMost and within bound what a question cost.
func (o asked) atMost(w *world, sends int) asked {
	w.Helper()
	if o.sends > sends {
		w.Errorf("got %d sends, want at most %d:\n%s", o.sends, sends, resolvertest.Table(w.in.Log(notPriming)))
	}
	return o
}

func (o asked) within(w *world, d time.Duration) asked {
	w.Helper()
	if o.took > d {
		w.Errorf("took %v, want at most %v:\n%s", o.took, d, resolvertest.Table(w.in.Log()))
	}
	return o
}

// count compares the number of logged queries that pass all filters.
func (w *world) count(want int, filters ...resolvertest.Filter) {
	w.Helper()
	if got := w.in.Count(filters...); got != want {
		w.Errorf("got %d queries, want %d:\n%s", got, want, resolvertest.Table(w.in.Log()))
	}
}

// brief writes records as owner, type and data, owners in lower case, the records of
// each RRset in one order.
func brief(rrs []dns.RR) []string {
	var lines []string
	for _, rr := range rrs {
		// The header of a type that miekg/dns does not know is written differently.
		const owner, data = 0, 4
		fields := strings.SplitN(rr.String(), "\t", data+1)
		lines = append(lines, strings.ToLower(fields[owner])+" "+dns.Type(rr.Header().Rrtype).String()+" "+fields[data])
	}
	for start := 0; start < len(lines); {
		end := start + 1
		for end < len(lines) && sameSet(lines[start], lines[end]) {
			end++
		}
		slices.SortFunc(lines[start:end], cmp.Compare)
		start = end
	}
	return lines
}

func sameSet(a, b string) bool {
	x, y := strings.Fields(a), strings.Fields(b)
	return x[0] == y[0] && x[1] == y[1]
}

// settle waits until everything that is still under way has ended.
func (w *world) settle() { time.Sleep(15 * time.Second) }

// contextWithin returns a context of the world's that ends after d.
func contextWithin(w *world, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(w.Context(), d)
}
