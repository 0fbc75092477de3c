package dnssec

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// keyedWorld is a root and a zone below it whose DNSKEY, DS and data may be signed in
// odd ways.
type keyedWorld struct {
	*world
	zone *testZone
}

func newKeyedWorld(t testing.TB, o zoneOptions) *keyedWorld {
	t.Helper()
	root := newTestZone(t, ".", "example. NS ns.example.\n"+dsText(t, "example.", o)+"\n", zoneOptions{})
	zone := newTestZone(t, "example.", childText, o)
	return &keyedWorld{world: newWorld(t, root, zone), zone: zone}
}

// setDS replaces the DS RRset.
func (w *keyedWorld) setDS(records ...*dns.DS) {
	root := w.zones["."]
	rrs := make([]dns.RR, len(records))
	for i, ds := range records {
		ds.Hdr = dns.RR_Header{Name: "example.", Rrtype: dns.TypeDS, Class: dns.ClassINET, Ttl: 3600}
		rrs[i] = ds
	}
	root.signed[setName{"example.", dns.TypeDS}] = root.signSet(rrs, true)
}

// setKeys replaces the DNSKEY RRset, signed by signers.
func (w *keyedWorld) setKeys(signers []signingKey, keys ...*dns.DNSKEY) {
	rrs := make([]dns.RR, len(keys))
	for i, k := range keys {
		rrs[i] = k
	}
	plain := slices.Clone(rrs)
	for _, s := range signers {
		rrs = append(rrs, s.sign(w.t, testValidity, plain...))
	}
	w.zone.signed[setName{"example.", dns.TypeDNSKEY}] = mustSet(w.t, rrs...)
}

func TestAlgorithms(t *testing.T) {
	for _, algorithm := range []uint8{dns.RSASHA1, dns.RSASHA1NSEC3SHA1, dns.RSASHA256, dns.RSASHA512, dns.ECDSAP256SHA256, dns.ECDSAP384SHA384, dns.ED25519} {
		for _, digest := range []uint8{dns.SHA1, dns.SHA256, dns.SHA384} {
			t.Run(AlgorithmName(algorithm)+" "+DigestName(digest), func(t *testing.T) {
				w := newKeyedWorld(t, zoneOptions{algorithm: algorithm, digest: digest})
				w.expect("www.example.", dns.TypeA, Secure, 0)
				w.expect("www.example.", dns.TypeTXT, Secure, 0)
				w.tamper = func(r *Response) *Response {
					c := *r
					if r.Type == dns.TypeA && len(r.Answer) > 0 {
						c.Answer = sets(alterations["signature altered"](r.Answer[0]))
					}
					return &c
				}
				w.expect("www.example.", dns.TypeA, Bogus, ReasonBadSignature)
				w.tamper = func(r *Response) *Response {
					c := *r
					if r.Type == dns.TypeDNSKEY && len(r.Answer) > 0 && r.Name == w.final.Name.Parent() {
						c.Answer = sets(alterations["signature altered"](r.Answer[0]))
					}
					return &c
				}
				w.expect("www.example.", dns.TypeA, Bogus, ReasonBadSignature)
			})
		}
	}
}

