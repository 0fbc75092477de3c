package dnssec

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

func TestDefaultAnchors(t *testing.T) {
	anchors := DefaultAnchors()
	if len(anchors) != 2 || anchors[0].Tag() != 20326 || anchors[1].Tag() != 38696 {
		t.Fatalf("got %v, want 20326 and 38696", anchors)
	}
	for _, a := range anchors {
		if a.Zone() != "." {
			t.Errorf("got an anchor of %s", a.Zone())
		}
	}
	f := realData(t, "root", "root.ds") // as Debian ships them
	shipped, err := ParseAnchors(f)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ParseAnchors(realData(t, "root", "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range anchors {
		if a != shipped[i] {
			t.Errorf("got %s, want %s", a, shipped[i])
		}
		if !a.matches(dnsname.Root, &zoneKey{Key: keys[i].key, rdata: keys[i].rdata}) {
			t.Errorf("%s is not the digest of %s", a, keys[i])
		}
	}
}

func TestParseAnchors(t *testing.T) {
	const key = "257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4="
	for label, c := range map[string]struct {
		text  string
		zones []string
		err   string // part of the error
	}{
		"DS and DNSKEY": {"; comment\nexample. DS 1 15 2 (\n" + strings.Repeat("AB", 32) + " ) ; more\n\nsub.example. 3600 IN DNSKEY " + key + "\n",
			[]string{"example.", "sub.example."}, ""},
		"relative names": {"example DNSKEY " + key + "\n", []string{"example."}, ""},
		"root":           {". 0 IN DNSKEY " + key, []string{"."}, ""},
		"upper case":     {"EXAMPLE. DNSKEY " + key, []string{"example."}, ""},
		"nothing":        {"; only a comment\n", nil, "line 1: "},
		"another type":   {"example. DNSKEY " + key + "\nexample. A 192.0.2.1\n", nil, "line 2: "},
		"another class":  {"example. CH DNSKEY " + key + "\n", nil, "line 1: "},
		"not a zone key": {"\n\nexample. DNSKEY 1 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=\n", nil, "line 3: "},
		"revoked":        {"example. DNSKEY 385 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=\n", nil, "line 1: "},
		"bad base 64":    {"example. DNSKEY 257 3 15 !!!\n", nil, "line 1: "},
		"short DS":       {"example. DS 1 15 2\n", nil, "line 1: "},
		"syntax":         {"example. DNSKEY " + key + "\nexample. DS one 15 2 AB\n", nil, "line: 2"},
		"too large":      {strings.Repeat(";", maxAnchorFile+1), nil, "more than"},
	} {
		got, err := ParseAnchors(strings.NewReader(c.text))
		if c.err != "" {
			if !errors.Is(err, ErrAnchor) || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: got error %v, want one with %q", label, err, c.err)
			}
			continue
		}
		if err != nil || len(got) != len(c.zones) {
			t.Errorf("%s: got %v, %v, want %v", label, got, err, c.zones)
			continue
		}
		for i := range got {
			if got[i].Zone() != c.zones[i] {
				t.Errorf("%s: got an anchor of %s, want %s", label, got[i].Zone(), c.zones[i])
			}
			again, err := ParseAnchors(strings.NewReader(got[i].String()))
			if err != nil || len(again) != 1 || again[0] != got[i] {
				t.Errorf("%s: %s reads as %v, %v", label, got[i], again, err)
			}
		}
	}
	broken := errors.New("disk")
	if _, err := ParseAnchors(io.MultiReader(strings.NewReader("example. "), errReader{broken})); !errors.Is(err, broken) {
		t.Errorf("got %v, want the error of the reader", err)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func TestZeroAnchor(t *testing.T) {
	var a Anchor
	if a.Zone() != "" || a.String() != "" {
		t.Errorf("got %q, %q, want nothing", a.Zone(), a.String())
	}
	if _, err := New(Options{Anchors: []Anchor{a}}); !errors.Is(err, ErrAnchor) {
		t.Errorf("got %v, want a refusal", err)
	}
	if _, err := New(Options{NegativeAnchors: []NegativeAnchor{{}}}); !errors.Is(err, dnsname.ErrEmpty) {
		t.Errorf("got %v, want a refusal", err)
	}
	long := &dns.DS{Hdr: dns.RR_Header{Name: strings.Repeat("a", 64) + ".", Rrtype: dns.TypeDS, Class: dns.ClassINET}, Digest: "AB"}
	if _, err := NewAnchor(long); !errors.Is(err, ErrAnchor) {
		t.Errorf("got %v, want a refusal", err)
	}
}

// TestAnchorKinds: DS and DNSKEY as anchors, several at a zone, of use or not.
func TestAnchorKinds(t *testing.T) {
	w := newKeyedWorld(t, zoneOptions{split: true})
	ksk, err := NewAnchor(w.zone.ksk.dnskey)
	if err != nil {
		t.Fatal(err)
	}
	zsk, err := NewAnchor(w.zone.zsk.dnskey)
	if err != nil {
		t.Fatal(err)
	}
	ds := func(change func(*dns.DS)) Anchor {
		record := *w.zone.ds()
		change(&record)
		a, err := NewAnchor(&record)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	good := ds(func(*dns.DS) {})
	for label, c := range map[string]struct {
		anchors []Anchor
		status  Status
		reason  ReasonCode
	}{
		"DS":                     {[]Anchor{good}, Secure, 0},
		"DNSKEY":                 {[]Anchor{ksk}, Secure, 0},
		"DNSKEY that signs data": {[]Anchor{zsk}, Bogus, ReasonNoKey},
		"unknown key beside":     {[]Anchor{ds(func(d *dns.DS) { d.KeyTag++ }), good}, Secure, 0},
		"unknown key":            {[]Anchor{ds(func(d *dns.DS) { d.KeyTag++ })}, Bogus, ReasonDSMismatch},
		"unsupported digest":     {[]Anchor{ds(func(d *dns.DS) { d.DigestType = 3 })}, Insecure, ReasonAlgorithm},
		"unsupported algorithm":  {[]Anchor{ds(func(d *dns.DS) { d.Algorithm = 16 })}, Insecure, ReasonAlgorithm},
		"not yet valid":          {[]Anchor{{ValidFrom: testTime.Add(1), zone: good.zone, rdata: good.rdata, ds: good.ds, isDS: true}, ds(func(d *dns.DS) { d.KeyTag++ })}, Bogus, ReasonDSMismatch},
		"no longer valid":        {[]Anchor{{ValidUntil: testTime, zone: good.zone, rdata: good.rdata, ds: good.ds, isDS: true}, ds(func(d *dns.DS) { d.KeyTag++ })}, Bogus, ReasonDSMismatch},
		"valid": {[]Anchor{{ValidFrom: testTime, ValidUntil: testTime.Add(time.Second), zone: good.zone, rdata: good.rdata,
			ds: good.ds, isDS: true}}, Secure, 0},
		"none": {[]Anchor{}, Indeterminate, ReasonNoAnchor},
	} {
		t.Run(label, func(t *testing.T) {
			w.t = t
			w.v = mustValidator(t, Options{Anchors: c.anchors})
			w.expect("www.example.", dns.TypeA, c.status, c.reason)
			w.expect("www.example.", dns.TypeTXT, c.status, c.reason)
		})
	}
}

// TestUnusableAnchors: anchors outside their time vouch for nothing, but do not make
// the zone Insecure either.
func TestUnusableAnchors(t *testing.T) {
	w := newKeyedWorld(t, zoneOptions{})
	late := w.zone.anchor()
	late.ValidFrom = testTime.Add(time.Hour)
	w.v = mustValidator(t, Options{Anchors: []Anchor{late}})
	w.expect("www.example.", dns.TypeA, Bogus, ReasonDSMismatch)
}
