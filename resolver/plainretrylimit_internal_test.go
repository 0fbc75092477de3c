package resolver

import (
	"testing"
	"time"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// TestResorts: a zone has one plain retry at a time until it is known whether it helps, then
// as many as there are questions, or none for a while.
func TestResorts(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	shop := dnsname.MustParse("shop.example.")
	key, other := plainRetryKey{1, shop}, plainRetryKey{2, shop}
	l := newPlainRetries()
	enter := func(at time.Time, k plainRetryKey) (waits, ok bool) {
		ended, ok := l.enter(at, k)
		return ended != nil, ok
	}
	if waits, ok := enter(now, key); waits || !ok {
		t.Fatalf("the first one: waits %t, may %t", waits, ok)
	}
	if waits, ok := enter(now, other); waits || !ok {
		t.Errorf("of another source's zone: waits %t, may %t", waits, ok)
	}
	ended, ok := l.enter(now, key)
	if ended == nil || ok {
		t.Fatalf("a second one: does not wait, may %t", ok)
	}
	l.leave(now, key, plainRetryUnknown)
	<-ended
	if waits, ok := enter(now, key); waits || !ok {
		t.Errorf("after one that ended early: waits %t, may %t", waits, ok)
	}
	l.leave(now, key, plainRetryHelped)
	for range 3 {
		if waits, ok := enter(now.Add(plainRetryHelps-1), key); waits || !ok {
			t.Errorf("after one that helped: waits %t, may %t", waits, ok)
		}
	}
	l.leave(now, key, plainRetryUnknown)
	l.leave(now, key, plainRetryInVain)
	if waits, ok := enter(now, key); waits || !ok {
		t.Errorf("after one that helped and one in vain: waits %t, may %t", waits, ok)
	}
	now = now.Add(plainRetryHelps)
	l.leave(now, key, plainRetryInVain)
	if waits, ok := enter(now.Add(plainRetryPause-1), key); waits || ok {
		t.Errorf("after one in vain: waits %t, may %t", waits, ok)
	}
	if waits, ok := enter(now.Add(plainRetryPause), key); waits || !ok {
		t.Errorf("at the end of the pause: waits %t, may %t", waits, ok)
	}
}

// TestResortsForgotten: no question waits for a plain retry that is no longer remembered.
func TestResortsForgotten(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	l := newPlainRetries()
	l.enter(now, plainRetryKey{zone: dnsname.Root})
	ended, _ := l.enter(now, plainRetryKey{zone: dnsname.Root})
	for i := range maxPlainRetryZones {
		l.enter(now, plainRetryKey{uint32(i + 1), dnsname.Root})
	}
	<-ended
	l.leave(now, plainRetryKey{zone: dnsname.Root}, plainRetryInVain)
	if n := l.zones.Len(); n > maxPlainRetryZones {
		t.Errorf("%d zones are remembered, want %d at most", n, maxPlainRetryZones)
	}
}
