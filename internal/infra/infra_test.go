package infra

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/iterdns/iterdns/internal/dnsname"
)

var (
	start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	v4    = at("192.0.2.1")
	other = at("192.0.2.2")
	v6    = at("2001:db8::1")
)

// at is where a server listens.
func at(addr string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(addr), 53) }

// lose is that a query to addr is lost, and nothing is heard of it meanwhile.
func lose(table *Table, now time.Time, addr netip.AddrPort) {
	table.TimedOut(now, addr, table.Estimate(now, addr).Replies)
}

// TestUnknownServer: nothing is known, and something has to be expected.
func TestUnknownServer(t *testing.T) {
	e := NewTable().Estimate(start, v4)
	want := Estimate{RTT: firstGuess, Late: 2 * firstGuess, Timeout: unknownTimeout}
	if e != want {
		t.Errorf("got %+v, want %+v", e, want)
	}
}

// TestEstimateFollowsRTT: the estimate goes to what is measured, the wait for a late
// reply stays above it, and the timeout within its bounds.
func TestEstimateFollowsRTT(t *testing.T) {
	for _, rtt := range []time.Duration{100 * time.Microsecond, time.Millisecond, 20 * time.Millisecond, 150 * time.Millisecond, 700 * time.Millisecond} {
		table := NewTable()
		for range 50 {
			table.Answered(start, v4, rtt)
		}
		e := table.Estimate(start, v4)
		if !e.Known || e.RTT != rtt {
			t.Errorf("%v: got %+v, want the RTT", rtt, e)
		}
		if e.Late < rtt+minWait/2 || e.Late > rtt+2*minWait+rtt {
			t.Errorf("%v: late after %v", rtt, e.Late)
		}
		if e.Timeout < minTimeout || e.Timeout > slowestTimeout || e.Timeout < e.Late {
			t.Errorf("%v: timeout %v, late after %v", rtt, e.Timeout, e.Late)
		}
	}
}

// TestFirstSample counts in full, later ones by an eighth (RFC 6298 §2).
func TestFirstSample(t *testing.T) {
	table := NewTable()
	table.Answered(start, v4, 40*time.Millisecond)
	if e := table.Estimate(start, v4); e.RTT != 40*time.Millisecond || e.Late != 40*time.Millisecond+4*20*time.Millisecond {
		t.Errorf("after one sample of 40 ms: got %+v", e)
	}
	table.Answered(start, v4, 120*time.Millisecond)
	if e := table.Estimate(start, v4); e.RTT != 50*time.Millisecond {
		t.Errorf("after a second of 120 ms: got %+v, want 50 ms", e)
	}
	table.Answered(start, v4, 0)
	if e := table.Estimate(start, v4); e.RTT <= 0 {
		t.Errorf("after one of 0: got %+v", e)
	}
}

// TestForgotten: a time measured long ago says nothing.
func TestForgotten(t *testing.T) {
	table := NewTable()
	table.Answered(start, v4, 200*time.Millisecond)
	if e := table.Estimate(start.Add(forgetRTT), v4); !e.Known {
		t.Errorf("after %v: got %+v, want it known", forgetRTT, e)
	}
	if e := table.Estimate(start.Add(forgetRTT+time.Second), v4); e.Known || e.RTT == 200*time.Millisecond {
		t.Errorf("after more: got %+v, want it forgotten", e)
	}
}

// TestTypical: what first contacts took is expected of servers never asked.
func TestTypical(t *testing.T) {
	table := NewTable()
	for i := range 100 {
		table.Answered(start, at(fmt.Sprintf("198.51.100.%d", i)), 20*time.Millisecond)
	}
	if e := table.Estimate(start, v4); e.RTT < 20*time.Millisecond || e.RTT > 21*time.Millisecond {
		t.Errorf("got %+v, want about 20 ms", e)
	}
	for i := range 100 {
		table.Answered(start, at(fmt.Sprintf("203.0.113.%d", i)), time.Hour)
	}
	if e := table.Estimate(start, v4); e.RTT > unknownTimeout {
		t.Errorf("got %+v, want no more than a first reply is waited for", e)
	}
}

