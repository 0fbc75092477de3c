package dnssec

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/test/realdata"
)

// states returns the keys of a Rollover as "tag state".
func states(t testing.TB, r Rollover) []string {
	t.Helper()
	keys, err := r.parse()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for i, k := range keys {
		out = append(out, fmt.Sprintf("%d %s", k.Tag(), r.Keys[i].State))
	}
	return out
}

// snapshot is a DNSKEY RRset of the root and when it was seen.
type snapshot struct {
	at  time.Time
	set *RRset
}

// rootHistory returns the root's DNSKEY RRsets from 2015 to 2026.
func rootHistory(t testing.TB) []snapshot {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(realdata.Path(t, "root/apex"), "*.zone"))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		blocks = append(blocks, string(text))
	}
	var block strings.Builder
	lines := bufio.NewScanner(realData(t, "root", "dnskey-history-2023-2026.zone.txt"))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "; ====") && block.Len() > 0 {
			blocks = append(blocks, block.String())
			block.Reset()
		}
		block.WriteString(lines.Text() + "\n")
	}
	blocks = append(blocks, block.String())
	var all []snapshot
	for _, b := range blocks {
		all = append(all, newSnapshot(t, b))
	}
	slices.SortStableFunc(all, func(a, b snapshot) int { return a.at.Compare(b.at) })
	return all
}

// newSnapshot reads a block of the root zone; it was seen in the night after the day
// that its serial names.
func newSnapshot(t testing.TB, text string) snapshot {
	t.Helper()
	sets, err := GroupRRsets(parseZone(t, strings.NewReader(text)), false)
	if err != nil {
		t.Fatal(err)
	}
	var s snapshot
	for _, set := range sets {
		if set.Owner.IsRoot() && set.Type == dns.TypeDNSKEY {
			s.set = set
		}
		if set.Owner.IsRoot() && set.Type == dns.TypeSOA {
			rrs, err := set.AppendRRs(nil, 0, false)
			if err != nil {
				t.Fatal(err)
			}
			day := fmt.Sprint(rrs[0].(*dns.SOA).Serial / 100)
			if s.at, err = time.Parse("20060102", day); err != nil {
				t.Fatal(err)
			}
			s.at = s.at.Add(24 * time.Hour)
		}
	}
	return s
}

