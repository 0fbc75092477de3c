package resolver

import (
	"testing"
	"time"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// TestResorts: a zone has one last resort at a time until it is known whether it helps, then
// as many as there are questions, or none for a while.
func TestResorts(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	shop := dnsname.MustParse("shop.example.")
	key, other := resortKey{1, shop}, resortKey{2, shop}
	s := newResorts()
	enter := func(at time.Time, k resortKey) (waits, ok bool) {
		ended, ok := s.enter(at, k)
		return ended != nil, ok
	}
	if waits, ok := enter(now, key); waits || !ok {
		t.Fatalf("the first one: waits %t, may %t", waits, ok)
	}
	if waits, ok := enter(now, other); waits || !ok {
		t.Errorf("of another source's zone: waits %t, may %t", waits, ok)
	}
	ended, ok := s.enter(now, key)
	if ended == nil || ok {
		t.Fatalf("a second one: does not wait, may %t", ok)
	}
	s.leave(now, key, resortUnknown)
	<-ended
	if waits, ok := enter(now, key); waits || !ok {
		t.Errorf("after one that was given up: waits %t, may %t", waits, ok)
	}
	s.leave(now, key, resortHelped)
	for range 3 {
		if waits, ok := enter(now.Add(resortHelps-1), key); waits || !ok {
			t.Errorf("after one that helped: waits %t, may %t", waits, ok)
		}
	}
	s.leave(now, key, resortUnknown)
	s.leave(now, key, resortInVain)
	if waits, ok := enter(now, key); waits || !ok {
		t.Errorf("after one that helped and one in vain: waits %t, may %t", waits, ok)
	}
	now = now.Add(resortHelps)
	s.leave(now, key, resortInVain)
	if waits, ok := enter(now.Add(resortPause-1), key); waits || ok {
		t.Errorf("after one in vain: waits %t, may %t", waits, ok)
	}
	if waits, ok := enter(now.Add(resortPause), key); waits || !ok {
		t.Errorf("at the end of the pause: waits %t, may %t", waits, ok)
	}
}

// TestResortsForgotten: nobody waits for what is no longer remembered.
func TestResortsForgotten(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := newResorts()
	s.enter(now, resortKey{zone: dnsname.Root})
	ended, _ := s.enter(now, resortKey{zone: dnsname.Root})
	for i := range maxResorts {
		s.enter(now, resortKey{uint32(i + 1), dnsname.Root})
	}
	<-ended
	s.leave(now, resortKey{zone: dnsname.Root}, resortInVain)
	if n := s.zones.Len(); n > maxResorts {
		t.Errorf("%d zones are remembered, want %d at most", n, maxResorts)
	}
}