// TestUnsupported: zones that can only be checked with what is not supported are
// Insecure (RFC 4035 §5.2, RFC 6840 §5.2).
func TestUnsupported(t *testing.T) {
	o := zoneOptions{}
	w := newKeyedWorld(t, o)
	good := w.zone.ds()
	other := func(change func(*dns.DS)) *dns.DS {
		ds := *good
		change(&ds)
		return &ds
	}
	for label, c := range map[string]struct {
		ds     []*dns.DS
		status Status
		reason ReasonCode
		ede    uint16
	}{
		"algorithm 12 (GOST)":   {[]*dns.DS{other(func(d *dns.DS) { d.Algorithm = dns.ECCGOST })}, Insecure, ReasonAlgorithm, 1},
		"algorithm 16 (Ed448)":  {[]*dns.DS{other(func(d *dns.DS) { d.Algorithm = dns.ED448 })}, Insecure, ReasonAlgorithm, 1},
		"algorithm 1 (RSAMD5)":  {[]*dns.DS{other(func(d *dns.DS) { d.Algorithm = dns.RSAMD5 })}, Insecure, ReasonAlgorithm, 1},
		"digest 3 (GOST)":       {[]*dns.DS{other(func(d *dns.DS) { d.DigestType = dns.GOST94 })}, Insecure, ReasonDigest, 2},
		"digest 200":            {[]*dns.DS{other(func(d *dns.DS) { d.DigestType = 200 })}, Insecure, ReasonDigest, 2},
		"unknown digest beside": {[]*dns.DS{other(func(d *dns.DS) { d.DigestType = 200 }), good}, Secure, 0, 0},
		"unknown digest, SHA-256 does not match": {[]*dns.DS{
			other(func(d *dns.DS) { d.DigestType = 200 }),
			other(func(d *dns.DS) { d.Digest = strings.Repeat("00", 32) }),
		}, Bogus, ReasonDSMismatch, 9},
		"SHA-1 ignored beside SHA-256": {[]*dns.DS{
			w.zone.ksk.dnskey.ToDS(dns.SHA1), other(func(d *dns.DS) { d.Digest = strings.Repeat("00", 32) }),
		}, Bogus, ReasonDSMismatch, 9},
		"SHA-1 alone":       {[]*dns.DS{w.zone.ksk.dnskey.ToDS(dns.SHA1)}, Secure, 0, 0},
		"digest too short":  {[]*dns.DS{other(func(d *dns.DS) { d.Digest = d.Digest[:62] })}, Bogus, ReasonDSMismatch, 9},
		"other tag":         {[]*dns.DS{other(func(d *dns.DS) { d.KeyTag++ })}, Bogus, ReasonDSMismatch, 9},
		"one of two keys":   {[]*dns.DS{other(func(d *dns.DS) { d.KeyTag++ }), good}, Secure, 0, 0},
		"algorithm swapped": {[]*dns.DS{other(func(d *dns.DS) { d.Algorithm = dns.ECDSAP256SHA256 })}, Bogus, ReasonDSMismatch, 9},
	} {
		t.Run(label, func(t *testing.T) {
			w := newKeyedWorld(t, o)
			w.setDS(c.ds...)
			v := w.expect("www.example.", dns.TypeA, c.status, c.reason)
			if code, ok := v.Reason.EDE(); ok && code != c.ede || !ok && c.ede != 0 {
				t.Errorf("got EDE %d, want %d", code, c.ede)
			}
		})
	}
}

// TestRefusedAlgorithms takes SHA-1 away.
func TestRefusedAlgorithms(t *testing.T) {
	w := newKeyedWorld(t, zoneOptions{algorithm: dns.RSASHA1})
	w.expect("www.example.", dns.TypeA, Secure, 0)
	w.v = mustValidator(t, Options{
		Anchors:    []Anchor{w.zones["."].anchor()},
		Algorithms: map[uint8]Algorithm{dns.RSASHA1: nil, dns.RSASHA1NSEC3SHA1: nil},
	})
	w.expect("www.example.", dns.TypeA, Insecure, ReasonAlgorithm)
	w.v = mustValidator(t, Options{
		Anchors:    []Anchor{w.zones["."].anchor()},
		Algorithms: map[uint8]Algorithm{dns.ED25519: nil},
	})
	w.expect("www.example.", dns.TypeA, Insecure, ReasonAlgorithm) // the anchor's own
}

// oddAlgorithm accepts the one signature "good" and is registered by the caller.
type oddAlgorithm struct{}

func (oddAlgorithm) ParseKey(public string) (PublicKey, error) {
	switch public {
	case "key":
		return oddAlgorithm{}, nil
	case "large":
		return nil, ErrUnsupportedKey
	}
	return nil, ErrMalformedKey
}
func (oddAlgorithm) Cost() int                      { return 7 }
func (oddAlgorithm) Verify(_ []byte, s string) bool { return s == "good" }

