package dnssec

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

const testDay = 24 * time.Hour

// signedFor returns the root's keys, signed for those times by a key, as the first link of a chain.
func (z *testZone) signedFor(key signingKey, times ...validity) Link {
	records := z.records["."][dns.TypeDNSKEY]
	all := records
	for _, v := range times {
		all = append(all[:len(all):len(all)], key.sign(z.t, v, records...))
	}
	return Link{Name: dnsname.Root, Type: dns.TypeDNSKEY, Answer: []*RRset{mustSet(z.t, all...)}}
}

// The clock is blamed only by signatures of an anchored key, all of another time, by more than a day
// behind it or three after it; and it is not fast where anything is newer than they are.
func TestClockError(t *testing.T) {
	w := signedTree(t, zoneOptions{split: true})
	root, noon := w.zones["."], time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	from := func(begin, end time.Duration) validity { return validity{noon.Add(begin), noon.Add(end)} }
	answer := Link{Name: name("example."), Type: dns.TypeDS, Answer: []*RRset{
		mustSet(t, append(root.records["example."][dns.TypeDS], root.zsk.sign(t, from(-40*testDay, -10*testDay), root.records["example."][dns.TypeDS]...))...),
	}}
	future, past := from(26*time.Hour, 20*testDay), from(-60*testDay, -30*testDay)
	forged := root.signedFor(root.ksk, future)
	forged.Answer[0].Signatures = forged.Answer[0].Signatures[:len(forged.Answer[0].Signatures)-1] + "x"
	for about, c := range map[string]struct {
		chain       []Link
		known       time.Time
		least, most time.Duration // of how far the clock is behind, or below zero ahead; 0: not blamed
	}{
		"no keys":                                {chain: []Link{answer, {Name: dnsname.Root, Type: dns.TypeDNSKEY}}},
		"slow":                                   {[]Link{root.signedFor(root.ksk, future)}, time.Time{}, 26 * time.Hour, 20 * testDay},
		"slow, by hours":                         {chain: []Link{root.signedFor(root.ksk, from(23*time.Hour, 20*testDay))}},
		"slow, by a signature that is bad":       {chain: []Link{forged}},
		"slow, by a key that no anchor matches":  {chain: []Link{root.signedFor(root.zsk, future)}},
		"slow, beside a signature that is valid": {chain: []Link{root.signedFor(root.ksk, future, from(-testDay, testDay))}},
		"slow, by the nearer of two":             {[]Link{root.signedFor(root.ksk, future, from(3*testDay, 30*testDay))}, time.Time{}, 3 * testDay, 30 * testDay},
		"fast":                                   {[]Link{root.signedFor(root.ksk, past)}, time.Time{}, -30 * testDay, -60 * testDay},
		"fast, by days":                          {chain: []Link{root.signedFor(root.ksk, from(-60*testDay, -70*time.Hour))}},
		"fast, by the later of two":              {[]Link{root.signedFor(root.ksk, past, from(-50*testDay, -20*testDay))}, time.Time{}, -20 * testDay, -50 * testDay},
		"fast, with what was signed before":      {[]Link{root.signedFor(root.ksk, from(-60*testDay, -30*testDay), from(-60*testDay, -39*testDay)), answer}, noon.Add(-31 * testDay), -30 * testDay, -60 * testDay},
		"an answer that is newer":                {chain: []Link{root.signedFor(root.ksk, from(-80*testDay, -41*testDay)), answer}},
		"newer ones were seen":                   {chain: []Link{root.signedFor(root.ksk, past)}, known: noon.Add(-29 * testDay)},
		"slow, whatever was seen":                {[]Link{root.signedFor(root.ksk, future), answer}, noon.Add(-testDay), 26 * time.Hour, 20 * testDay},
	} {
		e := w.v.Evidence(noon, noon, NewWork(Limits{}))
		got := e.ClockError(c.chain, c.known)
		if (got != nil) != (c.least != 0) {
			t.Errorf("%s: got %v", about, got)
		}
		if got == nil {
			continue
		}
		if got.IsSlow() != (c.least > 0) || got.AtLeast() != c.least.Abs() || got.AtMost() != c.most.Abs() || !got.Clock.Equal(noon) {
			t.Errorf("%s: got slow %t, %v to %v, want %v to %v", about, got.IsSlow(), got.AtLeast(), got.AtMost(), c.least, c.most)
		}
		reason := got.Reason()
		var err error = &BogusError{Reason: reason}
		var back *ClockError
		if !errors.Is(err, ErrClock) || !errors.As(err, &back) || back != got || reason.KeyTag != root.ksk.dnskey.KeyTag() {
			t.Errorf("%s: got %v, of key %d", about, err, reason.KeyTag)
		}
		if text := err.Error(); strings.Count(text, ErrClock.Error()) != 1 || !strings.HasPrefix(text, "bogus: signature ") {
			t.Errorf("%s: got %q", about, text)
		}
	}
	// What it costs is charged, and where nothing is left the clock is not blamed.
	work := NewWork(Limits{SignatureChecks: 1})
	e := w.v.Evidence(noon, noon, work)
	if e.ClockError([]Link{root.signedFor(root.ksk, future)}, time.Time{}) == nil || work.Spent().SignatureChecks != 1 {
		t.Errorf("spent %+v, want one check", work.Spent())
	}
	if got := e.ClockError([]Link{root.signedFor(root.ksk, past)}, time.Time{}); got != nil {
		t.Errorf("with no check left: got %v", got)
	}
}

// The fields of a signature mean the time that is closest to the clock, but none before 1970.
func TestMoment(t *testing.T) {
	for _, c := range []struct{ clock, want time.Time }{
		{time.Unix(0, 0), time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)},
		{time.Unix(-10, 0), time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)},
		{time.Unix(0, 0), time.Date(2050, 12, 1, 0, 0, 0, 0, time.UTC)},
		{time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), time.Date(1999, 12, 1, 0, 0, 0, 0, time.UTC)},
		{time.Date(2106, 2, 8, 0, 0, 0, 0, time.UTC), time.Date(2106, 2, 6, 0, 0, 0, 0, time.UTC)},
		{time.Date(2106, 2, 6, 0, 0, 0, 0, time.UTC), time.Date(2106, 2, 8, 0, 0, 0, 0, time.UTC)},
	} {
		if got := momentNear(uint32(c.want.Unix()), c.clock); !got.Equal(c.want) {
			t.Errorf("at %v: got %v, want %v", c.clock, got, c.want)
		}
	}
}

// The newest signature that was good tells how late it is at least.
func TestSignedAt(t *testing.T) {
	w := signedTree(t, zoneOptions{})
	w.expect("caa.example.", dns.TypeCAA, Secure, ReasonNone)
	if got := w.last.SignedAt(); !got.Equal(testValidity.inception) {
		t.Errorf("got %v, want %v", got, testValidity.inception)
	}
	if got := w.evidence().SignedAt(); !got.IsZero() {
		t.Errorf("of nothing: got %v", got)
	}
}
