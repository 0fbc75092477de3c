package dnssec

import (
	"crypto"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"maps"

	"github.com/miekg/dns"
)

// Why a public key cannot be used.
var (
	// ErrUnsupportedKey says that a key is well-formed but of a size that is not
	// supported. A zone that only has such keys is Insecure.
	ErrUnsupportedKey = errors.New("public key of a size that is not supported")
	// ErrMalformedKey says that bytes are no public key of the algorithm.
	ErrMalformedKey = errors.New("malformed public key")
)

// Algorithm is a signature algorithm. Implementations receive bytes from the network: they
// check sizes before they compute, must not panic, keep no state and are called
// concurrently.
type Algorithm interface {
	// ParseKey reads the public key field of a DNSKEY record. It fails with
	// ErrUnsupportedKey or ErrMalformedKey.
	ParseKey(public string) (PublicKey, error)
}

// PublicKey checks signatures. It is immutable.
type PublicKey interface {
	// Cost is what one check takes, in units of one P-256 check, at least 1.
	Cost() int
	// Verify reports whether signature, the last field of an RRSIG record, is the
	// key's signature of message. It must not keep message, whose bytes change afterwards.
	Verify(message []byte, signature string) bool
}

// algorithms maps algorithm numbers to what checks them.
type algorithms map[uint8]Algorithm

// builtin returns the algorithms that Go's standard library can do. RFC 9904 asks for
// 8, 10, 13, 14 and 15; 5 and 7 are RSA with SHA-1, still found in zones (RFC 9905).
func builtin() algorithms {
	return algorithms{
		dns.RSASHA1:          rsaSHA1,
		dns.RSASHA1NSEC3SHA1: rsaSHA1,
		dns.RSASHA256:        rsaSHA256,
		dns.RSASHA512:        rsaSHA512,
		dns.ECDSAP256SHA256:  ecdsaP256,
		dns.ECDSAP384SHA384:  ecdsaP384,
		dns.ED25519:          ed25519Algorithm{},
	}
}

// with returns the built-in algorithms changed by extra; nil takes one away.
func (a algorithms) with(extra map[uint8]Algorithm) algorithms {
	maps.Copy(a, extra)
	maps.DeleteFunc(a, func(_ uint8, alg Algorithm) bool { return alg == nil })
	return a
}

func (a algorithms) supports(number uint8) bool {
	_, ok := a[number]
	return ok
}

// digest has room for the hash of a message, so that none is allocated.
type digest [sha512.Size]byte

// of hashes a message with one of the hashes of the built-in algorithms.
func (d *digest) of(hash crypto.Hash, message []byte) []byte {
	switch {
	case hash == crypto.SHA1:
		sum := sha1.Sum(message)
		return append(d[:0], sum[:]...)
	case hash == crypto.SHA384:
		sum := sha512.Sum384(message)
		return append(d[:0], sum[:]...)
	case hash == crypto.SHA512:
		sum := sha512.Sum512(message)
		return append(d[:0], sum[:]...)
	}
	sum := sha256.Sum256(message)
	return append(d[:0], sum[:]...)
}
