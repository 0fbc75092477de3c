package anchorkeeper

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// odd is a store of functions.
type odd struct {
	load func(context.Context) ([]byte, error)
	save func(ctx context.Context, state, was []byte) error
}

func (s *odd) Load(ctx context.Context) ([]byte, error) {
	meet()
	defer meet()
	return s.load(ctx)
}

func (s *odd) Save(ctx context.Context, state, was []byte) error {
	meet()
	defer meet()
	return s.save(ctx, state, was)
}

// Whatever a store does while the keeper runs, a new key becomes trusted in memory, the old one is revoked
// and stays so, and the end comes in time.
func TestHostileStores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, fresh, alien := newKey(t, "."), newKey(t, "."), newKey(t, "example.")
		text := stored(t, ".", inState(old, dnssec.KeyValid))
		var many []byte
		for i := range 101 {
			zone := fmt.Sprintf("n%d.", i)
			many = append(many, stored(t, zone, inState(newKey(t, zone), dnssec.KeyValid))...)
		}
		fill := func(k key) []byte { return stored(t, ".", inState(k, dnssec.KeyValid)) }
		calls := 0
		var held []byte
		lie := func(context.Context, []byte, []byte) error { return nil }
		keep := func(_ context.Context, state, _ []byte) error { held = slices.Clone(state); return nil }
		always := func(text []byte, err error) func(context.Context) ([]byte, error) {
			return func(context.Context) ([]byte, error) { return text, err }
		}
		for _, test := range []struct {
			label string
			store odd
			fails bool // and is known to
		}{
			{"nothing, and saving does nothing", odd{always(nil, nil), lie}, true},
			{"always the same, and saving does nothing", odd{always(text, nil), lie}, true},
			{"always the same, and saving fails", odd{always(text, nil), func(context.Context, []byte, []byte) error { return errDisk }}, true},
			{"half is saved", odd{func(context.Context) ([]byte, error) { return held, nil },
				func(ctx context.Context, state, _ []byte) error { return keep(ctx, state[:len(state)/2], nil) }}, true},
			{"something else is saved", odd{func(context.Context) ([]byte, error) { return held, nil },
				func(ctx context.Context, state, _ []byte) error { return keep(ctx, []byte("garbage"), nil) }}, true},
			{"another key is added", odd{func(context.Context) ([]byte, error) { return held, nil },
				func(ctx context.Context, state, _ []byte) error { return keep(ctx, append(fill(old), state...), nil) }}, true},
			{"garbage", odd{always([]byte("garbage"), nil), keep}, true},
			{"a huge text", odd{always([]byte(strings.Repeat("{", 2<<20)), nil), keep}, true},
			{"too many zones", odd{always(many, nil), keep}, true},
			{"an error", odd{always(nil, errDisk), keep}, true},
			{"until the context ends", odd{func(ctx context.Context) ([]byte, error) { <-ctx.Done(); return text, ctx.Err() }, keep}, true},
			{"longer than the context", odd{func(ctx context.Context) ([]byte, error) { <-ctx.Done(); time.Sleep(time.Hour); return text, nil }, keep}, true},
			{"panics", odd{func(context.Context) ([]byte, error) { panic("boom") }, keep}, true},
			{"ends", odd{func(context.Context) ([]byte, error) { runtime.Goexit(); return nil, nil }, keep}, true},
			{"every other time none", odd{func(context.Context) ([]byte, error) {
				if calls++; calls%2 == 0 {
					return nil, nil
				}
				return held, nil
			}, keep}, true},
			{"every third time garbage", odd{func(context.Context) ([]byte, error) {
				if calls++; calls%3 == 0 {
					return []byte("{}"), nil
				}
				return held, nil
			}, keep}, true},
			{"slow", odd{func(context.Context) ([]byte, error) { time.Sleep(9 * time.Second); return held, nil },
				func(ctx context.Context, state, was []byte) error {
					time.Sleep(9 * time.Second)
					return keep(ctx, state, was)
				}}, false},
			{"another resolver's", odd{always(stored(t, "example.", inState(alien, dnssec.KeyValid)), nil), lie}, true},
		} {
			held, calls = nil, 0
			keys, signers := []key{old}, []key{old}
			begin := new(memory)
			store := &odd{begin.Load, begin.Save}
			w := &world{t: t, store: store, anchors: []dnssec.Anchor{old.anchor(t)}}
			w.keys = func(zone dnsname.Name) ([]key, []key) {
				if !zone.IsRoot() {
					return []key{alien}, []key{alien}
				}
				return keys, signers
			}
			if err := w.start(); err != nil {
				t.Fatal(err)
			}
			pass(time.Minute)
			store.load, store.save = test.store.load, test.store.save
			keys = []key{old, fresh}
			pass(34 * day)
			if !w.trusts(old) || !w.trusts(fresh) {
				t.Errorf("%s: got states %q after 34 days, anchors %v", test.label, w.states(), w.installed)
			}
			keys, signers = []key{old.revoked(), fresh}, []key{old.revoked(), fresh}
			pass(2 * day)
			if w.trusts(old) || !w.trusts(fresh) {
				t.Errorf("%s: got states %q when the old key is revoked", test.label, w.states())
			}
			keys, signers = []key{old, fresh}, []key{old, fresh} // somebody has the old key
			pass(3 * day)
			if w.trusts(old) || !w.trusts(fresh) {
				t.Errorf("%s: got states %q at the end", test.label, w.states())
			}
			if c := w.keeper.Counts(); test.fails != (c.StoreFailed > 0) {
				t.Errorf("%s: got %+v", test.label, c)
			}
			end := time.Now()
			w.stop()
			if d := time.Since(end); d > storeGrace {
				t.Errorf("%s: the end took %v", test.label, d)
			}
			pass(2 * time.Hour) // what the store still does
		}
	})
}

