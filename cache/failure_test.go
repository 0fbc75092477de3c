package cache

import (
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// A question that keeps failing is left alone for 5 s, doubling to 300 s.
func TestFailureBackoff(t *testing.T) {
	v, n, now := newView(Options{}), name("dead.example.com"), start
	for count, seconds := range []int{5, 10, 20, 40, 80, 160, 300, 300, 300} {
		want := Failure{Cause: dns.ExtendedErrorCodeNoReachableAuthority, Text: "all dead", Count: count + 1,
			Until: now.Add(time.Duration(seconds) * time.Second)}
		if got := v.PutFailure(now, n, dns.TypeA, Checked, want.Cause, want.Text); got != want {
			t.Fatalf("PutFailure %d = %+v, want %+v", count+1, got, want)
		}
		if got := v.PutFailure(now.Add(time.Second), n, dns.TypeA, Checked, 1, "again"); !got.Until.Equal(want.Until) || got.Count != want.Count {
			t.Errorf("a report while failing = %+v, want %+v unchanged", got, want)
		}
		if got, ok := v.GetFailure(want.Until.Add(-time.Millisecond), n, dns.TypeA, Checked); !ok || got.Cause != want.Cause || got.Text != want.Text {
			t.Errorf("GetFailure just before its end = %+v, %v; want %+v", got, ok, want)
		}
		now = want.Until
		if got, ok := v.GetFailure(now, n, dns.TypeA, Checked); ok {
			t.Errorf("GetFailure at its end = %+v, want nothing", got)
		}
	}
	if got := v.PutFailure(now.Add(maxFailure), n, dns.TypeA, Checked, 22, ""); got.Count != 1 {
		t.Errorf("failure long after the last = %+v, want a first one", got)
	}
}

func TestFailureEnds(t *testing.T) {
	n := name("www.example.com")
	for about, success := range map[string]func(v *View){
		"answer": func(v *View) { v.Put(start, addressSet(n, 60, anyAddr), answer) },
		"denial": func(v *View) {
			v.PutNegative(start, Negative{Name: n, Type: dns.TypeA, SOA: soa(t, "example.com", 60, 60)}, Meta{})
		},
		"clear": func(v *View) { v.ClearFailure(n, dns.TypeA, Checked) },
	} {
		v := newView(Options{})
		v.PutFailure(start, n, dns.TypeA, Checked, 22, "")
		v.PutFailure(start, n, dns.TypeMX, Checked, 22, "")
		v.PutFailure(start, n, dns.TypeA, Unchecked, 22, "")
		success(v)
		if got, ok := v.GetFailure(start, n, dns.TypeA, Checked); ok {
			t.Errorf("%s: still failing: %+v", about, got)
		}
		if _, ok := v.GetFailure(start, n, dns.TypeMX, Checked); !ok {
			t.Errorf("%s: the failure of another type ended too", about)
		}
		if _, ok := v.GetFailure(start, n, dns.TypeA, Unchecked); !ok {
			t.Errorf("%s: the failure of the other class of trust ended too", about)
		}
		if got := v.PutFailure(start, n, dns.TypeA, Checked, 22, ""); got.Count != 1 {
			t.Errorf("%s: failing again counts %d, want 1", about, got.Count)
		}
	}
}

func TestFailureTextIsBounded(t *testing.T) {
	v := newView(Options{})
	if got := v.PutFailure(start, name("a.example"), dns.TypeA, Checked, 0, strings.Repeat("x", 5000)); len(got.Text) != maxFailureText {
		t.Errorf("text of %d bytes kept, want %d", len(got.Text), maxFailureText)
	}
}
