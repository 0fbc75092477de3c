package anchorkeeper

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// stored makes a text as another program would have left it.
func stored(t testing.TB, zone string, keys ...dnssec.RolloverKey) []byte {
	t.Helper()
	text, err := dnssec.FormatRollovers([]dnssec.Rollover{{Zone: zone, Keys: keys}})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func inState(k key, s dnssec.KeyState) dnssec.RolloverKey {
	return dnssec.RolloverKey{Record: k.record.String(), State: s, Since: time.Now(), HoldDown: time.Now().Add(20 * day)}
}

// What counts when the store and the options disagree.
func TestStoreBesideOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, fresh := newKey(t, "."), newKey(t, ".")
		for _, test := range []struct {
			label   string
			stored  []dnssec.RolloverKey
			options []key
			want    []bool // are old and fresh trusted?
			lost    bool
		}{
			{"nothing is stored", nil, []key{old}, []bool{true, false}, false},
			{"a newer library", []dnssec.RolloverKey{inState(old, dnssec.KeyValid)}, []key{old, fresh}, []bool{true, true}, false},
			{"a newer library, and the key is known", []dnssec.RolloverKey{inState(old, dnssec.KeyValid), inState(fresh, dnssec.KeyAddPend)}, []key{old, fresh}, []bool{true, true}, false},
			{"not yet for long enough", []dnssec.RolloverKey{inState(old, dnssec.KeyValid), inState(fresh, dnssec.KeyAddPend)}, []key{old}, []bool{true, false}, false},
			{"revoked, and built in", []dnssec.RolloverKey{inState(old, dnssec.KeyRevoked), inState(fresh, dnssec.KeyValid)}, []key{old}, []bool{false, true}, false},
			{"removed, and built in", []dnssec.RolloverKey{inState(old, dnssec.KeyRemoved), inState(fresh, dnssec.KeyMissing)}, []key{old}, []bool{false, true}, false},
			{"all are revoked", []dnssec.RolloverKey{inState(old, dnssec.KeyRevoked)}, []key{old}, nil, true},
			{"all are revoked, and a newer library", []dnssec.RolloverKey{inState(old, dnssec.KeyRevoked)}, []key{old, fresh}, []bool{false, true}, false},
		} {
			w := &world{t: t, store: new(memory)}
			if test.stored != nil {
				w.store = &memory{text: stored(t, ".", test.stored...)}
			}
			for _, k := range test.options {
				w.anchors = append(w.anchors, k.anchor(t))
			}
			w.fetch = errors.New("no network")
			err := w.start()
			if lost := errors.Is(err, dnssec.ErrNoAnchorLeft); lost != test.lost || !lost && err != nil {
				t.Errorf("%s: got %v", test.label, err)
			}
			if err != nil {
				continue
			}
			if got := []bool{w.trusts(old), w.trusts(fresh)}; !slices.Equal(got, test.want) {
				t.Errorf("%s: got trusted %v, want %v", test.label, got, test.want)
			}
			w.stop()
		}
	})
}

// Two processes share a store: each takes in what the other has stored, a query of one does for both,
// and what one has seen revoked the other does not bring back, however old what it stores is.
func TestTwoKeepers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, fresh := newKey(t, "."), newKey(t, ".")
		keys, signers := []key{old, fresh}, []key{old}
		store := new(memory)
		both := func() [2]*world {
			var ws [2]*world
			for i := range ws {
				ws[i] = &world{t: t, store: store, anchors: []dnssec.Anchor{old.anchor(t)}}
				ws[i].keys = func(dnsname.Name) ([]key, []key) { return keys, signers }
				if err := ws[i].start(); err != nil {
					t.Fatal(err)
				}
				pass(time.Minute)
			}
			return ws
		}
		ws := both()
		pass(40 * day)
		for _, w := range ws {
			w.want("after 40 days", "Valid", "Valid")
		}
		if n := ws[0].fetches + ws[1].fetches; n > 48 {
			t.Errorf("%d queries of two processes in 40 days", n)
		}
		backup := slices.Clone(store.text)
		keys, signers = []key{old.revoked(), fresh}, []key{old.revoked(), fresh}
		pass(4 * day)
		for _, w := range ws {
			w.want("revoked", "Revoked", "Valid")
		}
		// Somebody restores the file, and the owner of the old key has stopped revoking it.
		store.text, keys, signers = backup, []key{old, fresh}, []key{old, fresh}
		pass(4 * day)
		for _, w := range ws {
			w.want("after a restore", "Revoked", "Valid")
			if w.trusts(old) {
				t.Error("the revoked key is trusted")
			}
		}
		// One that does not run forgets nothing either.
		for _, w := range ws {
			w.stop()
		}
		for _, w := range both() {
			w.want("after a restart", "Revoked", "Valid")
			w.stop()
		}
	})
}

