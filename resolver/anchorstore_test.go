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

// A revocation that an ordinary question brings to light counts at once, hours before the keeper asks for the
// keys itself: the question finds them valid if another trusted key has signed them, and bogus if not.
func TestRevocationSeenByValidation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, other := newRootKey(t, dns.RSASHA256), newRootKey(t, dns.ECDSAP256SHA256)
		for _, test := range []struct {
			label   string
			trusted []rootKey
			keys    []rootKey // signed by all
			name    string
			qtype   uint16
		}{
			{"beside a good key", []rootKey{old, other}, []rootKey{old.revoked(), other}, "host.", dns.TypeA},
			{"in a zone below", []rootKey{old, other}, []rootKey{old.revoked(), other}, "www.example.", dns.TypeA},
			{"asked for the keys", []rootKey{old, other}, []rootKey{old.revoked(), other}, ".", dns.TypeDNSKEY},
			{"the last key", []rootKey{old}, []rootKey{old.revoked()}, "host.", dns.TypeA},
		} {
			w := newRootRoll(t, "signed")
			w.stage(test.trusted, old)
			r, err := w.resolver(t, new(memoryStore), test.trusted)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Hour)
			w.stage(test.keys, test.keys...)
			before := r.Stats().Anchors.Refreshed
			_, err = r.Resolve(t.Context(), test.name, test.qtype)
			if lost := len(test.trusted) == 1; lost != (err != nil) {
				t.Errorf("%s: got %v", test.label, err)
			}
			time.Sleep(time.Second)
			if got := stateOf(r, old); got != "Revoked" {
				t.Errorf("%s: got %q, want Revoked", test.label, got)
			}
			if n := r.Stats().Anchors.Refreshed - before; n != 0 {
				t.Errorf("%s: asked %d times", test.label, n)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
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
		ask := func() *resolver.Result {
			t.Helper()
			result, err := r.Resolve(t.Context(), "host.", dns.TypeA)
			if err != nil || result.Status != dnssec.Secure {
				t.Fatal(result, err)
			}
			return result
		}
		// The keeper asks again after a day, or up to a tenth sooner: what is cached two hours before that
		// is still good then.
		time.Sleep(20 * time.Hour)
		ask()
		cached, expires := ask(), time.Now()
		if expires = expires.Add(cached.TTL); !cached.FromCache {
			t.Fatal("the answer was not cached")
		}
		w.stage([]rootKey{old.revoked(), other}, old.revoked(), other)
		for stateOf(r, old) != "Revoked" {
			if time.Sleep(time.Minute); !time.Now().Before(expires) {
				t.Fatalf("the key is %s when the answer expires", stateOf(r, old))
			}
		}
		if r.Stats().Servers == 0 {
			t.Error("the root servers, which have just been asked for the keys, are not known any more")
		}
		if ask().FromCache {
			t.Error("what was cached before is still used")
		}
	})
}
