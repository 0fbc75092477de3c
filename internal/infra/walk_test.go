package infra

import (
	"net/netip"
	"testing"
	"time"
)

// TestWalk: every address is shown once with what is known of it, and looking is no use of it.
func TestWalk(t *testing.T) {
	table, now := NewTable(), start
	want := make(map[netip.AddrPort]time.Duration)
	for i := range 100 {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 53)
		want[addr] = time.Duration(i+1) * time.Millisecond
		table.Answered(now, addr, want[addr])
	}
	silent := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 7}), 53)
	for range deadAfter {
		table.TimedOut(now, silent, 1)
	}
	table.SetCookie(now, silent, []byte("serverpart"))
	added := table.servers.added.Load()
	table.Walk(now, func(s Server) bool {
		if !s.Known || s.RTT != want[s.Addr] || !s.Measured.Equal(now) {
			t.Errorf("%v: got %v at %v, want %v", s.Addr, s.RTT, s.Measured, want[s.Addr])
		}
		delete(want, s.Addr)
		down := s.Addr == silent
		if s.Dead != down || s.Cookies != down || down && !s.DownTill.Equal(now.Add(deadFirst)) || !down && !s.DownTill.IsZero() {
			t.Errorf("%v: got down %v until %v, cookies %v, want %v", s.Addr, s.Dead, s.DownTill, s.Cookies, down)
		}
		table.Estimate(now, s.Addr) // no lock is held
		return true
	})
	if len(want) > 0 || table.servers.added.Load() != added {
		t.Errorf("%d addresses were not shown", len(want))
	}
	shown := 0
	table.Walk(now, func(Server) bool { shown++; return false })
	if shown != 1 {
		t.Errorf("got %d addresses after false, want 1", shown)
	}
}
