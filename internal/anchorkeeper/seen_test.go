package anchorkeeper

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// newSeenWorld runs a Keeper that trusts two keys, and will not ask for hours.
func newSeenWorld(t *testing.T, old, fresh key) *world {
	t.Helper()
	w := &world{t: t, store: new(memory), anchors: []dnssec.Anchor{old.anchor(t), fresh.anchor(t)}}
	w.keys = func(dnsname.Name) ([]key, []key) { return []key{old, fresh}, []key{old} }
	if err := w.start(); err != nil {
		t.Fatal(err)
	}
	pass(2 * time.Hour)
	w.want("at first", "Valid", "Valid")
	return w
}

// A revocation that validation sees counts at once, without a query, also when other keys have signed the set.
// Nothing else of what validation sees counts.
func TestSeenRevocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, fresh, next := newKey(t, "."), newKey(t, "."), newKey(t, ".")
		gone := old.revoked()
		for _, test := range []struct {
			label   string
			keys    []key
			signers []key
			want    []string
		}{
			{"signed by both", []key{gone, fresh}, []key{gone, fresh}, []string{"Revoked", "Valid"}},
			{"signed by the revoked key alone", []key{gone, fresh}, []key{gone}, []string{"Revoked", "Valid"}},
			{"the other key is not there", []key{gone}, []key{gone}, []string{"Revoked", "Valid"}},
			{"with a new key", []key{gone, fresh, next}, []key{gone, fresh}, []string{"Revoked", "Valid"}},
			{"all are revoked", []key{gone, fresh.revoked()}, []key{gone, fresh.revoked()}, []string{"Revoked", "Revoked"}},
			{"not signed by itself", []key{gone, fresh}, []key{fresh}, []string{"Valid", "Valid"}},
			{"not signed", []key{gone, fresh}, nil, []string{"Valid", "Valid"}},
			{"signed by a thief", []key{gone, fresh}, []key{{gone.record, next.signer}}, []string{"Valid", "Valid"}},
			{"a key that nobody knows", []key{next.revoked(), fresh}, []key{next.revoked()}, []string{"Valid", "Valid"}},
			{"a key is missing", []key{fresh}, []key{fresh}, []string{"Valid", "Valid"}},
		} {
			w := newSeenWorld(t, old, fresh)
			before := w.fetches
			w.keeper.Saw(sign(t, time.Now(), test.keys, test.signers...))
			pass(time.Second)
			w.want(test.label, test.want...)
			if w.fetches != before {
				t.Errorf("%s: %d queries", test.label, w.fetches-before)
			}
			if revoked := test.want[0] == "Revoked"; w.trusts(old) == revoked {
				t.Errorf("%s: got anchors %v", test.label, w.installed)
			}
			states, err := dnssec.ParseRollovers(w.store.(*memory).text)
			if err != nil || states[0].Keys[0].State.String() != test.want[0] {
				t.Errorf("%s: %+v, %v is stored", test.label, states, err)
			}
			w.stop()
			w.keeper.Saw(sign(t, time.Now(), []key{gone}, gone)) // after the end: nothing happens
		}
		w := &world{t: t, store: new(memory), anchors: []dnssec.Anchor{old.anchor(t)}}
		w.keys = func(dnsname.Name) ([]key, []key) { return []key{old}, []key{old} }
		if err := w.start(); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Hour)
		island := newKey(t, "example.")
		w.keeper.Saw(sign(t, time.Now(), []key{island.revoked()}, island.revoked()))
		pass(time.Second)
		w.want("of a zone without anchors", "Valid")
		w.stop()
	})
}

// Keys with the REVOKE flag, which everybody can send, cost four looks a minute at most, and hide no
// revocation that is sent among them.
func TestSeenFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, fresh := newKey(t, "."), newKey(t, ".")
		w := newSeenWorld(t, old, fresh)
		defer func() { w.stop() }()
		forged := sign(t, time.Now(), []key{old.revoked(), fresh})
		n := 0
		flood := func(times int) {
			for range times {
				n++
				set := *forged
				set.Signatures = dnssec.Pack(time.Duration(n).String()) // not the same twice
				w.keeper.Saw(&set)
			}
		}
		looks, fetches := w.asked, w.fetches
		for range 100 {
			flood(100)
			pass(6 * time.Second)
		}
		looks = w.asked - looks
		if looks < 4*10 || looks > 2*4*11 { // as many times again for other reasons
			t.Errorf("the clock was read %d times while 10,000 forged sets came within ten minutes", looks)
		}
		if w.fetches != fetches {
			t.Errorf("%d queries", w.fetches-fetches)
		}
		w.want("flooded", "Valid", "Valid")
		flood(100)
		w.keeper.Saw(sign(t, time.Now(), []key{old.revoked(), fresh}, old.revoked()))
		flood(maxSeen - 1)
		pass(lookInterval)
		w.want("one is no forgery", "Revoked", "Valid")
		// The same set again is not looked at.
		seen := sign(t, time.Now(), []key{old.revoked(), fresh}, old.revoked(), fresh)
		w.keeper.Saw(seen)
		pass(lookInterval)
		looks = w.asked
		for range 5 {
			w.keeper.Saw(seen)
			pass(lookInterval)
		}
		if w.asked != looks {
			t.Error("a set that was looked at is looked at again")
		}
	})
}
