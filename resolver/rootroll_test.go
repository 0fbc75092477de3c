package resolver_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// rootKey is a key signing key of the root.
type rootKey struct {
	record *dns.DNSKEY
	signer crypto.Signer
}

// newRootKey makes a key: 2,048 bits of RSA, or one on the curve P-256.
func newRootKey(t testing.TB, algorithm uint8) rootKey {
	t.Helper()
	k := rootKey{record: &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: ".", Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: rootKeysTTL},
		Flags: 257, Protocol: 3, Algorithm: algorithm,
	}}
	bits := 2048
	if algorithm == dns.ECDSAP256SHA256 {
		bits = 256
	}
	private, err := k.record.Generate(bits)
	if err != nil {
		t.Fatal(err)
	}
	k.signer = private.(crypto.Signer)
	switch k.signer.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey:
	default:
		t.Fatalf("a key of type %T", k.signer)
	}
	return k
}

// revoked is the key with the REVOKE flag, by which its tag is another one.
func (k rootKey) revoked() rootKey {
	record := *k.record
	record.Flags |= dns.REVOKE
	return rootKey{&record, k.signer}
}

func (k rootKey) anchor(t testing.TB) dnssec.Anchor {
	t.Helper()
	a, err := dnssec.NewAnchor(k.record.ToDS(dns.SHA256))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

const (
	day = 24 * time.Hour
	// rootKeysTTL is that of the root's DNSKEY RRset.
	rootKeysTTL = 172800
	// rootValidity is for how long the root's signatures over its keys are good.
	rootValidity = 21 * day
	rootServer   = "198.41.0.4"
)

// rootRoll is an Internet whose root's key signing keys are those of a stage, while its zone
// signing keys, and all else, are resolvertest's.
type rootRoll struct {
	in *resolvertest.Internet

	mu      sync.Mutex
	keys    []rootKey // guarded by mu: in the DNSKEY RRset
	signers []rootKey // guarded by mu: those that sign it
	signed  []dns.RR  // guarded by mu: signatures, made anew each day
	until   time.Time // guarded by mu
	zone    string    // how the root zone is signed
}

// rollWorld is what is below the root, whose NS records have a long TTL: no data of a zone is kept
// for longer.
const rollWorld = "-- zone . at " + rootServer + " %s --\n@ 518400 NS ns1\nns1 518400 A " + rootServer + "\nhost 172800 A 192.0.2.81\n-- zone example. at 198.51.100.1 signed --\n*.www A 192.0.2.80\n"

// newRootRoll makes the Internet; zone says how the root zone is signed.
func newRootRoll(t testing.TB, zone string) *rootRoll {
	t.Helper()
	w := &rootRoll{in: resolvertest.New(t, fmt.Sprintf(rollWorld, zone)), zone: zone}
	w.in.Fault(rootServer, resolvertest.Hook(w.replace(t)).When(resolvertest.Name("."), resolvertest.Type(dns.TypeDNSKEY)))
	return w
}

// resign signs all zones anew, the root's as zone says.
func (w *rootRoll) resign(t testing.TB, zone string) {
	t.Helper()
	w.zone = zone
	if err := w.in.Update(fmt.Sprintf(rollWorld, zone)); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.until = time.Time{}
}

// stage says which keys are there and which of them sign.
func (w *rootRoll) stage(keys []rootKey, signers ...rootKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keys, w.signers, w.until = keys, signers, time.Time{}
}

// replace puts the keys of the stage in the place of resolvertest's.
func (w *rootRoll) replace(t testing.TB) func(query, reply *dns.Msg) {
	return func(_, reply *dns.Msg) {
		w.mu.Lock()
		defer w.mu.Unlock()
		var set []dns.RR
		for _, k := range w.keys {
			set = append(set, dns.Copy(k.record)) // packing writes to it
		}
		for _, rr := range reply.Answer {
			if key, ok := rr.(*dns.DNSKEY); ok && key.Flags&dns.SEP == 0 {
				zsk := *key
				zsk.Hdr.Ttl = rootKeysTTL
				set = append(set, &zsk)
			}
		}
		if now := time.Now(); !now.Before(w.until) {
			w.until, w.signed = now.Add(day), nil
			for _, k := range w.signers {
				w.signed = append(w.signed, k.sign(t, now, set))
			}
		}
		for _, sig := range w.signed {
			set = append(set, dns.Copy(sig))
		}
		reply.Answer = set
	}
}

func (k rootKey) sign(t testing.TB, now time.Time, set []dns.RR) *dns.RRSIG {
	sig := &dns.RRSIG{
		Hdr:       dns.RR_Header{Name: ".", Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: rootKeysTTL},
		Algorithm: k.record.Algorithm, KeyTag: k.record.KeyTag(), SignerName: ".", OrigTtl: rootKeysTTL,
		Inception: uint32(now.Add(-time.Hour).Unix()), Expiration: uint32(now.Add(rootValidity).Unix()),
	}
	if err := sig.Sign(k.signer, set); err != nil {
		t.Errorf("sign the root's keys: %v", err)
	}
	return sig
}

// resolver makes a resolver with a store, that trusts some keys to begin with.
func (w *rootRoll) resolver(t testing.TB, store dnssec.RolloverStore, trusted []rootKey, change ...func(*resolver.Options)) (*resolver.Resolver, error) {
	t.Helper()
	o := w.in.Options()
	o.AnchorStore, o.TrustAnchors = store, nil
	for _, k := range trusted {
		o.TrustAnchors = append(o.TrustAnchors, k.anchor(t))
	}
	for _, f := range change {
		f(&o)
	}
	r, err := resolver.New(o)
	if err == nil {
		t.Cleanup(func() { r.Close() })
	}
	return r, err
}

// keyQueries counts the queries for the root's keys.
func (w *rootRoll) keyQueries() int {
	return w.in.Count(resolvertest.Name("."), resolvertest.Type(dns.TypeDNSKEY))
}

// keyText is a public key, to tell records by.
func keyText(record string) string {
	rr, err := dns.NewRR(record)
	if err != nil {
		return ""
	}
	key, ok := rr.(*dns.DNSKEY)
	if !ok {
		return ""
	}
	raw, err := base64.StdEncoding.DecodeString(key.PublicKey)
	if err != nil {
		return ""
	}
	return string(raw)
}

// stateOf returns in which state a resolver has a key; "" for none.
func stateOf(r *resolver.Resolver, k rootKey) string {
	for _, zone := range r.Rollovers() {
		for _, known := range zone.Keys {
			if keyText(known.Record) == keyText(k.record.String()) {
				return known.State.String()
			}
		}
	}
	return ""
}
