package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	roothints "github.com/iterdns/iterdns/rootHints"
)

// inMemory asks the world without a network.
type inMemory struct {
	w  *world
	at map[netip.Addr]place
}

func (x inMemory) Exchange(ctx context.Context, _ string, server netip.AddrPort, query []byte) ([]byte, error) {
	p, ok := x.at[server.Addr()]
	if !ok || p.level == hosterLevel && isDead(p.number) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	m := new(dns.Msg)
	if err := m.Unpack(query); err != nil {
		return nil, err
	}
	return x.w.reply(p, m).Pack()
}

// TestWorld: what the world says is what it is meant to say, and validates where it is signed.
func TestWorld(t *testing.T) {
	s, err := newSigner()
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []*world{{}, {signer: s}} {
		at := make(map[netip.Addr]place)
		for _, p := range places() {
			at[p.addr] = p
		}
		h, err := roothints.Parse(strings.NewReader(hints()))
		if err != nil {
			t.Fatal(err)
		}
		o := resolver.Options{
			RootHints: h, Exchanger: inMemory{w, at}, AllowServer: func(netip.Addr) bool { return true }, Family: resolver.FamilyIPv4Only,
			Validation: resolver.ValidateOff,
		}
		if w.signer != nil {
			o.Validation = resolver.Validate
			if o.TrustAnchors, err = dnssec.ParseAnchors(strings.NewReader((&servers{world: w}).anchor())); err != nil {
				t.Fatal(err)
			}
		}
		r, err := resolver.New(o)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 60 {
			if of := hostersOf(n); isDead(of[0]) || isDead(of[1]) {
				continue // silence takes time
			}
			result, err := r.Resolve(t.Context(), nameOf(n), dns.TypeA)
			if err != nil {
				t.Errorf("%s: %v", nameOf(n), err)
				continue
			}
			status := dnssec.Indeterminate
			switch {
			case w.signer != nil && (isSignedZone(n) || kindOf(n) == isMissing):
				status = dnssec.Secure
			case w.signer != nil:
				status = dnssec.Insecure
			}
			answers := slices.ContainsFunc(result.Answer, func(rr dns.RR) bool {
				a, ok := rr.(*dns.A)
				return ok && a.A.String() == addressOf(n).String()
			})
			if result.Status != status || answers != (kindOf(n) == hasAddress) || (result.Rcode == dns.RcodeNameError) != (kindOf(n) == isMissing) {
				t.Errorf("%s: got %v, %v, want kind %d, %v", nameOf(n), dns.RcodeToString[result.Rcode], result.Status, kindOf(n), status)
			}
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestNumberOf(t *testing.T) {
	for n := range 50 {
		for _, name := range []string{nameOf(n), "ns1." + nameOf(n)} {
			if got, ok := numberOf(name); !ok || got != n {
				t.Errorf("%s: got %d, %t, want %d", name, got, ok, n)
			}
		}
	}
	for _, name := range []string{".", "t1.", "d1.t2.", "d01.t1.", "d-1.t1.", "x1.t1.", "d1.t100."} {
		if n, ok := numberOf(name); ok {
			t.Errorf("%s: got %d, want none", name, n)
		}
	}
}

// TestPlaces: all servers have addresses of their own in 127.0.0.0/8, and of each fifty hosters one is
// dead.
func TestPlaces(t *testing.T) {
	seen, dead := make(map[netip.Addr]bool), 0
	for _, p := range places() {
		if seen[p.addr] || !p.addr.IsLoopback() {
			t.Errorf("%v: not an address of its own", p.addr)
		}
		seen[p.addr] = true
		if p.level == hosterLevel && isDead(p.number) {
			dead++
		}
	}
	if dead*deadOneIn != hosters {
		t.Errorf("got %d dead hosters of %d", dead, hosters)
	}
}

func TestReadReplies(t *testing.T) {
	m := &measured{names: 20}
	var text strings.Builder
	for n := range 20 {
		rcode := "NOERROR"
		if n == 3 {
			rcode = "SERVFAIL"
		}
		if kindOf(n) == isMissing {
			rcode = "NXDOMAIN"
		}
		fmt.Fprintf(&text, "> %s %s A 0.012\n", rcode, nameOf(n))
	}
	var ended atomic.Int64
	m.readReplies(strings.NewReader("[Status] Sending queries\n"+text.String()), time.Now(), &ended)
	if m.succeeded != 19 || m.most == 0 || ended.Load() != 20 {
		t.Errorf("got %d right answers, and 99 of 100 after %v, want 19", m.succeeded, m.most)
	}
}

func TestSuitsBetter(t *testing.T) {
	run := func(right int, most time.Duration) *measured {
		return &measured{answerable: 1000, succeeded: right, most: most}
	}
	for _, test := range []struct {
		a, b *measured
		want bool
	}{
		{run(999, time.Second), run(998, 2*time.Second), true},
		{run(998, time.Second), run(999, 2*time.Second), true},
		{run(640, time.Second), run(999, 2*time.Second), false},
		{run(999, 2*time.Second), run(640, time.Second), true},
		{run(999, 0), run(999, time.Second), false},
	} {
		if got := test.a.suitsBetter(test.b); got != test.want {
			t.Errorf("%+v, %+v: got %t, want %t", test.a, test.b, got, test.want)
		}
	}
}

// TestTable: the ratios are those to the run below, in all and without lines and start-up.
func TestTable(t *testing.T) {
	rows := []*measured{
		{program: bulkName, names: 1000, took: time.Second, cpu: 200 * time.Millisecond, lines: lineCost{10 * time.Millisecond, 40 * time.Microsecond}, succeeded: 999, answerable: 1000, queries: 2000, memory: 1 << 20, descriptors: 5},
		{program: "Unbound, 100", names: 1000, took: time.Second, cpu: 100 * time.Millisecond, answerable: 1000},
		{program: bulkName, dnssec: true, names: 1000, took: time.Second, cpu: time.Second, answerable: 1000},
	}
	lines := strings.Split(table(1000, rows), "\n")
	for i, want := range []string{
		"bulk off 1000 - 200 2.00 150 1.50 99.900 % 2.00 1.0 5",
		"Unbound, 100 off 1000 - 100 - 100 - 0.000 % 0.00 0.0 0",
		"bulk on 1000 - 1000 - 1000 - 0.000 % 0.00 0.0 0",
		"bulk, DNSSEC off: start-up 10ms, and 40.0 us for each line",
	} {
		if got := strings.Join(strings.Fields(lines[3+i]), " "); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