// oddSigned adds a signature by key with the given bytes.
func oddSigned(set *RRset, key *dns.DNSKEY, signature string) *RRset {
	sig := &dns.RRSIG{
		Hdr:         dns.RR_Header{Name: set.Owner.String(), Rrtype: dns.TypeRRSIG, Class: set.Class, Ttl: set.TTL},
		TypeCovered: set.Type, Algorithm: key.Algorithm, Labels: uint8(set.Owner.Labels()), OrigTtl: set.TTL,
		Inception: uint32(testValidity.inception.Unix()), Expiration: uint32(testValidity.expiration.Unix()),
		KeyTag: key.KeyTag(), SignerName: key.Hdr.Name, Signature: base64Of([]byte(signature)),
	}
	_, rdata, err := pack(sig)
	if err != nil {
		panic(err)
	}
	c := *set
	c.Signatures = set.Signatures.With(rdata)
	return &c
}

// oddKey makes a DNSKEY of the registered algorithm 200.
func oddKey(public string) *dns.DNSKEY {
	return &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: "example.", Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 3600},
		Flags: 257, Protocol: 3, Algorithm: 200, PublicKey: base64Of([]byte(public)),
	}
}

func TestRegisteredAlgorithm(t *testing.T) {
	for label, c := range map[string]struct {
		public, signature string
		status            Status
		reason            ReasonCode
	}{
		"good":             {"key", "good", Secure, 0},
		"wrong signature":  {"key", "bad", Bogus, ReasonBadSignature},
		"unsupported size": {"large", "good", Insecure, ReasonKeySize},
		"malformed key":    {"rubbish", "good", Bogus, ReasonBadKey},
	} {
		t.Run(label, func(t *testing.T) {
			w := newKeyedWorld(t, zoneOptions{})
			key := oddKey(c.public)
			w.setDS(key.ToDS(dns.SHA256))
			w.zone.signed[setName{"example.", dns.TypeDNSKEY}] = oddSigned(mustSet(t, key), key, c.signature)
			www := *w.zone.set("www.example.", dns.TypeA)
			www.Signatures = ""
			w.zone.signed[setName{"www.example.", dns.TypeA}] = oddSigned(&www, key, c.signature)
			w.v = mustValidator(t, Options{
				Anchors:    []Anchor{w.zones["."].anchor()},
				Algorithms: map[uint8]Algorithm{200: oddAlgorithm{}},
			})
			w.expect("www.example.", dns.TypeA, c.status, c.reason)
			if c.status == Secure {
				if got, want := w.last.work.Spent().CostUnits, 1+1+7+7; got != want {
					t.Errorf("got %d cost units, want %d", got, want)
				}
			}
			w.v = mustValidator(t, Options{Anchors: []Anchor{w.zones["."].anchor()}})
			w.expect("www.example.", dns.TypeA, Insecure, ReasonAlgorithm)
		})
	}
}

// TestKeySizeIsNoDowngrade: who takes the good key away on the wire must not make the
// zone Insecure by the key of unsupported size that is left.
func TestKeySizeIsNoDowngrade(t *testing.T) {
	w := newKeyedWorld(t, zoneOptions{})
	large := oddKey("large")
	w.setDS(w.zone.ds(), large.ToDS(dns.SHA256))
	w.v = mustValidator(t, Options{
		Anchors:    []Anchor{w.zones["."].anchor()},
		Algorithms: map[uint8]Algorithm{200: oddAlgorithm{}},
	})
	w.setKeys([]signingKey{w.zone.ksk}, w.zone.ksk.dnskey, large)
	w.expect("www.example.", dns.TypeA, Secure, 0)
	w.zone.signed[setName{"example.", dns.TypeDNSKEY}] = oddSigned(mustSet(t, large), large, "good")
	w.expect("www.example.", dns.TypeA, Bogus, ReasonDSMismatch)
}