// TestDead: after three losses in a row, with a time that doubles up to a minute; one
// reply ends it.
func TestDead(t *testing.T) {
	table, now := NewTable(), start
	for i := range deadAfter {
		if e := table.Estimate(now, v4); e.Dead || e.Timeouts != i {
			t.Fatalf("after %d losses: got %+v", i, e)
		}
		lose(table, now, v4)
	}
	for _, wait := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		wait *= time.Second
		if e := table.Estimate(now, v4); !e.Dead {
			t.Fatalf("got %+v, want it dead", e)
		}
		if table.Probe(now.Add(wait-1), v4, false) != nil {
			t.Errorf("probed before %v were over", wait)
		}
		now = now.Add(wait)
		end := table.Probe(now, v4, false)
		if end == nil {
			t.Fatalf("not probed after %v", wait)
		}
		if table.Probe(now, v4, false) != nil || table.Probe(now, v4, true) != nil {
			t.Errorf("probed twice at the same time")
		}
		lose(table, now, v4)
		end()
	}
	table.Answered(now, v4, 20*time.Millisecond)
	if e := table.Estimate(now, v4); e.Dead || e.Timeouts != 0 {
		t.Errorf("after a reply: got %+v", e)
	}
}

// TestMarkedDown: from the third loss in a row until the next reply, with the age of the last one.
func TestMarkedDown(t *testing.T) {
	table, now := NewTable(), start
	expect := func(about string, lost int, silent time.Duration, down bool) {
		t.Helper()
		if l, s, d := table.MarkedDown(now, v4); l != lost || s != silent || d != down {
			t.Errorf("%s: got %d, %v, %t, want %d, %v, %t", about, l, s, d, lost, silent, down)
		}
	}
	expect("unknown", 0, 0, false)
	for range deadAfter - 1 {
		lose(table, now, v4)
	}
	expect("two losses", 0, 0, false)
	lose(table, now, v4)
	expect("never replied", deadAfter, 0, true)
	table.Answered(now, v4, 20*time.Millisecond)
	expect("replied", 0, 0, false)
	for range deadAfter + 2 {
		now = now.Add(time.Second)
		lose(table, now, v4)
	}
	expect("silent again", deadAfter+2, (deadAfter+2)*time.Second, true)
}

// TestProbeEnds by the one who probes, or by any reply; not by queries of others that get
// lost.
func TestProbeEnds(t *testing.T) {
	for name, end := range map[string]func(*Table, func()){
		"ended":    func(_ *Table, end func()) { end() },
		"alive":    func(t *Table, _ func()) { t.Alive(v4) },
		"answered": func(t *Table, _ func()) { t.Answered(start, v4, time.Millisecond) },
	} {
		table := NewTable()
		if table.Probing(v4) != nil {
			t.Errorf("%s: there is something to wait for before the probe", name)
		}
		own := table.Probe(start, v4, true)
		if own == nil {
			t.Fatalf("%s: no leave to probe", name)
		}
		ended := table.Probing(v4)
		lose(table, start, v4)
		select {
		case <-ended:
			t.Errorf("%s: waited for nothing", name)
		default:
		}
		end(table, own)
		<-ended
		if table.Probing(v4) != nil {
			t.Errorf("%s: there is something to wait for after the probe", name)
		}
		if table.Probe(start, v4, true) == nil {
			t.Errorf("%s: the probe has not ended", name)
		}
		if own(); table.Probing(v4) == nil {
			t.Errorf("%s: the probe after it has been ended", name)
		}
	}
}

// TestForgottenProbeEnds: nobody waits for what is no longer remembered.
func TestForgottenProbeEnds(t *testing.T) {
	table := NewTable()
	table.Probe(start, v4, true)
	ended := table.Probing(v4)
	for i := range maxServers {
		table.Alive(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 53))
	}
	<-ended
}

// TestUrgentProbe: when nobody is alive, a probe need not wait for its time.
func TestUrgentProbe(t *testing.T) {
	table := NewTable()
	for range 5 {
		lose(table, start, v4)
	}
	if table.Probe(start, v4, false) != nil || table.Probe(start, v4, true) == nil {
		t.Errorf("want leave for an urgent probe only")
	}
}

// TestTimeoutsGrow with losses, within the bounds, until the server is held dead: a probe
// finds out whether it answers again, not how slow it may be.
func TestTimeoutsGrow(t *testing.T) {
	table := NewTable()
	table.Answered(start, v4, 100*time.Millisecond)
	first := table.Estimate(start, v4).Timeout
	last := time.Duration(0)
	for range deadAfter {
		e := table.Estimate(start, v4)
		if e.Timeout < last || e.Timeout > maxTimeout {
			t.Errorf("got timeout %v after %v, want it to grow up to %v", e.Timeout, last, maxTimeout)
		}
		last = e.Timeout
		lose(table, start, v4)
	}
	if last != maxTimeout {
		t.Errorf("got timeout %v after several losses, want %v", last, maxTimeout)
	}
	if e := table.Estimate(start, v4); e.Timeout > first {
		t.Errorf("dead: got timeout %v, want %v", e.Timeout, first)
	}
}

