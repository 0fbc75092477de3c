package dnssec

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// testTime is when the tests' signatures are judged.
var testTime = time.Date(2026, 1, 6, 12, 0, 0, 0, time.UTC)

// signingKey is a key of a test zone. Signing is done by miekg/dns, so that the
// canonical form is checked against code that is not ours.
type signingKey struct {
	dnskey *dns.DNSKEY
	signer crypto.Signer
}

// newSigningKey derives a key from the zone's name and its role, except RSA, which
// has one key for all zones.
func newSigningKey(t testing.TB, zone, role string, flags uint16, algorithm uint8) signingKey {
	t.Helper()
	seed := sha512.Sum512([]byte(zone + " " + role))
	k := signingKey{dnskey: &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: zone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 3600},
		Flags: flags, Protocol: 3, Algorithm: algorithm,
	}}
	var public []byte
	switch algorithm {
	case dns.ED25519:
		private := ed25519.NewKeyFromSeed(seed[:32])
		k.signer, public = private, private.Public().(ed25519.PublicKey)
	case dns.ECDSAP256SHA256:
		k.signer, public = ecdsaTestKey(t, elliptic.P256(), seed[:32])
	case dns.ECDSAP384SHA384:
		k.signer, public = ecdsaTestKey(t, elliptic.P384(), seed[:48])
	default:
		private := rsaTestKey()
		e := private.E
		public = append([]byte{3, byte(e >> 16), byte(e >> 8), byte(e)}, private.N.Bytes()...)
		k.signer = private
	}
	k.dnskey.PublicKey = base64Of(public)
	return k
}

func ecdsaTestKey(t testing.TB, curve elliptic.Curve, scalar []byte) (crypto.Signer, []byte) {
	t.Helper()
	scalar[0] = 0 // below the order of either curve
	private, err := ecdsa.ParseRawPrivateKey(curve, scalar)
	if err != nil {
		t.Fatal(err)
	}
	public, err := private.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return private, public[1:]
}

var rsaTestKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// validity is the period of a signature.
type validity struct{ inception, expiration time.Time }

var testValidity = validity{testTime.Add(-time.Hour), testTime.Add(14 * 24 * time.Hour)}

// sign makes the RRSIG of records.
func (k signingKey) sign(t testing.TB, v validity, records ...dns.RR) *dns.RRSIG {
	t.Helper()
	h := records[0].Header()
	sig := &dns.RRSIG{
		Hdr:        dns.RR_Header{Name: h.Name, Rrtype: dns.TypeRRSIG, Class: h.Class, Ttl: h.Ttl},
		Algorithm:  k.dnskey.Algorithm,
		KeyTag:     k.dnskey.KeyTag(),
		SignerName: k.dnskey.Hdr.Name,
		Inception:  uint32(v.inception.Unix()),
		Expiration: uint32(v.expiration.Unix()),
	}
	if err := sig.Sign(k.signer, records); err != nil {
		t.Fatalf("sign %v: %v", records, err)
	}
	return sig
}

// zoneOptions says how a test zone is signed. The zero value is Ed25519 with one key
// for everything and NSEC.
type zoneOptions struct {
	unsigned  bool
	algorithm uint8 // 0: Ed25519
	split     bool  // KSK and ZSK
	nsec3     bool
	salt      string // hexadecimal
	iterate   uint16
	optOut    bool
	compact   bool // RFC 9824
	digest    uint8
}

// testZone is a zone, signed, and the server for it.
type testZone struct {
	t       testing.TB
	name    string
	options zoneOptions
	ksk     signingKey
	zsk     signingKey
	records map[string]map[uint16][]dns.RR // by canonical owner
	exists  map[string]bool                // owners and empty non-terminals
	signed  map[setName]*RRset
	chain   []chainOwner // owners of NSEC, or hashes, in order
}

type setName struct {
	owner  string
	rrtype uint16
}

// chainOwner is one name of the NSEC or NSEC3 chain.
type chainOwner struct {
	name string // owner name of the record
	of   string // the name it is about
}

