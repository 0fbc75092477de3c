// Package ed448 adds Ed448, algorithm 16 of DNSSEC, to the validator. Go's standard
// library does not have it; circl of Cloudflare does. It is a module of its own, so that
// only those who want it get that requirement:
//
//	r, err := resolver.New(resolver.Options{Algorithms: ed448.Algorithms()})
//
// Without it, zones that are signed with Ed448 alone are Insecure, with extended DNS
// error 1 (RFC 4035 §5.2, RFC 8914 §4.2).
//
// # Standards
//
// RFC 8080 (the algorithm in DNSSEC), RFC 8032 (the algorithm).
//
// # Limitations
//
// Signing is not there.
//
// # Bugs
//
// None known.
package ed448

import (
	"github.com/cloudflare/circl/sign/ed448"
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
)

// Algorithm is Ed448 for dnssec.Options.Algorithms, under the number dns.ED448.
type Algorithm struct{}

// Algorithms returns Ed448 by its number, as the Algorithms of resolver.Options and of
// dnssec.Options want it. The map is the caller's.
func Algorithms() map[uint8]dnssec.Algorithm {
	return map[uint8]dnssec.Algorithm{dns.ED448: Algorithm{}}
}

// ParseKey takes exactly 57 bytes (RFC 8080 §3): none may trail. Which of them are a
// point of the curve is found out when a signature is checked.
func (Algorithm) ParseKey(public string) (dnssec.PublicKey, error) {
	if len(public) != ed448.PublicKeySize {
		return nil, dnssec.ErrMalformedKey
	}
	return key(public), nil
}

type key string

// cost is a check in units of one P-256 check, measured (BenchmarkVerify).
const cost = 10

// Cost is the same for all keys.
func (key) Cost() int { return cost }

// Verify checks a signature of exactly 114 bytes with an empty context (RFC 8080 §4).
func (k key) Verify(message []byte, signature string) bool {
	return len(signature) == ed448.SignatureSize &&
		ed448.Verify(ed448.PublicKey(k), message, []byte(signature), "")
}
