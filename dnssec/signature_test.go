package dnssec

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// resigned returns a set signed anew by a zone's key after change has had its way with
// the RRSIG's fields; the signature itself is then over those.
func resigned(t testing.TB, z *testZone, s *RRset, change func(*dns.RRSIG)) *RRset {
	t.Helper()
	sig := &dns.RRSIG{
		Hdr:         dns.RR_Header{Name: s.Owner.String(), Rrtype: dns.TypeRRSIG, Class: s.Class, Ttl: s.TTL},
		TypeCovered: s.Type, Algorithm: z.zsk.dnskey.Algorithm, Labels: uint8(s.Owner.Labels()), OrigTtl: s.TTL,
		Inception: uint32(testValidity.inception.Unix()), Expiration: uint32(testValidity.expiration.Unix()),
		KeyTag: z.zsk.dnskey.KeyTag(), SignerName: z.name, Signature: "AAAA",
	}
	if s.Owner.IsWildcard() {
		sig.Labels--
	}
	change(sig)
	_, rdata, err := pack(sig)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := ParseSignature(rdata)
	if err != nil {
		t.Fatal(err)
	}
	message := signedMessage{set: s}
	raw := z.zsk.signBytes(t, message.signedData(&parsed))
	c := *s
	c.Signatures = Pack(rdata[:len(rdata)-len(parsed.Signature)] + raw)
	return &c
}

// signBytes signs with Ed25519, which takes the message itself.
func (k signingKey) signBytes(t testing.TB, message []byte) string {
	t.Helper()
	raw, err := k.signer.Sign(nil, message, ed25519Options)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestSignatureFields: fields that RFC 4035 §5.3.1 rules out, each in a signature
// that is otherwise good.
func TestSignatureFields(t *testing.T) {
	w := newKeyedWorld(t, zoneOptions{})
	www := w.zone.set("www.example.", dns.TypeA)
	second := uint32(1)
	now := uint32(testTime.Unix())
	for label, c := range map[string]struct {
		change func(*dns.RRSIG)
		status Status
		reason ReasonCode
		ede    uint16
	}{
		"as it should be":                {func(s *dns.RRSIG) {}, Secure, 0, 0},
		"another type covered":           {func(s *dns.RRSIG) { s.TypeCovered = dns.TypeAAAA }, Bogus, ReasonNoSignature, 10},
		"unknown algorithm":              {func(s *dns.RRSIG) { s.Algorithm = 99 }, Bogus, ReasonSignatureAlgorithm, 1},
		"other algorithm":                {func(s *dns.RRSIG) { s.Algorithm = dns.ECDSAP256SHA256 }, Bogus, ReasonNoKey, 9},
		"other key tag":                  {func(s *dns.RRSIG) { s.KeyTag++ }, Bogus, ReasonNoKey, 9},
		"labels more than owner":         {func(s *dns.RRSIG) { s.Labels = 3 }, Bogus, ReasonLabels, 6},
		"labels of the signer":           {func(s *dns.RRSIG) { s.Labels = 1 }, Bogus, ReasonWildcard, 12}, // a wildcard, unproven
		"labels fewer than the signer's": {func(s *dns.RRSIG) { s.Labels = 0 }, Bogus, ReasonLabels, 6},
		"original TTL larger":            {func(s *dns.RRSIG) { s.OrigTtl = 1 << 31 }, Secure, 0, 0},
		"original TTL smaller":           {func(s *dns.RRSIG) { s.OrigTtl = 30 }, Secure, 0, 0},
		"expires now":                    {func(s *dns.RRSIG) { s.Expiration = now }, Secure, 0, 0},
		"expired":                        {func(s *dns.RRSIG) { s.Expiration = now - second }, Bogus, ReasonExpired, 7},
		"begins within skew":             {func(s *dns.RRSIG) { s.Inception = now + 60 }, Secure, 0, 0},
		"not yet valid":                  {func(s *dns.RRSIG) { s.Inception = now + 61 }, Bogus, ReasonNotYetValid, 8},
		"expires before begin":           {func(s *dns.RRSIG) { s.Inception, s.Expiration = now, now-second }, Bogus, ReasonValidity, 25},
		"signed by nobody":               {func(s *dns.RRSIG) { s.SignerName = "nobody.example." }, Bogus, ReasonNoSignature, 10},
		"signed by the owner":            {func(s *dns.RRSIG) { s.SignerName = "www.example." }, Bogus, ReasonSigner, 6},
		"signed by the parent":           {func(s *dns.RRSIG) { s.SignerName = "." }, Bogus, ReasonSigner, 6},
	} {
		t.Run(label, func(t *testing.T) {
			w.zone.signed[setName{"www.example.", dns.TypeA}] = resigned(t, w.zone, www, c.change)
			v := w.expect("www.example.", dns.TypeA, c.status, c.reason)
			if code, _ := v.Reason.EDE(); c.ede != 0 && code != c.ede {
				t.Errorf("got EDE %d, want %d", code, c.ede)
			}
		})
	}
}

// TestSignatureTTL: RFC 4035 §5.3.3.
func TestSignatureTTL(t *testing.T) {
	w := newKeyedWorld(t, zoneOptions{})
	www := w.zone.set("www.example.", dns.TypeA)
	now := uint32(testTime.Unix())
	for label, c := range map[string]struct {
		ttl    uint32
		change func(*dns.RRSIG)
		want   uint32
	}{
		"RRset":        {100, func(s *dns.RRSIG) { s.OrigTtl = 3600 }, 100},
		"original TTL": {3600, func(s *dns.RRSIG) { s.OrigTtl = 50 }, 50},
		"time left":    {3600, func(s *dns.RRSIG) { s.OrigTtl, s.Expiration = 3600, now+7 }, 7},
		"nothing left": {3600, func(s *dns.RRSIG) { s.OrigTtl, s.Expiration = 3600, now }, 0},
	} {
		set := *www
		set.TTL = c.ttl
		w.zone.signed[setName{"www.example.", dns.TypeA}] = resigned(t, w.zone, &set, c.change)
		if v := w.expect("www.example.", dns.TypeA, Secure, 0); v.TTL != c.want || v.Sets[0].TTL != c.want {
			t.Errorf("%s: got TTL %d, want %d", label, v.TTL, c.want)
		}
	}
}

// TestSerialTime: the times are modulo 2^32 (RFC 4034 §3.1.5), before and after 2038
// and 2106.
func TestSerialTime(t *testing.T) {
	for _, at := range []time.Time{
		time.Unix(1, 0), time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC), time.Date(2106, 2, 7, 6, 28, 17, 0, time.UTC),
	} {
		now := uint32(at.Unix())
		for label, c := range map[string]struct {
			inception, expiration uint32
			want                  ReasonCode
		}{
			"valid":                {now - 3600, now + 3600, 0},
			"expired":              {now - 3600, now - 1, ReasonExpired},
			"not yet":              {now + 100, now + 3600, ReasonNotYetValid},
			"half the range apart": {now - 1, now - 1 + 1<<31, ReasonValidity},
		} {
			sig := Signature{Inception: c.inception, Expiration: c.expiration}
			if got := sig.validAt(now, 60, 0); got != c.want {
				t.Errorf("%s at %s: got %q, want %q", label, at, got.phrase(), c.want.phrase())
			}
		}
	}
}