// newTestZone makes a zone of text, whose names are relative to it. SOA and NS at
// the apex are added.
func newTestZone(t testing.TB, name, text string, o zoneOptions) *testZone {
	t.Helper()
	if o.algorithm == 0 {
		o.algorithm = dns.ED25519
	}
	if o.digest == 0 {
		o.digest = dns.SHA256
	}
	z := &testZone{
		t: t, name: name, options: o,
		records: make(map[string]map[uint16][]dns.RR),
		exists:  make(map[string]bool),
		signed:  make(map[setName]*RRset),
	}
	z.zsk = newSigningKey(t, name, "zsk", 256, o.algorithm)
	z.ksk = newSigningKey(t, name, "ksk", 257, o.algorithm)
	if !o.split {
		z.zsk = z.ksk
	}
	if !strings.Contains(text, "SOA") {
		text = "@ 3600 SOA ns hostmaster 1 7200 3600 604800 300\n@ 3600 NS ns\n" + text
	}
	p := dns.NewZoneParser(strings.NewReader(text), name, "")
	p.SetDefaultTTL(3600)
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		z.add(rr)
	}
	if err := p.Err(); err != nil {
		t.Fatalf("zone %s: %v", name, err)
	}
	if !o.unsigned {
		z.addKeys()
		z.makeChain()
	}
	return z
}

func (z *testZone) addKeys() {
	z.add(z.ksk.dnskey)
	if z.options.split {
		z.add(z.zsk.dnskey)
	}
}

func (z *testZone) add(rr dns.RR) {
	owner := dns.CanonicalName(rr.Header().Name)
	if z.records[owner] == nil {
		z.records[owner] = make(map[uint16][]dns.RR)
	}
	z.records[owner][rr.Header().Rrtype] = append(z.records[owner][rr.Header().Rrtype], rr)
}

// cutAt returns the delegation at or above name in the zone, "" if there is none.
func (z *testZone) cutAt(name string) string {
	n := dnsname.MustParse(name)
	apex := dnsname.MustParse(z.name)
	for labels := apex.Labels() + 1; labels <= n.Labels(); labels++ {
		if a := n.Ancestor(labels).String(); z.records[a][dns.TypeNS] != nil {
			return a
		}
	}
	return ""
}

// makeChain lays out the NSEC or NSEC3 chain, and which names exist.
func (z *testZone) makeChain() {
	apex := dnsname.MustParse(z.name)
	var names []dnsname.Name
	for owner := range z.records {
		if cut := z.cutAt(owner); cut != "" && cut != owner {
			continue // glue
		}
		n := dnsname.MustParse(owner)
		names = append(names, n)
	}
	if z.options.nsec3 {
		names = z.nsec3Names(names, apex)
	}
	slices.SortFunc(names, dnsname.Compare)
	for _, n := range slices.Compact(names) {
		c := chainOwner{name: n.String(), of: n.String()}
		if z.options.nsec3 {
			c.name = z.hashName(n.String())
		}
		z.chain = append(z.chain, c)
	}
	if z.options.nsec3 {
		slices.SortFunc(z.chain, func(a, b chainOwner) int { return strings.Compare(a.name, b.name) })
	}
	for owner := range z.records {
		for n := dnsname.MustParse(owner); n.IsAtOrBelow(apex); n = n.Parent() {
			z.exists[n.String()] = true
			if n.IsRoot() {
				break
			}
		}
	}
}

// nsec3Names adds empty non-terminals and leaves out what opt-out allows to.
func (z *testZone) nsec3Names(owners []dnsname.Name, apex dnsname.Name) []dnsname.Name {
	var names []dnsname.Name
	for _, n := range owners {
		sets := z.records[n.String()]
		if z.options.optOut && n != apex && sets[dns.TypeNS] != nil && sets[dns.TypeDS] == nil {
			continue
		}
		for ; n.IsAtOrBelow(apex); n = n.Parent() {
			names = append(names, n)
			if n.IsRoot() {
				break
			}
		}
	}
	return names
}

func (z *testZone) hashName(name string) string {
	hash := strings.ToLower(dns.HashName(name, dns.SHA1, z.options.iterate, z.options.salt))
	if z.name == "." {
		return hash + "."
	}
	return hash + "." + z.name
}

