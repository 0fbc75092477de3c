package anchorkeeper

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// Whatever is wrong with the store while the keeper runs, the keys are followed to the end in memory;
// that is told once when it begins and once when it is over, and then all is stored.
func TestStoreFails(t *testing.T) {
	for label, broken := range map[string]func(context.Context) error{
		"a full disk":   func(context.Context) error { return errDisk },
		"slow":          func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"blocked":       nil, // until the end of the test
		"panics":        func(context.Context) error { panic("boom") },
		"ends":          func(context.Context) error { runtime.Goexit(); return nil },
		"always a race": func(context.Context) error { return dnssec.ErrStoreChanged },
	} {
		t.Run(label, func(t *testing.T) {
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
				saved := string(store.text)
				if saved == "" {
					t.Fatal("nothing was saved")
				}
				store.save = broken
				release := make(chan struct{})
				defer close(release)
				if broken == nil {
					store.save = func(context.Context) error { <-release; return nil }
				}
				keys = []key{old, fresh}
				pass(33 * day)
				w.want("in memory", "Valid", "Valid")
				keys, signers = []key{old.revoked(), fresh}, []key{old.revoked(), fresh}
				pass(2 * day)
				w.want("in memory", "Revoked", "Valid")
				if w.trusts(old) || !w.trusts(fresh) {
					t.Errorf("got anchors %v, want the new key alone", w.installed)
				}
				if string(store.text) != saved {
					t.Error("what is stored has changed")
				}
				told := 0
				for _, c := range w.changes {
					if c.Zone == "" {
						told++
					}
				}
				if c := w.keeper.Counts(); told != 1 || !c.Unsaved || c.StoreFailed < 30 || c.RefreshFailed != 0 {
					t.Errorf("told %d times; %+v", told, c)
				}
				if broken == nil {
					return
				}
				store.save = nil
				pass(2 * time.Hour)
				states, err := dnssec.ParseRollovers(store.text)
				if err != nil || len(states) != 1 || len(states[0].Keys) != 2 || states[0].Keys[0].State != dnssec.KeyRevoked {
					t.Errorf("got %+v, %v in the store", states, err)
				}
				if last := w.changes[len(w.changes)-1]; w.keeper.Counts().Unsaved || last.Zone != "" || last.Err != nil {
					t.Errorf("the last change told is %+v", last)
				}
			})
		})
	}
}

// What is in the store and no state is never replaced: not at the beginning, when it is an error, and
// not later, when the keys in memory go on.
func TestGarbageIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKey(t, ".")
		for _, text := range []string{"", "garbage", "{", `{"zone":".","keys":[]}`} {
			store := &memory{text: []byte(text)}
			w := &world{t: t, store: store, anchors: []dnssec.Anchor{k.anchor(t)}}
			if text == "" {
				store.text = []byte{}
			}
			if err := w.start(); text != "" && !errors.Is(err, dnssec.ErrRollover) || string(store.text) != text {
				t.Errorf("%q: got %v, and %q is stored", text, err, store.text)
			}
			if w.stop != nil {
				w.stop()
			}
		}
		store := new(memory)
		w := &world{t: t, store: store, anchors: []dnssec.Anchor{k.anchor(t)}}
		w.keys = func(dnsname.Name) ([]key, []key) { return []key{k}, []key{k} }
		if err := w.start(); err != nil {
			t.Fatal(err)
		}
		defer w.stop()
		pass(day)
		store.text = []byte("garbage")
		pass(10 * day)
		if string(store.text) != "garbage" || !w.trusts(k) || w.keeper.Counts().StoreFailed == 0 {
			t.Errorf("%q is stored, anchors %v, %+v", store.text, w.installed, w.keeper.Counts())
		}
	})
}

// A store that cannot be read at the beginning is an error, in time.
func TestStoreCannotBeOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKey(t, ".")
		release := make(chan struct{})
		for label, load := range map[string]func(context.Context) error{
			"fails":  func(context.Context) error { return errDisk },
			"blocks": func(context.Context) error { <-release; return nil },
			"panics": func(context.Context) error { panic("boom") },
		} {
			begin := time.Now()
			w := &world{t: t, store: &memory{load: load}, anchors: []dnssec.Anchor{k.anchor(t)}}
			if err := w.start(); err == nil || time.Since(begin) > 11*time.Second {
				t.Errorf("%s: got %v after %v", label, err, time.Since(begin))
			}
		}
		close(release)
	})
}

// A call that does not end delays the end of the keeper by the grace, and no more.
func TestStopWithBlockedStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKey(t, ".")
		release := make(chan struct{})
		store := &memory{save: func(context.Context) error { <-release; return nil }}
		w := &world{t: t, store: store, anchors: []dnssec.Anchor{k.anchor(t)}}
		w.keys = func(dnsname.Name) ([]key, []key) { return []key{k}, []key{k} }
		if err := w.start(); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		begin := time.Now()
		w.stop()
		if d := time.Since(begin); d != storeGrace {
			t.Errorf("it took %v, want %v", d, storeGrace)
		}
		close(release)
	})
}