// TestRealRollover replays the root's key history from KSK-2010, through the roll to
// KSK-2017 and the appearance of KSK-2024.
func TestRealRollover(t *testing.T) {
	history := rootHistory(t)
	ksk2010, err := ParseAnchors(strings.NewReader(
		". IN DS 19036 8 2 49AAC11D7B6F6446702E54A1607371607A1A41855200FD2CE1CDDE32F24E8FB5"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRollover(ksk2010, history[0].at)
	if err != nil {
		t.Fatal(err)
	}
	for _, milestone := range []struct {
		until string // the last day of the phase
		want  []string
	}{
		{"2017-07-01", []string{"19036 Valid"}},
		{"2017-08-01", []string{"19036 Valid", "20326 AddPend"}},
		{"2019-01-01", []string{"19036 Valid", "20326 Valid"}},
		{"2019-03-01", []string{"19036 Revoked", "20326 Valid"}},
		{"2024-12-01", []string{"19036 Removed", "20326 Valid"}},
		{"2025-01-20", []string{"19036 Removed", "20326 Valid", "38696 AddPend"}},
		{"2027-01-01", []string{"19036 Removed", "20326 Valid", "38696 Valid"}},
	} {
		end, err := time.Parse(time.DateOnly, milestone.until)
		if err != nil {
			t.Fatal(err)
		}
		for len(history) > 0 && history[0].at.Before(end) {
			var next time.Time
			if r, next, err = r.Update(history[0].set, history[0].at); err != nil {
				t.Fatalf("%s: %v", history[0].at, err)
			}
			if wait := next.Sub(history[0].at); wait < time.Hour || wait > 15*24*time.Hour {
				t.Errorf("%s: asks again after %s", history[0].at, wait)
			}
			history = history[1:]
		}
		if got := states(t, r); !slices.Equal(got, milestone.want) {
			t.Errorf("until %s: got %q, want %q", milestone.until, got, milestone.want)
		}
		text, err := json.Marshal(r) // stored and restored in between
		if err != nil {
			t.Fatal(err)
		}
		var restored Rollover
		if err := json.Unmarshal(text, &restored); err != nil {
			t.Fatal(err)
		}
		r = restored
	}
	if len(history) != 0 {
		t.Errorf("%d snapshots not replayed", len(history))
	}
	anchors, err := r.Anchors()
	if err != nil || len(anchors) != 2 {
		t.Fatalf("got %v, %v, want both keys", anchors, err)
	}
	for i, a := range DefaultAnchors() { // what is shipped is what the history leads to
		key := zoneKey{Key: anchors[i].key, rdata: anchors[i].rdata}
		if !a.matches(a.zone, &key) {
			t.Errorf("%s does not match %s", anchors[i], a)
		}
	}
}

// rollingZone makes DNSKEY RRsets of any keys and signers.
type rollingZone struct {
	t   testing.TB
	now time.Time
	r   Rollover
}

func (z *rollingZone) key(role string, flags uint16) signingKey {
	return newSigningKey(z.t, "example.", role, flags, dns.ED25519)
}

func (z *rollingZone) set(keys []signingKey, signers ...signingKey) *RRset {
	var rrs []dns.RR
	for _, k := range keys {
		rrs = append(rrs, k.dnskey)
	}
	plain := slices.Clone(rrs)
	for _, s := range signers {
		rrs = append(rrs, s.sign(z.t, validity{z.now.Add(-time.Hour), z.now.Add(10 * 24 * time.Hour)}, plain...))
	}
	return mustSet(z.t, rrs...)
}

// see updates after some days and compares states; an empty want expects failure.
func (z *rollingZone) see(days int, set *RRset, want ...string) {
	z.t.Helper()
	before := states(z.t, z.r)
	z.now = z.now.AddDate(0, 0, days)
	r, next, err := z.r.Update(set, z.now)
	if !next.After(z.now) {
		z.t.Errorf("asks again at %s, which is now", next)
	}
	if len(want) == 0 {
		var bogus *BogusError
		if !errors.As(err, &bogus) {
			z.t.Errorf("got %v, %v, want a refusal", states(z.t, r), err)
		}
		want = before
	} else if err != nil {
		z.t.Fatal(err)
	}
	if got := states(z.t, r); !slices.Equal(got, want) {
		z.t.Errorf("got %q, want %q", got, want)
	}
	z.r = r
}

// TestRollover goes through the states of RFC 5011 §4.
func TestRollover(t *testing.T) {
	z := &rollingZone{t: t, now: testTime}
	old, fresh, zsk := z.key("old", 257), z.key("new", 257), z.key("zsk", 256)
	anchor, err := NewAnchor(old.dnskey)
	if err != nil {
		t.Fatal(err)
	}
	if z.r, err = NewRollover([]Anchor{anchor}, z.now); err != nil {
		t.Fatal(err)
	}
	o, f := fmt.Sprint(old.dnskey.KeyTag()), fmt.Sprint(fresh.dnskey.KeyTag())
	both := []signingKey{old, fresh, zsk}
	at := func(days int) *rollingZone { c := *z; c.now = z.now.AddDate(0, 0, days); return &c }

	z.see(1, at(1).set([]signingKey{old, zsk}, old), o+" Valid")
	z.see(1, at(1).set(both, old), o+" Valid", f+" AddPend")
	z.see(20, at(20).set([]signingKey{old, zsk}, old), o+" Valid") // gone before its time: Start
	z.see(1, at(1).set(both, old), o+" Valid", f+" AddPend")       // from the beginning
	z.see(29, at(29).set(both, old), o+" Valid", f+" AddPend")     // one day short
	z.see(0, at(0).set(both, fresh))                               // it may not sign for itself yet
	z.see(2, at(2).set(both, old), o+" Valid", f+" Valid")         // now it is trusted
	z.see(1, at(1).set([]signingKey{fresh, zsk}, fresh), o+" Missing", f+" Valid")
	z.see(1, at(1).set(both, fresh), o+" Valid", f+" Valid")

	revoked := z.key("old", 257|0x80)
	with := []signingKey{revoked, fresh, zsk}
	z.see(1, at(1).set(with, fresh), o+" Valid", f+" Valid") // the flag without the key's signature
	z.see(1, at(1).set(with, fresh, revoked), o+" Revoked", f+" Valid")
	anchors, err := z.r.Anchors()
	if err != nil || len(anchors) != 1 || fmt.Sprint(anchors[0].Tag()) != f {
		t.Errorf("got %v, %v, want the new key only", anchors, err)
	}
	z.see(40, at(40).set(with, fresh, revoked), o+" Revoked", f+" Valid") // remembered while it is there
	z.see(1, at(1).set([]signingKey{fresh, zsk}, fresh), o+" Removed", f+" Valid")
	z.see(1, at(1).set(both, fresh), o+" Removed", f+" Valid") // never again
	z.see(60, at(60).set(both, fresh), o+" Removed", f+" Valid")
	z.see(1, at(1).set(both, old))

	// The last key is revoked: nobody is left to validate the set, and no new key
	// comes in by it.
	gone := z.key("new", 257|0x80)
	z.now = z.now.AddDate(0, 0, 1)
	set := z.set([]signingKey{gone, z.key("third", 257)}, gone)
	for range 2 { // and it is said again each time
		next := time.Time{}
		if z.r, next, err = z.r.Update(set, z.now); !errors.Is(err, ErrNoAnchorLeft) || !next.After(z.now) {
			t.Errorf("got %v, and to ask again at %s, want %v", err, next, ErrNoAnchorLeft)
		}
		if got, want := states(t, z.r), []string{o + " Removed", f + " Revoked"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if anchors, err := z.r.Anchors(); !errors.Is(err, ErrNoAnchorLeft) || len(anchors) != 0 {
			t.Errorf("got %v, %v, want %v", anchors, err, ErrNoAnchorLeft)
		}
	}
}

func TestRolloverErrors(t *testing.T) {
	if _, err := NewRollover(nil, testTime); !errors.Is(err, ErrRollover) {
		t.Errorf("no anchors: got %v", err)
	}
	z := &rollingZone{t: t, now: testTime}
	a, err := NewAnchor(z.key("a", 257).dnskey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewRollover(append(DefaultAnchors(), a), testTime); !errors.Is(err, ErrRollover) {
		t.Errorf("two zones: got %v", err)
	}
	set := z.set([]signingKey{z.key("a", 257)}, z.key("a", 257))
	for label, r := range map[string]Rollover{
		"no record":    {Zone: "example.", Keys: []RolloverKey{{}}},
		"no anchor":    {Zone: "example.", Keys: []RolloverKey{{Record: "example. A 192.0.2.1"}}},
		"other zone":   {Zone: ".", Keys: []RolloverKey{{Record: a.String()}}},
		"no such name": {Zone: "exa..mple.", Keys: nil},
		"twice":        {Zone: "example.", Keys: []RolloverKey{{Record: a.String(), State: KeyValid}, {Record: a.String(), State: KeyValid}}},
		"no hold-down": {Zone: "example.", Keys: []RolloverKey{{Record: a.String(), State: KeyAddPend}}},
	} {
		if text, err := json.Marshal(r); err != nil {
			t.Errorf("%s: %v", label, err)
		} else if _, err := ParseRollover(text); !errors.Is(err, ErrRollover) || strings.Contains(err.Error(), "%!") {
			t.Errorf("%s: ParseRollover: got %v", label, err)
		}
		if _, _, err := r.Update(set, testTime); !errors.Is(err, ErrRollover) {
			t.Errorf("%s: got %v", label, err)
		}
	}
	var s KeyState
	if err := s.UnmarshalText([]byte("Start")); !errors.Is(err, ErrRollover) {
		t.Errorf("got %v", err)
	}
	if got := KeyState(99).String(); got != "unknown" {
		t.Errorf("got %q", got)
	}
}

// Who looked at the root's keys as rarely as this has no anchor in the end: KSK-2010 was
// revoked before KSK-2017 could be trusted. That is an error, which stays one, and what was
// stored says so wherever anchors are read from it.
func TestSleptThroughTheRoll(t *testing.T) {
	ksk2010, err := ParseAnchors(strings.NewReader(
		". IN DS 19036 8 2 49AAC11D7B6F6446702E54A1607371607A1A41855200FD2CE1CDDE32F24E8FB5"))
	if err != nil {
		t.Fatal(err)
	}
	for _, looked := range [][]string{{"2016-10", "2018-02", "2019-02", "2026-01"}, {"2016-10", "2019-02", "2020-05"}} {
		history := rootHistory(t)
		r, err := NewRollover(ksk2010, history[0].at)
		if err != nil {
			t.Fatal(err)
		}
		for _, month := range looked {
			i := slices.IndexFunc(history, func(s snapshot) bool { return strings.HasPrefix(s.at.Format(time.DateOnly), month) })
			if i < 0 {
				continue
			}
			r, _, err = r.Update(history[i].set, history[i].at)
			if month >= "2019-02" != errors.Is(err, ErrNoAnchorLeft) {
				t.Errorf("%s: got %v", month, err)
			}
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if anchors, err := ParseAnchors(bytes.NewReader(text)); !errors.Is(err, ErrNoAnchorLeft) {
			t.Errorf("got %v, %v from the file, want %v", anchors, err, ErrNoAnchorLeft)
		}
	}
}

// Anchors are read from a Rollover that was stored: Valid and Missing keys, and no others.
func TestParseAnchorsOfRollover(t *testing.T) {
	z := &rollingZone{t: t, now: testTime}
	r := Rollover{Zone: "example."}
	for i, state := range []KeyState{KeyValid, KeyMissing, KeyAddPend, KeyRevoked, KeyRemoved} {
		a, err := NewAnchor(z.key(fmt.Sprint(i), 257).dnskey)
		if err != nil {
			t.Fatal(err)
		}
		r.Keys = append(r.Keys, RolloverKey{Record: a.String(), State: state, Since: testTime, HoldDown: testTime})
	}
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	anchors, err := ParseAnchors(bytes.NewReader(append([]byte("\n "), text...)))
	if err != nil || len(anchors) != 2 || anchors[0].String() != r.Keys[0].Record || anchors[1].String() != r.Keys[1].Record {
		t.Errorf("got %v, %v, want the first two keys", anchors, err)
	}
	if anchors, err := ParseAnchors(bytes.NewReader(text[:len(text)-2])); !errors.Is(err, ErrRollover) {
		t.Errorf("got %v, %v from half a file, want %v", anchors, err, ErrRollover)
	}
}
