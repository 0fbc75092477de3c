package dnssec

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// newRollingZone begins with one key, which is trusted.
func newRollingZone(t testing.TB, first signingKey) *rollingZone {
	t.Helper()
	z := &rollingZone{t: t, now: testTime}
	a, err := NewAnchor(first.dnskey)
	if err != nil {
		t.Fatal(err)
	}
	if z.r, err = NewRollover([]Anchor{a}, z.now); err != nil {
		t.Fatal(err)
	}
	return z
}

// later is the zone's set some days from now.
func (z *rollingZone) later(days int, keys []signingKey, signers ...signingKey) *RRset {
	c := *z
	c.now = z.now.AddDate(0, 0, days)
	return c.set(keys, signers...)
}

func tagged(k signingKey, state string) string { return fmt.Sprint(k.dnskey.KeyTag(), " ", state) }

// A set with 250 keys, signed by a trusted one, is no more than the keys that there is room for,
// and those that were known keep their place. Not signed, it is nothing.
func TestRolloverManyKeys(t *testing.T) {
	z := &rollingZone{t: t}
	old := z.key("old", 257)
	z = newRollingZone(t, old)
	keys := []signingKey{old}
	for i := range 249 {
		keys = append(keys, z.key(fmt.Sprint("flood", i), 257))
	}
	z.see(1, z.later(1, keys, keys[7])) // no trusted signature
	z.now = z.now.AddDate(0, 0, 1)
	r, _, err := z.r.Update(z.set(keys, old), z.now)
	if err != nil || len(r.Keys) != maxRolloverKeys || r.Keys[0].State != KeyValid {
		t.Fatalf("got %d keys, %v, want %d", len(r.Keys), err, maxRolloverKeys)
	}
	if anchors, err := r.Anchors(); err != nil || len(anchors) != 1 || anchors[0].Tag() != old.dnskey.KeyTag() {
		t.Errorf("got %v, %v, want the old key alone", anchors, err)
	}
	text, err := FormatRollovers([]Rollover{r})
	if err != nil {
		t.Fatal(err)
	}
	if back, err := ParseRollover(text); err != nil || len(back.Keys) != maxRolloverKeys {
		t.Errorf("got %d keys, %v when it was stored", len(back.Keys), err)
	}
	// The legitimate case: a zone that leaves old keys unrevoked for ever goes on, the newest
	// missing keys are tried first, and the oldest give way.
	last := old
	z = newRollingZone(t, old)
	for i := range maxRolloverKeys + 20 {
		next := z.key(fmt.Sprint("monthly", i), 257)
		for range 2 {
			z.now = z.now.AddDate(0, 0, 31)
			if z.r, _, err = z.r.Update(z.set([]signingKey{last, next}, last), z.now); err != nil {
				t.Fatalf("month %d: %v", i, err)
			}
		}
		last = next
	}
	anchors, err := z.r.Anchors()
	newest := slices.IndexFunc(anchors, func(a Anchor) bool { return a.Tag() == last.dnskey.KeyTag() })
	if err != nil || len(z.r.Keys) != maxRolloverKeys || newest < 0 || newest >= DefaultDSPerZone {
		t.Errorf("got %d keys, the newest is number %d of those trusted, %v", len(z.r.Keys), newest, err)
	}
}

// RFC 5011 §2.2, §4.1: a key that is not there at a look begins anew, one that signs only for itself
// is not looked at, and one that is revoked while it is new is forgotten.
func TestRolloverNewKeyInterrupted(t *testing.T) {
	z := &rollingZone{t: t}
	old, fresh := z.key("old", 257), z.key("new", 257)
	z = newRollingZone(t, old)
	both := []signingKey{old, fresh}
	z.see(1, z.later(1, both, fresh)) // by itself
	z.see(0, z.later(0, both, old), tagged(old, "Valid"), tagged(fresh, "AddPend"))
	z.see(29, z.later(29, []signingKey{old}, old), tagged(old, "Valid"))
	z.see(1, z.later(1, both, old), tagged(old, "Valid"), tagged(fresh, "AddPend"))
	z.see(29, z.later(29, both, old), tagged(old, "Valid"), tagged(fresh, "AddPend"))
	z.see(1, z.later(1, both, old), tagged(old, "Valid"), tagged(fresh, "Valid"))

	z = newRollingZone(t, old)
	revoked := z.key("new", 257|dns.REVOKE)
	z.see(1, z.later(1, both, old), tagged(old, "Valid"), tagged(fresh, "AddPend"))
	z.see(1, z.later(1, []signingKey{old, revoked}, old, revoked), tagged(old, "Valid"))
	z.see(1, z.later(1, []signingKey{old, revoked}, old, revoked), tagged(old, "Valid")) // and not new as revoked
	zone := z.key("zone", 256)
	z.see(1, z.later(1, []signingKey{old, zone}, old), tagged(old, "Valid")) // no SEP flag: no anchor
}

