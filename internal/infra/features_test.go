package infra

import (
	"testing"
	"time"
)

// TestFeatures are each server's own, and forgotten in time.
func TestFeatures(t *testing.T) {
	table := NewTable()
	fresh := table.Features(start, v4)
	if fresh.NoEDNS || fresh.NoOption || fresh.NoCase || fresh.Cookies || len(fresh.Cookie) != clientCookieLen {
		t.Errorf("got %+v of an unknown server", fresh)
	}
	if again := table.Features(start, v4); string(again.Cookie) != string(fresh.Cookie) {
		t.Errorf("client cookie changed from %x to %x", fresh.Cookie, again.Cookie)
	}
	if elsewhere := table.Features(start, other); string(elsewhere.Cookie) == string(fresh.Cookie) {
		t.Errorf("two servers get the same client cookie %x", fresh.Cookie)
	}
	for range 2 {
		table.RefusedEDNS(start, v4, false)
		table.RefusedOption(start, v4)
		table.LostCase(start, v4)
	}
	table.SetCookie(start, v4, []byte("serverpart"))
	f := table.Features(start.Add(featureFor-1), v4)
	if !f.NoEDNS || !f.NoOption || !f.NoCase || !f.Cookies || string(f.Cookie) != string(fresh.Cookie)+"serverpart" {
		t.Errorf("got %+v, want all of them", f)
	}
	if f = table.Features(start, other); f.NoEDNS || f.NoOption || f.NoCase || f.Cookies {
		t.Errorf("got %+v of another server", f)
	}
	if f = table.Features(start.Add(featureFor), v4); f.NoEDNS || f.NoOption || f.NoCase {
		t.Errorf("after %v: got %+v, want EDNS, options and case back", featureFor, f)
	}
	table.SetCookie(start, v4, nil)
	if f = table.Features(start, v4); f.Cookies || len(f.Cookie) != clientCookieLen {
		t.Errorf("got %+v, want the server's cookie forgotten", f)
	}
}

// TestOneSignIsNone: what a single packet says of a server is not believed; a second one
// confirms it, within a time that lets one renew what was known.
func TestOneSignIsNone(t *testing.T) {
	for name, lacks := range map[string]struct {
		show func(*Table, time.Time)
		told func(Features) bool
	}{
		"EDNS":   {func(t *Table, now time.Time) { t.RefusedEDNS(now, v4, false) }, func(f Features) bool { return f.NoEDNS }},
		"option": {func(t *Table, now time.Time) { t.RefusedOption(now, v4) }, func(f Features) bool { return f.NoOption }},
		"case":   {func(t *Table, now time.Time) { t.LostCase(now, v4) }, func(f Features) bool { return f.NoCase }},
	} {
		table, now := NewTable(), start
		wants := func(what string, want bool) {
			t.Helper()
			if f := table.Features(now, v4); lacks.told(f) != want || !f.Doubted {
				t.Errorf("%s, %s: got %+v, want it known to be missing %t", name, what, f, want)
			}
		}
		lacks.show(table, now)
		wants("one sign", false)
		now = now.Add(signFor)
		lacks.show(table, now)
		wants("another one too late", false)
		now = now.Add(signFor - 1)
		lacks.show(table, now)
		wants("another one", true)
		now = now.Add(featureFor)
		wants("at its end", false)
		lacks.show(table, now)
		wants("renewed", true)
		table.Took(now, v4, true, true, true, true)
		if f := table.Features(now, v4); lacks.told(f) || f.Doubted || !f.Full {
			t.Errorf("%s, refuted: got %+v", name, f)
		}
		if table.Features(now.Add(featureFor), v4).Full {
			t.Errorf("%s: it counts for longer than %v that it was refuted", name, featureFor)
		}
	}
}

// TestSeenWithEDNS: a server that has answered with EDNS is not marked as one without,
// after any number of signs.
func TestSeenWithEDNS(t *testing.T) {
	table := NewTable()
	table.RefusedEDNS(start, v4, true)
	if !table.Features(start, v4).NoEDNS {
		t.Fatal("not believed of a server that nothing is known of")
	}
	table.ForgetNoEDNS(v4)
	if table.Features(start, v4).NoEDNS {
		t.Error("not forgotten")
	}
	table.Took(start, v4, true, false, false, false)
	for range 3 {
		table.RefusedEDNS(start.Add(24*time.Hour), v4, true)
	}
	if f := table.Features(start.Add(24*time.Hour), v4); !f.EDNS || f.NoEDNS {
		t.Errorf("got %+v of a server seen with EDNS", f)
	}
}

// TestCookieEnds an hour after the server has shown it last (RFC 9018 §4.3).
func TestCookieEnds(t *testing.T) {
	table, now := NewTable(), start
	for range 3 {
		table.SetCookie(now, v4, []byte("serverpart"))
		if now = now.Add(cookieFor - 1); !table.Features(now, v4).Cookies {
			t.Errorf("forgotten before its end")
		}
	}
	if f := table.Features(now.Add(1), v4); f.Cookies || len(f.Cookie) != clientCookieLen {
		t.Errorf("got %+v, want the server's cookie at its end", f)
	}
}

// TestAnsweredMeanwhile: a server that answered anything after a query was sent is not
// silent for having lost that query.
func TestAnsweredMeanwhile(t *testing.T) {
	table := NewTable()
	before := table.Estimate(start, v4).Replies
	table.Answered(start, v4, time.Millisecond)
	for range 2 * deadAfter {
		table.TimedOut(start, v4, before)
		table.Silent(start, v4, before)
	}
	if e := table.Estimate(start, v4); e.Dead || e.Timeouts != 0 {
		t.Errorf("got %+v of a server that has answered meanwhile", e)
	}
	table.Silent(start, v4, table.Estimate(start, v4).Replies)
	if !table.Estimate(start, v4).Dead {
		t.Errorf("a silent server is not marked down")
	}
}