// RFC 5011 §2.3: at half the TTL, somewhat earlier so that not all ask together; after a failure each
// hour at most, whatever fails, and one outage is told once.
func TestIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKey(t, ".")
		w := &world{t: t, store: new(memory), anchors: []dnssec.Anchor{k.anchor(t)}}
		w.keys = func(dnsname.Name) ([]key, []key) { return []key{k}, []key{k} }
		if err := w.start(); err != nil {
			t.Fatal(err)
		}
		pass(100 * day)
		if w.fetches < 101 || w.fetches > 112 {
			t.Errorf("%d queries in 100 days of a TTL of two days, want 100 and a tenth more", w.fetches)
		}
		before := w.fetches
		w.fetch = errors.New("no network")
		pass(10 * day)
		if n := w.fetches - before; n < 200 || n > 240 {
			t.Errorf("%d queries in ten days of failures, want one an hour", n)
		}
		w.fetch = nil
		pass(2 * day)
		before = w.fetches
		w.keys = func(dnsname.Name) ([]key, []key) { panic("boom") }
		pass(2 * day)
		if n := w.fetches - before; n < 20 || n > 50 {
			t.Errorf("%d queries in two days of panics, want one an hour", n)
		}
		w.stop()
		failures, over := 0, 0
		for _, c := range w.changes[1:] { // the first is that the key was seen
			if c.Zone == "." && c.Err != nil {
				failures++
			} else {
				over++
			}
		}
		if failures != 2 || over != 1 {
			t.Errorf("told of %d failures and %d ends: %+v", failures, over, w.changes)
		}
		// What is stored says when to ask, for programs that run for a moment.
		w.keys = func(dnsname.Name) ([]key, []key) { return []key{k}, []key{k} }
		w.start()
		pass(time.Minute)
		w.stop()
		before = w.fetches
		for range 100 {
			if err := w.start(); err != nil {
				t.Fatal(err)
			}
			pass(time.Minute)
			w.stop()
		}
		if w.fetches != before {
			t.Errorf("%d queries by a hundred runs within two hours", w.fetches-before)
		}
	})
}

// A clock that is set back only makes waiting longer: no key is trusted sooner, the zone is asked on,
// and when it is right again all is as it was.
func TestClockIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, fresh := newKey(t, "."), newKey(t, ".")
		keys, signers := []key{old}, []key{old}
		w := &world{t: t, store: new(memory), anchors: []dnssec.Anchor{old.anchor(t)}}
		w.keys = func(dnsname.Name) ([]key, []key) { return keys, signers }
		if err := w.start(); err != nil {
			t.Fatal(err)
		}
		defer func() { w.stop() }()
		pass(day)
		keys = []key{old, fresh}
		pass(20 * day)
		w.want("after 20 days", "Valid", "AddPend")
		w.offset = -365 * day
		before := w.fetches
		pass(20 * day)
		w.want("20 more, a year back", "Valid", "AddPend")
		if n := w.fetches - before; n < 15 || n > 25 {
			t.Errorf("%d queries in 20 days after the clock was set back", n)
		}
		w.offset = 0
		pass(2 * day)
		w.want("and right again", "Valid", "Valid")
	})
}

// A zone whose last key is revoked is bogus, and not unvalidated; one below another that is trusted
// counts by its DS there.
func TestLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root, island := newKey(t, "."), newKey(t, "example.")
		gone := make(map[dnsname.Name]bool)
		w := &world{t: t, store: new(memory), anchors: []dnssec.Anchor{root.anchor(t), island.anchor(t)}}
		w.keys = func(zone dnsname.Name) ([]key, []key) {
			k := root
			if !zone.IsRoot() {
				k = island
			}
			if gone[zone] {
				k = k.revoked()
			}
			return []key{k}, []key{k}
		}
		if err := w.start(); err != nil {
			t.Fatal(err)
		}
		defer func() { w.stop() }()
		pass(2 * day)
		w.want("at first", "Valid", "Valid")
		gone[dnsname.MustParse("example.")] = true
		pass(2 * day)
		w.want("the island is lost", "Valid", "Revoked")
		if len(w.installed) != 1 || !w.trusts(root) {
			t.Errorf("got anchors %v, want the root's", w.installed)
		}
		gone[dnsname.Root] = true
		pass(2 * day)
		w.want("all are lost", "Revoked", "Revoked")
		var zones []string
		for _, a := range w.installed {
			zones = append(zones, a.Zone())
		}
		if !slices.Equal(zones, []string{".", "example."}) || w.trusts(root) || w.trusts(island) {
			t.Errorf("got anchors %v, want one for each zone that matches no key", w.installed)
		}
		told := func(c Change) bool { return errors.Is(c.Err, dnssec.ErrNoAnchorLeft) }
		if !slices.ContainsFunc(w.changes, told) {
			t.Errorf("nobody was told: %+v", w.changes)
		}
	})
}

// Keys that one server sends and that do not validate say nothing of those of others.
func TestOtherServersAreAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good, wrong := newKey(t, "."), newKey(t, ".")
		w := &world{t: t, store: new(memory), anchors: []dnssec.Anchor{good.anchor(t)}, servers: 2}
		w.keys = func(dnsname.Name) ([]key, []key) {
			if w.fetches%2 == 1 {
				return []key{wrong}, []key{wrong}
			}
			return []key{good}, []key{good}
		}
		if err := w.start(); err != nil {
			t.Fatal(err)
		}
		pass(time.Hour)
		w.stop()
		if c := w.keeper.Counts(); c.Refreshed != 1 || c.RefreshFailed != 0 || w.fetches != 2 {
			t.Errorf("got %+v with %d queries, want the keys of the second server", c, w.fetches)
		}
	})
}