// RFC 5011 §2.4.1: the hold-down time is the TTL of the set where that is longer.
func TestRolloverHoldDownOfTTL(t *testing.T) {
	z := &rollingZone{t: t}
	old, fresh := z.key("old", 257), z.key("new", 257)
	old.dnskey.Hdr.Ttl, fresh.dnskey.Hdr.Ttl = 40*86400, 40*86400
	z = newRollingZone(t, old)
	both := []signingKey{old, fresh}
	z.see(1, z.later(1, both, old), tagged(old, "Valid"), tagged(fresh, "AddPend"))
	z.see(35, z.later(35, both, old), tagged(old, "Valid"), tagged(fresh, "AddPend"))
	z.see(5, z.later(5, both, old), tagged(old, "Valid"), tagged(fresh, "Valid"))
}

// Somebody on the path replays older sets while their signatures are good: a key stays revoked, a
// new one stays trusted, and none gets in by that.
func TestRolloverReplay(t *testing.T) {
	z := &rollingZone{t: t}
	old, fresh := z.key("old", 257), z.key("new", 257)
	revoked := z.key("old", 257|dns.REVOKE)
	z = newRollingZone(t, old)
	both := []signingKey{old, fresh}
	z.see(1, z.later(1, both, old), tagged(old, "Valid"), tagged(fresh, "AddPend"))
	z.see(31, z.later(31, both, old), tagged(old, "Valid"), tagged(fresh, "Valid"))
	alone, together := z.set([]signingKey{old}, old), z.set(both, old, fresh)
	z.see(1, z.later(1, []signingKey{revoked, fresh}, revoked, fresh), tagged(old, "Revoked"), tagged(fresh, "Valid"))
	z.see(1, alone)
	z.see(1, together, tagged(old, "Revoked"), tagged(fresh, "Valid"))
	z.see(1, together, tagged(old, "Revoked"), tagged(fresh, "Valid"))

	z = newRollingZone(t, old)
	z.see(1, z.later(1, both, old), tagged(old, "Valid"), tagged(fresh, "AddPend"))
	z.see(31, z.later(31, both, old), tagged(old, "Valid"), tagged(fresh, "Valid"))
	z.see(1, z.later(1, []signingKey{old}, old), tagged(old, "Valid"), tagged(fresh, "Missing")) // still trusted
	if anchors, err := z.r.Anchors(); err != nil || len(anchors) != 2 {
		t.Errorf("got %v, %v, want both", anchors, err)
	}
}

// Revocation changes the tag of a key. Where that becomes the tag of another one, each is still taken
// for what it is: a signature of the other revokes nothing.
func TestRolloverTagCollision(t *testing.T) {
	z := &rollingZone{t: t}
	old := z.key("old", 257)
	revoked := z.key("old", 257|dns.REVOKE)
	var twin signingKey
	for i := 42033; ; i++ { // the first of them, so that the test need not look for it
		if twin = z.key(fmt.Sprint("twin", i), 257); twin.dnskey.KeyTag() == revoked.dnskey.KeyTag() {
			break
		}
	}
	z = newRollingZone(t, old)
	z.see(1, z.later(1, []signingKey{old, twin}, old), tagged(old, "Valid"), tagged(twin, "AddPend"))
	z.see(31, z.later(31, []signingKey{old, twin}, old), tagged(old, "Valid"), tagged(twin, "Valid"))
	z.see(1, z.later(1, []signingKey{revoked, twin}, twin), tagged(old, "Valid"), tagged(twin, "Valid"))
	z.see(1, z.later(1, []signingKey{revoked, twin}, twin, revoked), tagged(old, "Revoked"), tagged(twin, "Valid"))
}