// TestSkew: both skews can be set and switched off.
func TestSkew(t *testing.T) {
	w := newKeyedWorld(t, zoneOptions{})
	www := w.zone.set("www.example.", dns.TypeA)
	now := uint32(testTime.Unix())
	early := resigned(t, w.zone, www, func(s *dns.RRSIG) { s.Inception = now + 30 })
	late := resigned(t, w.zone, www, func(s *dns.RRSIG) { s.Expiration = now - 30 })
	for label, c := range map[string]struct {
		options Options
		set     *RRset
		status  Status
	}{
		"default, 30 s early":  {Options{}, early, Secure},
		"none, 30 s early":     {Options{InceptionSkew: -1}, early, Bogus},
		"default, 30 s late":   {Options{}, late, Bogus},
		"a minute, 30 s late":  {Options{ExpirationSkew: time.Minute}, late, Secure},
		"29 s, 30 s late":      {Options{ExpirationSkew: 29 * time.Second}, late, Bogus},
		"a century, 30 s late": {Options{ExpirationSkew: 100 * maxSkew}, late, Secure},
	} {
		c.options.Anchors = []Anchor{w.zones["."].anchor()}
		w.v = mustValidator(t, c.options)
		w.cache = func(*Evidence) {} // a third party has its own idea of skew
		w.zone.signed[setName{"www.example.", dns.TypeA}] = c.set
		v, err := w.resolve("www.example.", dns.TypeA)
		if err != nil || v.Status != c.status {
			t.Errorf("%s: got %+v, %v, want %v", label, v, err, c.status)
		}
		if v.Status == Secure && c.set == late && v.TTL != 0 {
			t.Errorf("%s: got TTL %d, want 0", label, v.TTL)
		}
	}
}

