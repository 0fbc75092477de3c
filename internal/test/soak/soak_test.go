package main

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// result makes an answer.
func result(t *testing.T, rcode int, status dnssec.Status, records ...string) *resolver.Result {
	t.Helper()
	r := &resolver.Result{Rcode: rcode, Status: status}
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		r.Answer = append(r.Answer, rr)
	}
	return r
}

func TestJudge(t *testing.T) {
	good, hostile := kind{name: "good"}, kind{name: "hostile", hostile: true}
	www := address("www.hot.example.", "192.0.2.1", true)
	plain := address("www.plain.example.", "192.0.2.1", false)
	failed := errors.New("failed")
	for name, tt := range map[string]struct {
		q      question
		k      kind
		result *resolver.Result
		err    error
		want   string // of the verdict; "": right
	}{
		"right":              {www, good, result(t, 0, dnssec.Secure, "WWW.hot.example. 5 A 192.0.2.1"), nil, ""},
		"another address":    {www, good, result(t, 0, dnssec.Secure, "www.hot.example. A 203.0.113.66"), nil, "203.0.113.66"},
		"one more":           {www, good, result(t, 0, dnssec.Secure, "www.hot.example. A 192.0.2.1", "www.hot.example. A 203.0.113.66"), nil, "203.0.113.66"},
		"none":               {www, good, result(t, 0, dnssec.Secure), nil, "got NOERROR"},
		"NXDOMAIN":           {www, good, result(t, dns.RcodeNameError, dnssec.Secure), nil, "got NXDOMAIN"},
		"not secure":         {www, good, result(t, 0, dnssec.Insecure, "www.hot.example. A 192.0.2.1"), nil, "want secure: true"},
		"secure of unsigned": {plain, good, result(t, 0, dnssec.Secure, "www.plain.example. A 192.0.2.1"), nil, "want secure: false"},
		"no answer":          {www, good, nil, failed, "no answer"},
		"hostile, no answer": {www, hostile, nil, failed, ""},
		"hostile, wrong":     {plain, hostile, result(t, 0, dnssec.Insecure, "www.plain.example. A 203.0.113.66"), nil, "203.0.113.66"},
		"hostile, never":     {question{name: "x.", never: true}, hostile, result(t, 0, dnssec.Insecure), nil, "want an error"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tt.q.judge(tt.k, tt.result, tt.err)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v, want none", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want one with %q", err, tt.want)
			case errors.Is(err, errUnanswered) != (name == "no answer"):
				t.Errorf("%v: want errUnanswered for no answer only", err)
			}
		})
	}
}

// The zones are what the questions take them for: a resolver that is asked in memory, one
// question of each kind after the other, makes no fault.
func TestWorld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, worldText())
		in.Fault("keytrap.example.", resolvertest.Hook(keyTrap))
		in.Fault("poison.example.", resolvertest.Hook(poison))
		r := in.Resolver(t)
		random := rand.New(rand.NewPCG(1, 1))
		for _, k := range kinds() {
			for range 3 {
				q := k.draw(random)
				result, err := r.Resolve(t.Context(), q.name, q.qtype)
				if err := q.judge(k, result, err); err != nil {
					t.Errorf("%s: %v", k.name, err)
				}
			}
		}
	})
}

// Hostile questions come as often as asked for, and all kinds come.
func TestDrawKind(t *testing.T) {
	s := &run{config: config{hostile: 10}, kinds: kinds()}
	random := rand.New(rand.NewPCG(1, 1))
	const draws = 100_000
	counts, hostile := make([]int, len(s.kinds)), 0
	for range draws {
		k := s.drawKind(random)
		counts[k]++
		if s.kinds[k].hostile {
			hostile++
		}
	}
	if hostile < draws*9/100 || hostile > draws*11/100 {
		t.Errorf("got %d hostile ones of %d, want a tenth", hostile, draws)
	}
	for i, n := range counts {
		if n == 0 {
			t.Errorf("%s was never drawn", s.kinds[i].name)
		}
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	if got := h.quantile(0.5); got != 0 {
		t.Errorf("of none: got %v, want 0", got)
	}
	for i := 1; i <= 1000; i++ {
		h.add(time.Duration(i) * time.Microsecond)
	}
	h.add(-time.Second) // a clock that was set back
	h.add(time.Duration(1<<63 - 1))
	for part, want := range map[float64]time.Duration{0.5: 500 * time.Microsecond, 0.99: 990 * time.Microsecond} {
		if got := h.quantile(part); got < want*15/16-time.Microsecond || got > want+time.Microsecond {
			t.Errorf("quantile %v: got %v, want %v or up to a sixteenth less", part, got, want)
		}
	}
	last := time.Duration(-1)
	for n := uint64(0); n < 1<<20; n += 7 {
		low := lowest(bucket(n))
		if low > time.Duration(n) || low < last || float64(low) < float64(n)*15/16-1 {
			t.Fatalf("%d is in the bucket that begins with %d", n, low)
		}
		last = low
	}
}

// A bound that is exceeded is a fault.
func TestReportFaults(t *testing.T) {
	right := func() *report {
		return &report{
			config: config{cache: 1 << 20}, before: usage{1 << 20, 10, 10}, after: usage{5 << 20, 10, 10},
			phases: []phaseReport{{questions: 1000, usage: usage{5 << 20, 20, 20}}},
			kinds: []kindReport{
				{name: "good", asked: 1000, answered: 995, failed: 5, unanswered: 5},
				{name: "hostile", hostile: true, asked: 100, failed: 100},
			},
		}
	}
	for name, spoil := range map[string]func(*report){
		"":                 func(*report) {},
		"wrong":            func(r *report) { r.kinds[0].wrong = 1 },
		"wrong of hostile": func(r *report) { r.kinds[1].wrong = 1 },
		"unanswered":       func(r *report) { r.kinds[0].unanswered = 50 },
		"nothing answered": func(r *report) { r.kinds = nil },
		"heap":             func(r *report) { r.phases[0].usage.heap = 8 << 20 },
		"heap after Close": func(r *report) { r.after.heap = r.before.heap + heapRest + 1 },
		"goroutines":       func(r *report) { r.after.goroutines++ },
		"descriptors":      func(r *report) { r.after.files++ },
	} {
		r := right()
		spoil(r)
		if got := r.faults(); (len(got) > 0) != (name != "") {
			t.Errorf("%q: got faults %q", name, got)
		}
		if text := r.String(); !strings.Contains(text, "wrong answers") {
			t.Errorf("%q: got the report\n%s", name, text)
		}
	}
}