// Keys that nothing can be verified with are not taken in, so that a zone that has changed to such
// ones is bogus and not Insecure.
func TestRolloverUnsupportedAlgorithm(t *testing.T) {
	z := &rollingZone{t: t}
	old := z.key("old", 257)
	z = newRollingZone(t, old)
	strange := z.key("strange", 257)
	strange.dnskey.Algorithm = dns.ED448
	both := []signingKey{old, strange}
	z.see(1, z.later(1, both, old), tagged(old, "Valid"))
	z.now = z.now.AddDate(0, 0, 1)
	o := Options{Algorithms: map[uint8]Algorithm{dns.ED448: builtin()[dns.ED25519]}}
	r, _, err := z.r.UpdateWith(o, z.set(both, old), z.now)
	if got := states(t, r); err != nil || len(got) != 2 {
		t.Errorf("with the algorithm: got %q, %v, want the key", got, err)
	}
}

// Two DS of one key are one key as soon as that is seen, and revoked together.
func TestRolloverTwoDigests(t *testing.T) {
	z := &rollingZone{t: t, now: testTime}
	old, fresh := z.key("old", 257), z.key("new", 257)
	var anchors []Anchor
	for _, ds := range []*dns.DS{old.dnskey.ToDS(dns.SHA256), old.dnskey.ToDS(dns.SHA384), fresh.dnskey.ToDS(dns.SHA256)} {
		a, err := NewAnchor(ds)
		if err != nil {
			t.Fatal(err)
		}
		anchors = append(anchors, a)
	}
	var err error
	if z.r, err = NewRollover(anchors, z.now); err != nil {
		t.Fatal(err)
	}
	both := z.r
	z.see(1, z.later(1, []signingKey{old, fresh}, old), tagged(old, "Valid"), tagged(fresh, "Valid"))
	revoked := z.key("old", 257|dns.REVOKE)
	z.see(1, z.later(1, []signingKey{revoked, fresh}, revoked, fresh), tagged(old, "Revoked"), tagged(fresh, "Valid"))
	kept, err := both.KeepRevoked(z.r)
	if got := states(t, kept); err != nil || !slices.Equal(got, states(t, z.r)) {
		t.Errorf("got %q, %v, want both DS to be the revoked key", got, err)
	}
}

// Adopt: what a list may change and what not.
func TestRolloverAdopt(t *testing.T) {
	z := &rollingZone{t: t}
	keys := []signingKey{z.key("valid", 257), z.key("pending", 257), z.key("revoked", 257), z.key("removed", 257), z.key("unknown", 257)}
	r := Rollover{Zone: "example."}
	var anchors []Anchor
	for i, k := range keys {
		a, err := NewAnchor(k.dnskey.ToDS(dns.SHA256))
		if err != nil {
			t.Fatal(err)
		}
		anchors = append(anchors, a)
		if s := []KeyState{KeyValid, KeyAddPend, KeyRevoked, KeyRemoved}; i < len(s) {
			r.Keys = append(r.Keys, RolloverKey{Record: k.dnskey.String(), State: s[i], Since: testTime, HoldDown: testTime.Add(time.Hour)})
		}
	}
	got, err := r.Adopt(anchors, testTime)
	want := []string{tagged(keys[0], "Valid"), tagged(keys[1], "Valid"), tagged(keys[2], "Revoked"), tagged(keys[3], "Removed"), tagged(keys[4], "Valid")}
	if err != nil || !slices.Equal(states(t, got), want) {
		t.Errorf("got %q, %v, want %q", states(t, got), err, want)
	}
	if r.Keys[1].State != KeyAddPend || len(r.Keys) != 4 {
		t.Error("the receiver has changed")
	}
	if again, err := got.Adopt(anchors, testTime); err != nil || len(again.Keys) != len(got.Keys) {
		t.Errorf("once more: got %d keys, %v", len(again.Keys), err)
	}
	if _, err := r.Adopt(DefaultAnchors(), testTime); !errors.Is(err, ErrRollover) {
		t.Errorf("of another zone: got %v", err)
	}
}

