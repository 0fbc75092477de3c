package caa_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/caa"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// manyRecords are n CAA records at an owner, the last of which is for ca.example.
func manyRecords(owner string, n, size int) string {
	var b strings.Builder
	for i := range n {
		value := fmt.Sprintf("ca.example; pad=%0*d", size, i)
		if i < n-1 {
			value = fmt.Sprintf("other%d.example; pad=%0*d", i, size, i)
		}
		fmt.Fprintf(&b, "%s CAA 0 issue \"%s\"\n", owner, value)
	}
	return b.String()
}

// A set of 250 records, and one that fills a message of 64 KiB, are judged and stored; one record
// more than the resolver takes is a failure of ours, not a permission.
func TestLargeSets(t *testing.T) {
	const most = 256 // resolver.Limits.Records
	for _, c := range []struct {
		records, size int
		want          caa.Outcome
	}{{250, 10, caa.Permitted}, {most, 200, caa.Permitted}, {most + 1, 10, caa.FailedHere}} {
		synctest.Test(t, func(t *testing.T) {
			in := resolvertest.New(t, "-- zone shop.example. at 198.51.100.3 signed --\n"+manyRecords("@", c.records, c.size))
			v := check(t, in, in.Resolver(t), "www.shop.example", request)
			if v.Outcome != c.want || c.want == caa.Permitted && (len(v.Properties) != c.records || v.Relevant != "shop.example.") {
				t.Errorf("%d records: got %v, %d properties", c.records, v, len(v.Properties))
			}
			var limit *resolver.LimitError
			if c.want == caa.FailedHere && !errors.As(v.Err, &limit) {
				t.Errorf("%d records: got %v", c.records, v.Err)
			}
		})
	}
}

// The longest names: 127 labels are climbed, below a name that does not exist for a handful of
// queries, and not at all for ever where each label costs its time.
func TestLongestName(t *testing.T) {
	name := strings.Repeat("a.", 120) + "shop.example" // 122 labels
	long := strings.Repeat("a.", 125) + "b.c"
	synctest.Test(t, func(t *testing.T) {
		in := newWorld(t, "")
		v := check(t, in, in.Resolver(t), name, request)
		if v.Outcome != caa.Permitted || len(v.Lookups) != 122 || in.Count() > 60 {
			t.Errorf("got %v by %d look-ups and %d queries", v, len(v.Lookups), in.Count())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, "-- zone c. --\n@ A 192.0.2.1\n-- zone signed. signed --\n@ A 192.0.2.1\n")
		v := check(t, in, in.Resolver(t), long, request)
		if v.Outcome != caa.Permitted || len(v.Lookups) != 127 {
			t.Errorf("got %v by %d look-ups", v, len(v.Lookups))
		}
	})
	// Each name has a zone cut of its own whose servers never answer.
	synctest.Test(t, func(t *testing.T) {
		var zones strings.Builder
		origin := "trap.example."
		for i := range 20 {
			fmt.Fprintf(&zones, "-- zone %s at 198.51.100.%d --\n@ A 192.0.2.1\n-- fault %[1]s --\nwhen type CAA: drop\n", origin, 20+i)
			origin = "a." + origin
		}
		in := resolvertest.New(t, zones.String()+"-- zone signed.example. signed --\n@ A 192.0.2.1\n")
		v, err := caa.Check(t.Context(), in.Resolver(t), origin, request)
		if err != nil {
			t.Fatal(err)
		}
		if took := v.Ended.Sub(v.Started); v.Outcome != caa.FailedHere || took < caa.DefaultTime || took > caa.DefaultTime+time.Second || !v.IssueBefore.IsZero() {
			t.Errorf("got %v after %v", v, took)
		}
		if in.Count() > 1000 {
			t.Errorf("%d queries", in.Count())
		}
		// With more time the climb ends, and each name is proven to be unsigned.
		v, err = caa.Check(t.Context(), in.Resolver(t), origin, caa.Request{Issuers: request.Issuers, Time: -1})
		if err != nil || v.Outcome != caa.FailedUnsigned {
			t.Errorf("without a limit: got %v, %v", v, err)
		}
		if _, err := v.AppendEvidence(nil); err != nil {
			t.Error(err)
		}
	})
}

// Aliases at each label: loops and chains without end fail, within the resolver's limits; chains
// as long as those of content networks do not.
func TestAliasesAtEachLabel(t *testing.T) {
	chain := func(from string, n int, to string) string {
		var b strings.Builder
		for i := range n {
			next := fmt.Sprintf("%s-%d", from, i+1)
			if i == n-1 {
				next = to
			}
			owner := from
			if i > 0 {
				owner = fmt.Sprintf("%s-%d", from, i)
			}
			fmt.Fprintf(&b, "%s CNAME %s\n", owner, next)
		}
		return b.String()
	}
	text := "-- zone shop.example. at 198.51.100.3 signed --\n@ CAA 0 issue \"ca.example\"\nnone A 192.0.2.1\n" +
		chain("a.b", 6, "none") + chain("b", 6, "none") + "x.l CNAME y.l\ny.l CNAME x.l\nlong DNAME long.long\n" + chain("e.f", 40, "none")
	for _, c := range []struct {
		name string
		want caa.Outcome
		at   string
	}{
		{"a.b.shop.example", caa.Permitted, "shop.example."},
		{"x.l.shop.example", caa.FailedThere, ""},
		{"a.long.shop.example", caa.FailedHere, ""},
		{"e.f.shop.example", caa.FailedHere, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			in := resolvertest.New(t, text)
			v := check(t, in, in.Resolver(t), c.name, request)
			if v.Outcome != c.want || v.Relevant != c.at || in.Count() > 200 {
				t.Errorf("%s: got %v at %q by %d queries", c.name, v, v.Relevant, in.Count())
			}
		})
	}
}