// A copy of the store from before a rollover, whose only key is known to be revoked, leaves the keys of now.
// One that is different, but has a key, counts.
func TestStoreFromBeforeTheRollover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, fresh := newKey(t, "."), newKey(t, ".")
		keys, signers := []key{old}, []key{old}
		store := new(memory)
		w := &world{t: t, store: store, anchors: []dnssec.Anchor{old.anchor(t)}}
		w.keys = func(dnsname.Name) ([]key, []key) { return keys, signers }
		if err := w.start(); err != nil {
			t.Fatal(err)
		}
		defer func() { w.stop() }()
		pass(day)
		backup := slices.Clone(store.text)
		keys = []key{old, fresh}
		pass(34 * day)
		keys, signers = []key{old.revoked(), fresh}, []key{old.revoked(), fresh}
		pass(2 * day)
		w.want("rolled", "Revoked", "Valid")
		store.text = backup
		keys, signers = []key{fresh}, []key{fresh}
		pass(2 * day)
		w.want("an old copy", "Revoked", "Valid")
		if states, err := dnssec.ParseRollovers(store.text); err != nil || len(states[0].Keys) != 2 {
			t.Errorf("got %+v, %v in the store", states, err)
		}
		other := newKey(t, ".")
		store.text = stored(t, ".", inState(other, dnssec.KeyValid))
		pass(2 * day)
		if !w.trusts(other) || w.trusts(fresh) || w.trusts(old) {
			t.Errorf("an operator's key: got states %q", w.states())
		}
	})
}

// What would not be read again is not begun with.
func TestTooManyZones(t *testing.T) {
	store := new(memory)
	w := &world{t: t, store: store}
	for i := range 101 {
		w.anchors = append(w.anchors, newKey(t, fmt.Sprintf("n%d.", i)).anchor(t))
	}
	if err := w.start(); !errors.Is(err, dnssec.ErrRollover) || store.saved != 0 {
		t.Errorf("got %v", err)
	}
}

// The clock of signatures may be anything: it does not keep a zone from being asked when it is set back,
// and a host that has slept asks soon.
func TestAskedWhateverTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKey(t, ".")
		w := &world{t: t, store: new(memory), anchors: []dnssec.Anchor{k.anchor(t)}}
		w.keys = func(dnsname.Name) ([]key, []key) { return []key{k}, []key{k} }
		if err := w.start(); err != nil {
			t.Fatal(err)
		}
		defer func() { w.stop() }()
		for range 20 {
			pass(2 * time.Hour)
			before := w.fetches
			w.offset += day // the host has slept for a day
			pass(tick)
			if w.fetches != before+1 {
				t.Fatalf("%d queries within an hour after a sleep", w.fetches-before)
			}
		}
		for _, back := range []time.Duration{day, 10 * day, 14 * day, 400 * day} {
			before := w.fetches
			w.offset -= back
			pass(5 * day)
			if n := w.fetches - before; n < 4 || n > 8 {
				t.Errorf("%d queries in five days after the clock was set back by %v", n, back)
			}
		}
		before := w.fetches
		for range 10 * 24 {
			w.offset += 20 * day // it is years ahead
			pass(time.Hour)
		}
		if n := w.fetches - before; n < 100 || n > 250 {
			t.Errorf("%d queries in 240 hours of a clock that runs away", n)
		}
		w.stop()
		before, w.offset = w.fetches, -400*day
		if err := w.start(); err != nil {
			t.Fatal(err)
		}
		pass(time.Hour)
		if w.fetches == before {
			t.Error("no query after a start with a clock that is years behind what is stored")
		}
	})
}