// TestWildcardLabels: signatures whose label count makes the source of synthesis a
// name of another zone, or of none (CVE-2026-11721, CVE-2026-44690, CVE-2026-52688).
func TestWildcardLabels(t *testing.T) {
	w := family(t, zoneOptions{})
	child := w.zones["child.example."]
	wild := child.set("*.wild.child.example.", dns.TypeA)
	covering := child.covering("a.wild.child.example.")
	for label, c := range map[string]struct {
		owner  string
		change func(*dns.RRSIG)
		status Status
	}{
		"as it should be":              {"a.wild.child.example.", func(s *dns.RRSIG) { s.Labels = 3 }, Secure},
		"asterisk counted":             {"*.wild.child.example.", func(s *dns.RRSIG) { s.Labels = 4 }, Bogus},
		"wildcard at the apex":         {"a.wild.child.example.", func(s *dns.RRSIG) { s.Labels = 2 }, Bogus},
		"wildcard of the parent":       {"a.wild.child.example.", func(s *dns.RRSIG) { s.Labels = 1 }, Bogus},
		"wildcard of the root":         {"a.wild.child.example.", func(s *dns.RRSIG) { s.Labels = 0 }, Bogus},
		"another zone's name":          {"a.wild.sibling.example.", func(s *dns.RRSIG) { s.Labels = 3 }, Bogus},
		"parent's name, child's proof": {"a.example.", func(s *dns.RRSIG) { s.Labels = 1 }, Bogus},
	} {
		set := *wild
		set.Owner = name(c.owner)
		r := &Response{Name: set.Owner, Type: dns.TypeA, Answer: sets(resigned(t, child, &set, c.change)), Authority: sets(covering)}
		if v := w.judge(r); v.Status != c.status {
			t.Errorf("%s: got %v (%v), want %v", label, v.Status, v.Reason, c.status)
		}
	}
}

// TestSignedMessage compares the signed data of RFC 4034 §3.1.8.1 with one written
// out by hand: upper case lowered in names only, records ordered and unique, the
// wildcard's name in place of the expanded one.
func TestSignedMessage(t *testing.T) {
	set := &RRset{
		Owner: name("a.b.example."), Type: dns.TypeMX, Class: dns.ClassINET, TTL: 60,
		Records: Pack("\x00\x14\x01B\x00", "\x00\x0a\x01a\x00", "\x00\x14\x01b\x00"),
	}
	sig := Signature{Labels: 1, OriginalTTL: 3600, Signer: name("example."), fixed: "eighteen bytes...."}
	var want []byte
	want = append(want, "eighteen bytes....\x07example\x00"...)
	for _, rdata := range []string{"\x00\x0a\x01a\x00", "\x00\x14\x01b\x00"} {
		want = append(want, "\x01*\x07example\x00\x00\x0f\x00\x01"...)
		want = binary.BigEndian.AppendUint32(want, 3600)
		want = append(want, "\x00\x05"+rdata...)
	}
	m := signedMessage{set: set}
	if got := m.signedData(&sig); string(got) != string(want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

// TestUnknownTypes: RDATA of unknown types is signed as it is (RFC 3597 §7).
func TestUnknownTypes(t *testing.T) {
	w := newKeyedWorld(t, zoneOptions{})
	rdata := "\x03WwW\x07Example\x00\xFF"
	set := &RRset{Owner: name("odd.example."), Type: 65280, Class: dns.ClassINET, TTL: 60, Records: Pack(rdata)}
	set = resigned(t, w.zone, set, func(*dns.RRSIG) {})
	if v := w.judge(&Response{Name: set.Owner, Type: 65280, Answer: sets(set)}); v.Status != Secure {
		t.Errorf("got %v (%v), want secure", v.Status, v.Reason)
	}
	lower := *set
	lower.Records = Pack(string(dnsname.Canonical([]byte(rdata))))
	if v := w.judge(&Response{Name: set.Owner, Type: 65280, Answer: sets(&lower)}); v.Status != Bogus {
		t.Errorf("in lower case: got %v, want bogus", v.Status)
	}
}

// TestSignaturesAreNotSigned: a question for RRSIG.
func TestSignaturesAreNotSigned(t *testing.T) {
	w := newKeyedWorld(t, zoneOptions{})
	s := &RRset{Owner: name("www.example."), Type: dns.TypeRRSIG, Class: dns.ClassINET, TTL: 60,
		Records: w.zone.set("www.example.", dns.TypeA).Signatures}
	v := w.judge(&Response{Name: s.Owner, Type: dns.TypeRRSIG, Answer: sets(s)})
	if v.Status != Insecure || v.Reason.Code != ReasonUnsignable {
		t.Errorf("got %v (%v), want insecure", v.Status, v.Reason)
	}
}

// TestSignerOfAnotherName: a signature made with the zone's key in another zone's
// name, beside one of the zone that is wrong.
func TestSignerOfAnotherName(t *testing.T) {
	w := newKeyedWorld(t, zoneOptions{})
	www := w.zone.set("www.example.", dns.TypeA)
	for _, signer := range []string{".", "www.example."} {
		set := *resigned(t, w.zone, www, func(s *dns.RRSIG) { s.SignerName = signer })
		for rdata := range badSignatures(w.zone, www, 1).Signatures.All() {
			set.Signatures = set.Signatures.With(rdata)
		}
		w.zone.signed[setName{"www.example.", dns.TypeA}] = &set
		v, err := w.resolve("www.example.", dns.TypeA)
		if err != nil || v.Status != Bogus {
			t.Errorf("in the name of %s: got %+v, %v, want bogus", signer, v, err)
		}
	}
}
