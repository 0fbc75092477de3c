package resolvertest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"math/big"
	"math/rand/v2"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// signingKey is a key of a zone with its DNSKEY record.
type signingKey struct {
	record *dns.DNSKEY
	signer crypto.Signer // nil: of an algorithm that nobody knows
}

// Flags of a DNSKEY record (RFC 4034 §2.1.1), and how zones are signed if nothing is
// said.
const (
	zoneKeyFlag     = 256
	entryPointFlag  = 1
	dnskeyProtocol  = 3
	defaultSignWith = dns.ED25519
	// defaultBits is the length of RSA keys: the shortest that validators take (RFC
	// 5702 §2), since long ones take long to find.
	defaultBits = 1024
)

// keySpec is all that a key depends on.
type keySpec struct {
	zone       dnsname.Name
	generation int // from 1
	flags      uint16
	algorithm  uint8
	bits       int // of RSA keys; 0: defaultBits
}

// newKey derives a key from what it is for, so that every run has the same keys, tags
// and DS records.
func newKey(spec keySpec) (signingKey, error) {
	seed := sha512.Sum512(fmt.Appendf(nil, "resolvertest key %d %d %d %d %s",
		spec.generation, spec.flags, spec.algorithm, spec.bits, spec.zone))
	signer, public, err := derivedKey(seed, spec)
	if err != nil {
		return signingKey{}, err
	}
	return signingKey{
		record: &dns.DNSKEY{
			Hdr:       header(spec.zone, dns.TypeDNSKEY),
			Flags:     spec.flags,
			Protocol:  dnskeyProtocol,
			Algorithm: spec.algorithm,
			PublicKey: base64.StdEncoding.EncodeToString(public),
		},
		signer: signer,
	}, nil
}

// derivedKey returns a private key and its public half in the form of a DNSKEY record
// (RFC 3110 §2, RFC 6605 §4, RFC 8080 §3). Of other algorithms the key is random
// bytes, and there is no private one.
func derivedKey(seed [sha512.Size]byte, spec keySpec) (crypto.Signer, []byte, error) {
	switch spec.algorithm {
	case dns.ED25519:
		private := ed25519.NewKeyFromSeed(seed[:ed25519.SeedSize])
		return private, private.Public().(ed25519.PublicKey), nil
	case dns.ECDSAP256SHA256:
		return ecdsaKey(elliptic.P256(), seed[:32])
	case dns.ECDSAP384SHA384:
		return ecdsaKey(elliptic.P384(), seed[:48])
	case dns.RSASHA1, dns.RSASHA1NSEC3SHA1, dns.RSASHA256, dns.RSASHA512:
		return rsaKey(seed, spec.bits)
	}
	return nil, seed[:], nil
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
	return private, point[1:], nil // without the byte that says uncompressed
}

// rsaExponent is the public exponent that everybody uses.
const rsaExponent = 65537

// rsaKey finds a key from a seed. crypto/rsa gives another one each time, on purpose.
func rsaKey(seed [sha512.Size]byte, bits int) (crypto.Signer, []byte, error) {
	if bits == 0 {
		bits = defaultBits
	}
	if bits < defaultBits || bits > 4096 || bits%16 != 0 {
		return nil, nil, fmt.Errorf("RSA keys have 1024 to 4096 bits, in steps of 16, not %d", bits)
	}
	source := rand.NewChaCha8([32]byte(seed[:]))
	p := primeFrom(source, bits/2)
	q := primeFrom(source, bits/2)
	one := big.NewInt(1)
	totient := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	private := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: rsaExponent},
		D:         new(big.Int).ModInverse(big.NewInt(rsaExponent), totient),
		Primes:    []*big.Int{p, q},
	}
	if err := private.Validate(); err != nil {
		return nil, nil, err
	}
	private.Precompute()
	public := append([]byte{3, 1, 0, 1}, private.N.Bytes()...) // 3 bytes: the exponent
	return private, public, nil
}

// primeFrom finds a prime of so many bits, the upper two of them set so that the
// product of two has twice as many, that is good for rsaExponent.
func primeFrom(source *rand.ChaCha8, bits int) *big.Int {
	b := make([]byte, bits/8)
	exponent, one := big.NewInt(rsaExponent), big.NewInt(1)
	for {
		_, _ = source.Read(b) // never fails
		b[0] |= 0xc0
		b[len(b)-1] |= 1
		p := new(big.Int).SetBytes(b)
		below := new(big.Int).Sub(p, one)
		if new(big.Int).GCD(nil, nil, below, exponent).Cmp(one) == 0 && p.ProbablyPrime(20) {
			return p
		}
	}
}