// TestFamilyDown: a family whose packets all get lost is put behind the other one, and
// tried again from time to time; when both are silent, it is not the family.
func TestFamilyDown(t *testing.T) {
	table, now := NewTable(), start
	for i := range familyDeadAfter {
		if table.FamilyDown(now, v6) {
			t.Fatalf("down after %d losses", i)
		}
		lose(table, now, at(fmt.Sprintf("2001:db8::%d", i+1)))
	}
	if !table.FamilyDown(now, v6) || table.FamilyDown(now, v4) {
		t.Errorf("after %d losses: want IPv6 down and IPv4 not", familyDeadAfter)
	}
	now = now.Add(familyRetry)
	if table.FamilyDown(now, v6) {
		t.Errorf("after %v: want it to be tried", familyRetry)
	}
	lose(table, now, v6)
	if now = now.Add(familyRetry); !table.FamilyDown(now, v6) {
		t.Errorf("after another loss: want it down for longer")
	}
	for range 20 {
		lose(table, now, v6)
	}
	if !table.FamilyDown(now.Add(familyRetryMax-1), v6) || table.FamilyDown(now.Add(familyRetryMax), v6) {
		t.Errorf("after many losses: want it down for %v", familyRetryMax)
	}
	table.Answered(now, v6, 20*time.Millisecond)
	if table.FamilyDown(now, v6) {
		t.Errorf("after a reply: want it up")
	}
	for range familyDeadAfter {
		lose(table, now, v4)
		lose(table, now, v6)
	}
	if table.FamilyDown(now, v4) || table.FamilyDown(now, v6) {
		t.Errorf("both silent: want neither called down")
	}
}

// TestLame: of one server and one zone, for a while.
func TestLame(t *testing.T) {
	table, zone := NewTable(), dnsname.MustParse("shop.example.")
	table.SetLame(start, v4, zone)
	for _, tt := range []struct {
		at   time.Time
		addr netip.AddrPort
		zone dnsname.Name
		want bool
	}{
		{start, v4, zone, true},
		{start.Add(lameFor - 1), v4, zone, true},
		{start.Add(lameFor), v4, zone, false},
		{start, other, zone, false},
		{start, v4, dnsname.MustParse("example."), false},
	} {
		if got := table.Lame(tt.at, tt.addr, tt.zone); got != tt.want {
			t.Errorf("%s for %s after %v: got %t, want %t", tt.addr, tt.zone, tt.at.Sub(start), got, tt.want)
		}
	}
}

// TestBounded: a hostile zone can name as many servers as it likes.
func TestBounded(t *testing.T) {
	table := NewTable()
	addr := at("2001:db8::")
	for range maxServers + 1000 {
		lose(table, start, addr)
		table.SetLame(start, addr, dnsname.Root)
		addr = netip.AddrPortFrom(addr.Addr().Next(), addr.Port())
	}
	servers, lame := 0, 0
	for i := range table.shards {
		servers += len(table.shards[i].servers.items)
		lame += len(table.shards[i].lame.items)
	}
	if servers != maxServers || table.Len() != maxServers || lame != maxLame {
		t.Errorf("got %d servers, %d by Len, and %d lame ones, want %d and %d", servers, table.Len(), lame, maxServers, maxLame)
	}
}

// TestClockSetBack: what was learnt about servers before the clock was set back is not
// believed for as long as it was set back by; a little is what two steps may differ by.
func TestClockSetBack(t *testing.T) {
	zone := dnsname.MustParse("shop.example.")
	for _, test := range []struct {
		back  time.Duration
		holds bool
	}{{0, true}, {time.Second, true}, {time.Hour, false}, {365 * 24 * time.Hour, false}} {
		table := NewTable()
		table.SetLame(start, v4, zone)
		table.RefusedEDNS(start, v4, true)
		table.LostCase(start, v4)
		table.LostCase(start, v4)
		table.Answered(start, v4, 20*time.Millisecond)
		for range 20 {
			lose(table, start, v6)
		}
		now := start.Add(-test.back)
		probe := table.Probe(now, v6, false)
		got := []bool{
			table.Lame(now, v4, zone), table.Features(now, v4).NoEDNS, table.Features(now, v4).NoCase,
			table.Estimate(now, v4).Known, table.FamilyDown(now, v6), probe == nil,
		}
		for i, what := range []string{"lame", "without EDNS", "without case", "round-trip time", "family down", "dead"} {
			if got[i] != test.holds {
				t.Errorf("set back by %v: %s: got %v, want %v", test.back, what, got[i], test.holds)
			}
		}
	}
}

// Lame reports whether addr is known not to serve zone.
func (t *Table) Lame(now time.Time, addr netip.AddrPort, zone dnsname.Name) bool {
	_, lame := t.Candidate(now, addr, zone)
	return lame
}