// TestZoneKeys: which keys may sign.
func TestZoneKeys(t *testing.T) {
	for label, c := range map[string]struct {
		change func(*dns.DNSKEY)
		reason ReasonCode
		ede    uint16
	}{
		"no zone key flag": {func(k *dns.DNSKEY) { k.Flags = 1 }, ReasonNotZoneKey, 11},
		"protocol 2":       {func(k *dns.DNSKEY) { k.Protocol = 2 }, ReasonNotZoneKey, 11},
		"revoked":          {func(k *dns.DNSKEY) { k.Flags |= 0x80 }, ReasonNotZoneKey, 11},
	} {
		t.Run(label+" as entry", func(t *testing.T) {
			w := newKeyedWorld(t, zoneOptions{})
			key := w.zone.ksk
			dnskey := *key.dnskey
			c.change(&dnskey)
			key.dnskey = &dnskey
			w.setDS(dnskey.ToDS(dns.SHA256))
			w.setKeys([]signingKey{key}, &dnskey)
			v := w.expect("www.example.", dns.TypeA, Bogus, c.reason)
			if code, _ := v.Reason.EDE(); code != c.ede {
				t.Errorf("got EDE %d, want %d", code, c.ede)
			}
		})
		t.Run(label+" for data", func(t *testing.T) {
			w := newKeyedWorld(t, zoneOptions{split: true})
			key := w.zone.zsk
			dnskey := *key.dnskey
			c.change(&dnskey)
			key.dnskey = &dnskey
			w.zone.zsk = key
			w.setKeys([]signingKey{w.zone.ksk}, w.zone.ksk.dnskey, &dnskey)
			w.expect("www.example.", dns.TypeA, Bogus, c.reason)
		})
	}
}

// TestMultiSigner: two operators sign with keys of their own, which both publish
// (RFC 8901 §4.1.1), in different algorithms.
func TestMultiSigner(t *testing.T) {
	w := newKeyedWorld(t, zoneOptions{})
	second := newSigningKey(t, "example.", "second", 257, dns.ECDSAP256SHA256)
	for label, c := range map[string]struct {
		ds      []*dns.DS
		signers []signingKey
	}{
		"DS of both, signed by both":   {[]*dns.DS{w.zone.ds(), second.dnskey.ToDS(dns.SHA256)}, []signingKey{w.zone.ksk, second}},
		"DS of both, signed by first":  {[]*dns.DS{w.zone.ds(), second.dnskey.ToDS(dns.SHA256)}, []signingKey{w.zone.ksk}},
		"DS of both, signed by second": {[]*dns.DS{w.zone.ds(), second.dnskey.ToDS(dns.SHA256)}, []signingKey{second}},
		"DS of first, signed by both":  {[]*dns.DS{w.zone.ds()}, []signingKey{w.zone.ksk, second}},
	} {
		w.setDS(c.ds...)
		w.setKeys(c.signers, w.zone.ksk.dnskey, second.dnskey)
		for _, key := range []signingKey{w.zone.ksk, second} {
			w.zone.zsk = key
			clear(w.zone.signed)
			w.setKeys(c.signers, w.zone.ksk.dnskey, second.dnskey)
			for _, qtype := range []uint16{dns.TypeA, dns.TypeTXT} {
				v, err := w.resolve("www.example.", qtype)
				if err != nil || v.Status != Secure {
					t.Errorf("%s, data by %s: got %+v, %v", label, AlgorithmName(key.dnskey.Algorithm), v, err)
				}
			}
		}
	}
	w.setDS(second.dnskey.ToDS(dns.SHA256))
	w.setKeys([]signingKey{w.zone.ksk}, w.zone.ksk.dnskey, second.dnskey)
	w.expect("www.example.", dns.TypeA, Bogus, ReasonNoKey)
}

// TestManySignatures: one good signature is enough, whatever stands beside it.
func TestManySignatures(t *testing.T) {
	w := newKeyedWorld(t, zoneOptions{})
	www := w.zone.set("www.example.", dns.TypeA)
	var good string
	for f := range www.Signatures.All() {
		good = f
	}
	bad := func(change func(b []byte)) string {
		b := []byte(good)
		change(b)
		return string(b)
	}
	c := *www
	c.Signatures = Pack("", "short", bad(func(b []byte) { b[17]++ }), bad(func(b []byte) { b[len(b)-1]++ }),
		bad(func(b []byte) { b[2] = 99 }), bad(func(b []byte) { b[8], b[9] = 0, 0 }), good)
	w.zone.signed[setName{"www.example.", dns.TypeA}] = &c
	w.expect("www.example.", dns.TypeA, Secure, 0)
}
