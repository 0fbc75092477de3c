package slist

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
	key, other := PlainRetryKey{1, shop}, PlainRetryKey{2, shop}
	l := NewPlainRetries()
	enter := func(at time.Time, k PlainRetryKey) (waits, ok bool) {
		ended, ok := l.Enter(at, k)
		return ended != nil, ok
	}
	if waits, ok := enter(now, key); waits || !ok {
		t.Fatalf("the first one: waits %t, may %t", waits, ok)
	}
	if waits, ok := enter(now, other); waits || !ok {
		t.Errorf("of another source's zone: waits %t, may %t", waits, ok)
	}
	ended, ok := l.Enter(now, key)
	if ended == nil || ok {
		t.Fatalf("a second one: does not wait, may %t", ok)
	}
	l.Leave(now, key, PlainRetryUnknown)
	<-ended
	if waits, ok := enter(now, key); waits || !ok {
		t.Errorf("after one that ended early: waits %t, may %t", waits, ok)
	}
	l.Leave(now, key, PlainRetryHelped)
	for range 3 {
		if waits, ok := enter(now.Add(plainRetryHelps-1), key); waits || !ok {
			t.Errorf("after one that helped: waits %t, may %t", waits, ok)
		}
	}
	l.Leave(now, key, PlainRetryUnknown)
	l.Leave(now, key, PlainRetryInVain)
	if waits, ok := enter(now, key); waits || !ok {
		t.Errorf("after one that helped and one in vain: waits %t, may %t", waits, ok)
	}
	now = now.Add(plainRetryHelps)
	l.Leave(now, key, PlainRetryInVain)
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
	l := NewPlainRetries()
	l.Enter(now, PlainRetryKey{Zone: dnsname.Root})
	ended, _ := l.Enter(now, PlainRetryKey{Zone: dnsname.Root})
	for i := range maxPlainRetryZones {
		l.Enter(now, PlainRetryKey{uint32(i + 1), dnsname.Root})
	}
	<-ended
	l.Leave(now, PlainRetryKey{Zone: dnsname.Root}, PlainRetryInVain)
	if n := l.zones.Len(); n > maxPlainRetryZones {
		t.Errorf("%d zones are remembered, want %d at most", n, maxPlainRetryZones)
	}
}