// However the clock is set, a new key is waited for for the whole hold-down time. The signatures are good by
// the clock of each moment, as those of a thief of a trusted key would be.
func TestClockShortensNoHoldDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, fresh := newKey(t, "."), newKey(t, ".")
		year1970 := time.Until(time.Unix(86400, 0))
		for _, test := range []struct {
			label      string
			seen, then time.Duration // offsets
			loaded     bool          // there is a restart between them
		}{
			{"years ahead", 0, 3 * 365 * day, false},
			{"30 days ahead", 0, 30 * day, false},
			{"1970 and back", year1970, 0, false},
			{"a year behind and back", -365 * day, 0, false},
			{"known from the store, years ahead", 0, 3 * 365 * day, true},
		} {
			keys := []key{old}
			w := &world{t: t, store: new(memory), anchors: []dnssec.Anchor{old.anchor(t)}}
			w.keys = func(dnsname.Name) ([]key, []key) { return keys, []key{old} }
			if err := w.start(); err != nil {
				t.Fatal(err)
			}
			pass(day)
			keys, w.offset = []key{old, fresh}, test.seen
			pass(2 * day)
			w.want(test.label+": seen", "Valid", "AddPend")
			if test.loaded {
				w.stop()
				if err := w.start(); err != nil {
					t.Fatal(err)
				}
				pass(2 * time.Minute)
			}
			w.offset = test.then
			pass(26 * day)
			w.want(test.label+": after 26 days", "Valid", "AddPend")
			if w.trusts(fresh) {
				t.Errorf("%s: the new key is trusted", test.label)
			}
			pass(6 * day)
			w.want(test.label+": after 32 days", "Valid", "Valid")
			w.stop()
		}
	})
}

// Functions of the program that panic or end their goroutine delay the keeper, and do not end it.
func TestFunctionsThatDoNotReturn(t *testing.T) {
	for label, end := range map[string]func(){"panics": func() { panic("boom") }, "ends": runtime.Goexit} {
		synctest.Test(t, func(t *testing.T) {
			k, fresh := newKey(t, "."), newKey(t, ".")
			keys := []key{k}
			w := &world{t: t, store: new(memory), anchors: []dnssec.Anchor{k.anchor(t)}}
			w.keys = func(dnsname.Name) ([]key, []key) { return keys, []key{k} }
			if err := w.start(); err != nil {
				t.Fatal(err)
			}
			pass(day)
			w.clock = end
			pass(3 * day)
			w.clock = nil
			before := w.fetches
			pass(2 * day)
			if n := w.fetches - before; n < 2 {
				t.Errorf("the clock %s: %d queries in two days after that", label, n)
			}
			w.told = end
			keys = []key{k, fresh}
			pass(2 * day)
			w.want("told", "Valid", "AddPend")
			pass(32 * day)
			w.want("told", "Valid", "Valid")
			pass(2 * time.Hour)
			if c := w.keeper.Counts(); c.Unsaved || !w.trusts(fresh) {
				t.Errorf("those who are told %s: %+v", label, c)
			}
			w.stop()
		})
	}
}

// A server whose keys cost too much is no reason not to ask others.
func TestCostlyKeysOfOneServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKey(t, ".")
		w := &world{t: t, store: new(memory), anchors: []dnssec.Anchor{k.anchor(t)}, servers: 2}
		w.keys = func(dnsname.Name) ([]key, []key) { return []key{k}, []key{k} }
		w.spoil = func(set *dnssec.RRset) {
			if w.fetches%2 == 0 {
				return
			}
			var bad []string
			for sig := range set.Signatures.All() {
				for i := range 200 {
					spoilt := []byte(sig)
					spoilt[len(spoilt)-1-i%60] ^= byte(1 + i/60)
					bad = append(bad, string(spoilt))
				}
			}
			set.Signatures = dnssec.Pack(bad...)
		}
		if err := w.start(); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		w.stop()
		if c := w.keeper.Counts(); c.Refreshed != 1 || c.RefreshFailed != 0 || w.fetches != 2 {
			t.Errorf("got %+v with %d queries: %+v", c, w.fetches, w.changes)
		}
	})
}

// The end may come at each call of the store or the servers, whether that listens to its context or not:
// it takes the grace at most, and nothing is told or installed after it.
func TestStopAtEachMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, fresh := newKey(t, "."), newKey(t, ".")
		for moment := range 12 {
			for _, listens := range []bool{true, false} {
				store, calls := new(memory), 0
				reached := make(chan struct{})
				hold := func(ctx context.Context) error {
					if calls++; calls != moment+2 { // the first is that of Open
						return nil
					}
					close(reached)
					if <-ctx.Done(); !listens {
						time.Sleep(time.Minute)
					}
					return ctx.Err()
				}
				store.load, store.save = hold, hold
				w := &world{t: t, store: store, anchors: []dnssec.Anchor{old.anchor(t)}}
				w.keys = func(dnsname.Name) ([]key, []key) { return []key{old, fresh}, []key{old} }
				if err := w.start(); err != nil {
					t.Fatal(err)
				}
				<-reached
				synctest.Wait()
				meet()
				begin, changes, installed := time.Now(), len(w.changes), w.installed
				w.stop()
				want := storeGrace
				if listens {
					want = 0
				}
				if d := time.Since(begin); d != want {
					t.Errorf("moment %d, listens %t: the end took %v", moment, listens, d)
				}
				pass(2 * time.Minute)
				if len(w.changes) != changes || !slices.Equal(installed, w.installed) {
					t.Errorf("moment %d, listens %t: told %+v, installed %v", moment, listens, w.changes[changes:], w.installed)
				}
			}
		}
	})
}
