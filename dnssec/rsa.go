package dnssec

import (
	"crypto"
	"crypto/rsa"
	"math/big"
	"math/bits"
	"strings"
)

const (
	// minRSABits is the smallest RSA modulus that crypto/rsa accepts, and long
	// ago too small to mean anything.
	minRSABits = 1024
	// maxRSABits is the largest modulus of RFC 3110 §2. The work grows with the
	// square of the size.
	maxRSABits = 4096
	// maxRSAExponent is the largest exponent of crypto/rsa. Honest keys use 3 or
	// 65537; larger ones make checks slow (BIND 9.18.49, 9.20.25).
	maxRSAExponent = 1<<31 - 1
	// rsaUnit is what one P-256 check takes, in multiplications of 1024-bit numbers as
	// crypto/rsa makes them in Go. For the sizes in rsaFast it has assembly, with which
	// rsaFastUnit of them fit. BenchmarkUnit measures both.
	rsaUnit     = 78
	rsaFastUnit = 290
	// rsaSetup is how many multiplications it takes to get ready for a modulus.
	rsaSetup = 11
)

// rsaAlgorithm is RSA with PKCS #1 v1.5. RFC 3110, RFC 5702.
type rsaAlgorithm struct{ hash crypto.Hash }

var (
	rsaSHA1   = rsaAlgorithm{crypto.SHA1}
	rsaSHA256 = rsaAlgorithm{crypto.SHA256}
	rsaSHA512 = rsaAlgorithm{crypto.SHA512}
)

// ParseKey reads exponent length, exponent and modulus (RFC 3110 §2).
func (a rsaAlgorithm) ParseKey(public string) (PublicKey, error) {
	exponent, modulus, ok := splitRSA(public)
	if !ok {
		return nil, ErrMalformedKey
	}
	size := len(modulus)*8 - bits.LeadingZeros8(modulus[0])
	e := new(big.Int)
	if len(exponent) <= 4 {
		e.SetBytes([]byte(exponent))
	}
	if size < minRSABits || size > maxRSABits || len(exponent) > 4 || e.Int64() > maxRSAExponent {
		return nil, ErrUnsupportedKey
	}
	if e.Bit(0) == 0 || e.Int64() == 1 || modulus[len(modulus)-1]&1 == 0 {
		return nil, ErrMalformedKey // crypto/rsa would refuse each signature
	}
	n := new(big.Int).SetBytes([]byte(modulus))
	return &rsaKey{rsa.PublicKey{N: n, E: int(e.Int64())}, a.hash}, nil
}

// splitRSA returns exponent and modulus without leading zeros, neither empty.
func splitRSA(public string) (exponent, modulus string, ok bool) {
	if public == "" {
		return "", "", false
	}
	n, rest := int(public[0]), public[1:]
	if n == 0 { // a length of more than 255 takes two more bytes
		if len(rest) < 2 {
			return "", "", false
		}
		n, rest = int(rest[0])<<8|int(rest[1]), rest[2:]
	}
	if n > len(rest) {
		return "", "", false
	}
	exponent, modulus = strings.TrimLeft(rest[:n], "\x00"), strings.TrimLeft(rest[n:], "\x00")
	return exponent, modulus, exponent != "" && modulus != ""
}

type rsaKey struct {
	key  rsa.PublicKey
	hash crypto.Hash
}

// Cost counts multiplications: one for each bit of the exponent and one more for each
// that is set, without the first, each as expensive as the square of the modulus' size.
func (k *rsaKey) Cost() int {
	e := uint(k.key.E)
	multiplications := rsaSetup + bits.Len(e) + bits.OnesCount(e) - 2
	const wordBits, referenceWords = 64, minRSABits / 64
	size := k.key.N.BitLen()
	words := (size + wordBits - 1) / wordBits
	unit := rsaUnit
	if rsaFast(size) {
		unit = rsaFastUnit
	}
	unit *= referenceWords * referenceWords
	return (words*words*multiplications + unit - 1) / unit
}

// rsaFast reports whether Go multiplies numbers of the size with assembly
// (crypto/internal/fips140/bigmod).
func rsaFast(size int) bool { return size == 1024 || size == 1536 || size == 2048 }

// Verify checks a signature as long as the modulus.
func (k *rsaKey) Verify(message []byte, signature string) bool {
	var sum digest
	return rsa.VerifyPKCS1v15(&k.key, k.hash, sum.of(k.hash, message), []byte(signature)) == nil
}