// A name that a DNAME makes too long has neither records nor none.
func TestNameTooLongByDNAME(t *testing.T) {
	label := strings.Repeat("x", 60)
	synctest.Test(t, func(t *testing.T) {
		target := strings.Repeat(label+".", 3) + "plain.example."
		in := resolvertest.New(t, "-- zone shop.example. at 198.51.100.3 signed --\n@ CAA 0 issue \"ca.example\"\nd DNAME "+target+"\n")
		v := check(t, in, in.Resolver(t), label+"."+label+".d.shop.example", request)
		if v.Outcome != caa.FailedThere || !errors.Is(v.Err, caa.ErrRcode) || v.Lookups[0].Rcode != dns.RcodeYXDomain {
			t.Errorf("got %v, %v", v, v.Err)
		}
	})
}

// What a server forges in a signed zone at any level never permits, and what it leaves out neither.
func TestForgedAtEachLevel(t *testing.T) {
	const zone = "-- zone shop.example. at 198.51.100.3 signed --\n@ CAA 0 issue \"other.example\"\na.b.c A 192.0.2.1\n"
	for _, level := range []string{"a.b.c.shop.example.", "b.c.shop.example.", "c.shop.example.", "shop.example."} {
		for _, fault := range []string{
			"replace NOERROR " + level + " 300 IN CAA 0 issue \"ca.example\"",
			"add answer " + level + " 300 IN CAA 0 issue \"ca.example\"",
			"replace NXDOMAIN", "replace NOERROR", "replace SERVFAIL", "remove answer *", "remove authority *",
		} {
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, zone+"-- fault shop.example. --\nwhen name "+level+" type CAA: "+fault)
				v, err := caa.Check(t.Context(), in.Resolver(t), "a.b.c.shop.example", request)
				if err != nil || v.Outcome == caa.Permitted || v.Outcome == caa.FailedUnsigned {
					t.Errorf("%s at %s: got %v, %v", fault, level, v, err)
				}
			})
		}
	}
}

// The end of the context ends a Check at once, also while it waits to try again.
func TestCancelWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newWorld(t, "")
		in.Fault("198.51.100.8", resolvertest.Rcode(dns.RcodeServerFailure))
		began := time.Now()
		v, err := caa.Check(t.Context(), in.Resolver(t), "own.plain.shop.example", caa.Request{Issuers: request.Issuers, Time: 3 * time.Second, RetryWait: time.Hour})
		if err != nil || v.Outcome != caa.FailedHere || time.Since(began) > 3*time.Second+time.Millisecond {
			t.Errorf("got %v, %v after %v", v, err, time.Since(began))
		}
		if v.Status == dnssec.Secure {
			t.Errorf("status %v", v.Status)
		}
	})
}

// Records whose text is longer than a note, of characters of two bytes each, end no evidence: it is
// read as it was written, wherever the note is cut.
func TestEvidenceOfLongText(t *testing.T) {
	for pad := range 2 {
		synctest.Test(t, func(t *testing.T) {
			rdata := "\x00\x05issue" + strings.Repeat("x", pad) + strings.Repeat("é", dnssec.MaxStoredText)
			in := resolvertest.New(t, fmt.Sprintf("-- zone shop.example. at 198.51.100.3 signed --\n@ CAA \\# %d %x\n", len(rdata), rdata))
			v := check(t, in, in.Resolver(t), "www.shop.example", request)
			if v.Outcome != caa.Denied || !strings.HasSuffix(v.String(), "é\"") {
				t.Fatalf("got %.100v", v)
			}
			checkEvidence(t, in, v)
		})
	}
}

// Each name below a deep insecure delegation fails: the proof that it is unsigned is had once, and the
// evidence has no more look-ups than are read of a file. Where aliases lead into other zones each time,
// there are so many proofs that the Check ends instead.
func TestFailuresBelowDeepDelegation(t *testing.T) {
	deep := strings.Repeat("b.", 37) + "signed.example."
	var aliased, many strings.Builder
	for i := range 5 {
		fmt.Fprintf(&aliased, "%splain CNAME x.n%d.%s\n", strings.Repeat("a.", i), i, deep)
		fmt.Fprintf(&many, "-- zone n%d.%s at 198.51.100.4 --\n", i, deep)
	}
	for _, c := range []struct {
		name, zones string
		want        caa.Outcome
		lookups     int
	}{
		{strings.Repeat("a.", 11) + "n0." + deep, many.String(), caa.FailedUnsigned, 51 + 40},
		{"a.a.a.plain.other.example", "-- zone other.example. at 198.51.100.5 --\n" + aliased.String() + many.String(), caa.FailedThere, 0},
		{"a.plain.other.example", "-- zone other.example. at 198.51.100.5 --\n" + aliased.String() + many.String(), caa.FailedUnsigned, 4 + 2 + 2*40},
	} {
		synctest.Test(t, func(t *testing.T) {
			in := resolvertest.New(t, "-- zone example. at 198.51.100.2 signed --\n-- zone signed.example. at 198.51.100.3 signed --\n"+c.zones+
				"-- fault 198.51.100.4 --\nwhen type CAA: rcode SERVFAIL\n")
			v, err := caa.Check(t.Context(), in.Resolver(t), c.name, caa.Request{Issuers: request.Issuers, Time: -1})
			if err != nil || v.Outcome != c.want {
				t.Fatalf("got %v, %v", v, err)
			}
			if n := len(v.Lookups); c.lookups > 0 && n != c.lookups || n > dnssec.MaxStoredChains {
				t.Errorf("%s: %d look-ups", c.name, n)
			}
			checkEvidence(t, in, v)
		})
	}
}