// A zone that publishes new keys by the hundred keeps out neither an anchor of a newer library nor a
// revocation: its newest key that is not trusted yet gives way, then the one missing for the longest time.
func TestRolloverFull(t *testing.T) {
	z := &rollingZone{t: t}
	valid, adopted, revoked := z.key("valid", 257), z.key("adopted", 257), z.key("revoked", 257)
	full := func(state KeyState) Rollover {
		r := newRollingZone(t, valid).r
		for i := range maxRolloverKeys - 1 {
			r.Keys = append(r.Keys, RolloverKey{
				Record: z.key(fmt.Sprint(i), 257).dnskey.String(), State: state,
				Since: testTime.AddDate(0, 0, i), HoldDown: testTime.AddDate(0, 0, i+30),
			})
		}
		return r
	}
	a, err := NewAnchor(adopted.dnskey)
	if err != nil {
		t.Fatal(err)
	}
	from := newRollingZone(t, revoked).r
	from.Keys[0].State, from.Keys[0].HoldDown = KeyRevoked, testTime.AddDate(0, 0, 30)
	for state, gone := range map[KeyState]int{KeyAddPend: maxRolloverKeys - 1, KeyMissing: 1} {
		r := full(state)
		for label, change := range map[string]func() (Rollover, error){
			tagged(adopted, "Valid"):   func() (Rollover, error) { return r.Adopt([]Anchor{a}, testTime) },
			tagged(revoked, "Revoked"): func() (Rollover, error) { return r.KeepRevoked(from) },
		} {
			got, err := change()
			if err != nil {
				t.Fatalf("%v, %s: %v", state, label, err)
			}
			want := slices.Concat(states(t, r)[:gone], states(t, r)[gone+1:], []string{label})
			if !slices.Equal(states(t, got), want) {
				t.Errorf("%v: got %q, want %q", state, states(t, got), want)
			}
		}
		if len(r.Keys) != maxRolloverKeys || r.Keys[gone].State != state {
			t.Errorf("%v: the receiver has changed", state)
		}
	}
	r := full(KeyValid)
	if _, err := r.Adopt([]Anchor{a}, testTime); !errors.Is(err, ErrRollover) {
		t.Errorf("all are trusted: got %v", err)
	}
	if _, err := r.KeepRevoked(from); !errors.Is(err, ErrRollover) {
		t.Errorf("all are trusted: got %v", err)
	}
}

// Several zones are one text; what is no such text is refused as a whole.
func TestParseRollovers(t *testing.T) {
	z := &rollingZone{t: t}
	a := newRollingZone(t, z.key("a", 257)).r
	b, err := NewRollover(DefaultAnchors(), testTime)
	if err != nil {
		t.Fatal(err)
	}
	text, err := FormatRollovers([]Rollover{a, b})
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseRollovers(text)
	if err != nil || len(got) != 2 || got[0].Zone != "example." || len(got[1].Keys) != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
	if anchors, err := ParseAnchors(strings.NewReader(string(text))); err != nil || len(anchors) != 3 {
		t.Errorf("got anchors %v, %v", anchors, err)
	}
	if _, err := ParseRollover(text); !errors.Is(err, ErrRollover) {
		t.Errorf("two zones where one is wanted: got %v", err)
	}
	for label, bad := range map[string]string{
		"none": "", "blanks": " \n", "cut": string(text[:len(text)-5]), "twice": string(text) + string(text),
		"more behind it": string(text) + "x", "large": strings.Repeat(" ", maxAnchorFile) + string(text),
	} {
		if states, err := ParseRollovers([]byte(bad)); !errors.Is(err, ErrRollover) || states != nil {
			t.Errorf("%s: got %v, %v", label, states, err)
		} else if empty := strings.TrimSpace(bad) == ""; empty != strings.HasSuffix(err.Error(), ": empty") {
			t.Errorf("%s: got %v", label, err)
		}
	}
	many := Rollover{Zone: "example."}
	for i := range maxRolloverKeys + 1 {
		many.Keys = append(many.Keys, RolloverKey{Record: z.key(fmt.Sprint(i), 257).dnskey.String(), State: KeyValid})
	}
	if text, err = FormatRollovers([]Rollover{many}); err != nil {
		t.Fatal(err)
	}
	if _, err := ParseRollovers(text); !errors.Is(err, ErrRollover) {
		t.Errorf("too many keys: got %v", err)
	}
}

// Of the missing keys the newest come first: a validator tries eight.
func TestRolloverMissingOrder(t *testing.T) {
	z := &rollingZone{t: t}
	r := Rollover{Zone: "example."}
	var want []uint16
	for i := range 12 {
		k := z.key(fmt.Sprint(i), 257)
		r.Keys = append(r.Keys, RolloverKey{Record: k.dnskey.String(), State: KeyMissing, Since: testTime.AddDate(0, i, 0)})
		want = append([]uint16{k.dnskey.KeyTag()}, want...)
	}
	valid := z.key("valid", 257)
	r.Keys = append(r.Keys, RolloverKey{Record: valid.dnskey.String(), State: KeyValid})
	want = append([]uint16{valid.dnskey.KeyTag()}, want...)
	anchors, err := r.Anchors()
	var got []uint16
	for _, a := range anchors {
		got = append(got, a.Tag())
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}
