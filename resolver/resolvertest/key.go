package resolvertest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha512"
	"encoding/base64"
	"fmt"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// signingKey is a key of a zone with its DNSKEY record.
type signingKey struct {
	record *dns.DNSKEY
	signer crypto.Signer
}

// Flags of a DNSKEY record (RFC 4034 §2.1.1).
const (
	zoneKeyFlag     = 256
	entryPointFlag  = 1
	dnskeyProtocol  = 3
	defaultSignWith = dns.ED25519
)

// newKey derives a key from the name of its zone, its flags and its algorithm, so
// that every run has the same keys, tags and DS records.
func newKey(zone dnsname.Name, flags uint16, algorithm uint8) (signingKey, error) {
	seed := sha512.Sum512(fmt.Appendf(nil, "resolvertest key %d %d %s", flags, algorithm, zone))
	signer, public, err := derivedKey(seed, algorithm)
	if err != nil {
		return signingKey{}, err
	}
	return signingKey{
		record: &dns.DNSKEY{
			Hdr:       header(zone, dns.TypeDNSKEY),
			Flags:     flags,
			Protocol:  dnskeyProtocol,
			Algorithm: algorithm,
			PublicKey: base64.StdEncoding.EncodeToString(public),
		},
		signer: signer,
	}, nil
}

// derivedKey gives a private key and its public half in the form of a DNSKEY
// record (RFC 6605 §4, RFC 8080 §3).
func derivedKey(seed [sha512.Size]byte, algorithm uint8) (crypto.Signer, []byte, error) {
	switch algorithm {
	case dns.ED25519:
		private := ed25519.NewKeyFromSeed(seed[:ed25519.SeedSize])
		return private, private.Public().(ed25519.PublicKey), nil
	case dns.ECDSAP256SHA256:
		return ecdsaKey(elliptic.P256(), seed[:32])
	case dns.ECDSAP384SHA384:
		return ecdsaKey(elliptic.P384(), seed[:48])
	}
	return nil, nil, fmt.Errorf("algorithm %d is not among those that zones can be signed with: 13, 14, 15", algorithm)
}

func ecdsaKey(curve elliptic.Curve, scalar []byte) (crypto.Signer, []byte, error) {
	// The top bit is cleared so that the number is below the order of the curve.
	scalar[0] &= 0x7f
	private, err := ecdsa.ParseRawPrivateKey(curve, scalar)
	if err != nil {
		return nil, nil, err
	}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		return nil, nil, err
	}
	return private, point[1:], nil // without the octet that says uncompressed
}
