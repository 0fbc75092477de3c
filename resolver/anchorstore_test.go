package resolver_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/dnssec/anchorfile"
	"github.com/iterdns/iterdns/resolver"
)

// RFC 5011 §2 and §4: a new key is trusted after the hold-down time, the old one until it is
// revoked, and validation follows at once, without a restart.
func TestAnchorStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, fresh := newRootKey(t, dns.RSASHA256), newRootKey(t, dns.ECDSAP256SHA256)
		w := newRootRoll(t, "signed")
		w.stage([]rootKey{old}, old)
		file := anchorfile.New(filepath.Join(t.TempDir(), "anchors.json"))
		r, err := w.resolver(t, file, []rootKey{old})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		see := func(label string, want dnssec.Status, states ...string) {
			t.Helper()
			n++
			if got := statusOf(t, r, fmt.Sprintf("n%d.www.example.", n)); got != want {
				t.Errorf("%s: got %v, want %v", label, got, want)
			}
			if got := []string{stateOf(r, old), stateOf(r, fresh)}; !slices.Equal(got, states) {
				t.Errorf("%s: got %q, want %q", label, got, states)
			}
		}
		pass := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(min(7*day, time.Until(end))) {
				w.resign(t, w.zone)
			}
			synctest.Wait()
		}
		pass(2 * day)
		see("at first", dnssec.Secure, "Valid", "")
		w.stage([]rootKey{old, fresh}, old)
		pass(2 * day)
		see("a new key", dnssec.Secure, "Valid", "AddPend")
		pass(30 * day)
		see("seen for 30 days", dnssec.Secure, "Valid", "Valid")
		w.stage([]rootKey{old.revoked(), fresh}, old.revoked(), fresh)
		pass(2 * day)
		see("the old one is revoked", dnssec.Secure, "Revoked", "Valid")
		if got := r.TrustAnchors(); len(got) != 1 || got[0].Tag() != fresh.record.KeyTag() {
			t.Errorf("got anchors %v, want the new key", got)
		}
		w.stage([]rootKey{fresh}, fresh)
		pass(40 * day)
		see("and gone", dnssec.Secure, "Removed", "Valid")
		w.stage([]rootKey{old, fresh}, old)
		pass(3 * day)
		see("somebody has the old key", dnssec.Bogus, "Removed", "Valid")
		if stats := r.Stats().Anchors; stats.Trusted != 1 || stats.Revoked != 1 || stats.Refreshed < 70 || stats.RefreshFailed == 0 || stats.StoreFailed != 0 || stats.Unsaved {
			t.Errorf("got %+v", stats)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		before := w.keyQueries()
		time.Sleep(30 * day)
		if n := w.keyQueries() - before; n != 0 {
			t.Errorf("%d queries after Close", n)
		}
		// The next program begins where this one has ended, though the old key is among its anchors.
		w.stage([]rootKey{fresh}, fresh)
		w.resign(t, "signed")
		if r, err = w.resolver(t, file, []rootKey{old}); err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		see("after a restart", dnssec.Secure, "Removed", "Valid")
	})
}

// What was cached before a key was revoked is not used after that: its chain of trust has died. What is
// known of servers is kept.
func TestAnchorsChangedNothingCachedIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, other := newRootKey(t, dns.RSASHA256), newRootKey(t, dns.ECDSAP256SHA256)
		w := newRootRoll(t, "signed")
		w.stage([]rootKey{old, other}, old)
		r, err := w.resolver(t, new(memoryStore), []rootKey{old, other}, func(o *resolver.Options) { o.DisablePrefetch = true })
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		w.stage([]rootKey{old.revoked(), other}, old.revoked(), other)
		const pause = time.Minute
		cached := false
		for {
			revoked, servers := stateOf(r, old) == "Revoked", r.Stats().Servers
			result, err := r.Resolve(t.Context(), "host.", dns.TypeA)
			if err != nil || result.Status != dnssec.Secure {
				t.Fatal(result, err)
			}
			if revoked {
				if servers == 0 {
					t.Error("the root servers, which have just been asked for the keys, are not known any more")
				}
				if result.FromCache {
					t.Error("what was cached before is still used")
				}
				if !cached {
					t.Log("the answer expired in the same minute, so that this shows nothing this time")
				}
				break
			}
			cached = result.TTL > pause
			time.Sleep(pause)
		}
	})
}