// types returns the bit map of a name.
func (z *testZone) types(name string, denial uint16) []uint16 {
	types := []uint16{}
	for rrtype := range z.records[name] {
		if z.cutAt(name) == name && rrtype != dns.TypeNS && rrtype != dns.TypeDS {
			continue
		}
		types = append(types, rrtype)
	}
	if denial == dns.TypeNSEC {
		types = append(types, dns.TypeNSEC)
	}
	if z.cutAt(name) != name || z.records[name][dns.TypeDS] != nil || denial == dns.TypeNSEC {
		if len(types) > 0 {
			types = append(types, dns.TypeRRSIG)
		}
	}
	slices.Sort(types)
	return types
}

// set returns an RRset with its signature, nil if there is none. It is the same each
// time.
func (z *testZone) set(owner string, rrtype uint16) *RRset {
	z.t.Helper()
	id := setName{owner, rrtype}
	if s := z.signed[id]; s != nil {
		return s
	}
	records := z.records[owner][rrtype]
	if len(records) == 0 {
		return nil
	}
	cut := z.cutAt(owner)
	z.signed[id] = z.signSet(records, cut == "" || rrtype == dns.TypeDS)
	return z.signed[id]
}

func (z *testZone) signSet(records []dns.RR, signed bool) *RRset {
	z.t.Helper()
	key := z.zsk
	if records[0].Header().Rrtype == dns.TypeDNSKEY {
		key = z.ksk
	}
	if signed && !z.options.unsigned {
		records = append(slices.Clone(records), key.sign(z.t, testValidity, records...))
	}
	return mustSet(z.t, records...)
}

func mustSet(t testing.TB, records ...dns.RR) *RRset {
	t.Helper()
	set, err := NewRRset(records...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// denial returns the i-th record of the chain.
func (z *testZone) denial(i int) *RRset {
	z.t.Helper()
	c, next := z.chain[i], z.chain[(i+1)%len(z.chain)]
	id := setName{c.name, dns.TypeNSEC}
	if s := z.signed[id]; s != nil {
		return s
	}
	var rr dns.RR
	if z.options.nsec3 {
		flags := uint8(0)
		if z.options.optOut {
			flags = 1
		}
		rr = &dns.NSEC3{
			Hdr:  dns.RR_Header{Name: c.name, Rrtype: dns.TypeNSEC3, Class: dns.ClassINET, Ttl: 300},
			Hash: dns.SHA1, Flags: flags, Iterations: z.options.iterate,
			SaltLength: uint8(len(z.options.salt) / 2), Salt: z.options.salt,
			HashLength: 20, NextDomain: strings.ToUpper(strings.SplitN(next.name, ".", 2)[0]),
			TypeBitMap: z.types(c.of, dns.TypeNSEC3),
		}
	} else {
		rr = &dns.NSEC{
			Hdr:        dns.RR_Header{Name: c.name, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: 300},
			NextDomain: next.name, TypeBitMap: z.types(c.of, dns.TypeNSEC),
		}
	}
	z.signed[id] = z.signSet([]dns.RR{rr}, true)
	return z.signed[id]
}

// matching returns the denial record of a name, nil if it has none.
func (z *testZone) matching(name string) *RRset {
	for i, c := range z.chain {
		if c.of == name {
			return z.denial(i)
		}
	}
	return nil
}

// covering returns the denial record between whose ends name would stand.
func (z *testZone) covering(name string) *RRset {
	if z.options.nsec3 {
		hash := z.hashName(name)
		for i := len(z.chain) - 1; i >= 0; i-- {
			if z.chain[i].name < hash {
				return z.denial(i)
			}
		}
		return z.denial(len(z.chain) - 1)
	}
	for i := len(z.chain) - 1; i > 0; i-- {
		if dnsname.Compare(dnsname.MustParse(z.chain[i].name), dnsname.MustParse(name)) < 0 {
			return z.denial(i)
		}
	}
	return z.denial(0)
}

// ds returns the zone's DS record.
func (z *testZone) ds() *dns.DS { return z.ksk.dnskey.ToDS(z.options.digest) }

// anchor returns the zone's DS as a trust anchor.
func (z *testZone) anchor() Anchor {
	z.t.Helper()
	a, err := NewAnchor(z.ds())
	if err != nil {
		z.t.Fatal(err)
	}
	return a
}

// ed25519Options asks for plain Ed25519.
var ed25519Options = &ed25519.Options{}
