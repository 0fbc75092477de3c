package dnssec

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"strings"
)

// ecdsaAlgorithm is ECDSA over a NIST curve. RFC 6605.
type ecdsaAlgorithm struct {
	curve elliptic.Curve
	hash  crypto.Hash
	size  int // of a coordinate in bytes
	cost  int // P-384 has no assembly in Go and takes ten times P-256
}

var (
	ecdsaP256 = ecdsaAlgorithm{elliptic.P256(), crypto.SHA256, 32, 1}
	ecdsaP384 = ecdsaAlgorithm{elliptic.P384(), crypto.SHA384, 48, 10}
)

// ParseKey reads the two coordinates of a point on the curve (RFC 6605 §4).
func (a ecdsaAlgorithm) ParseKey(public string) (PublicKey, error) {
	if len(public) != 2*a.size {
		return nil, ErrMalformedKey
	}
	const uncompressed = "\x04"
	key, err := ecdsa.ParseUncompressedPublicKey(a.curve, []byte(uncompressed+public))
	if err != nil {
		return nil, ErrMalformedKey
	}
	return &ecdsaKey{key, a}, nil
}

type ecdsaKey struct {
	key       *ecdsa.PublicKey
	algorithm ecdsaAlgorithm
}

// Cost is that of the curve.
func (k *ecdsaKey) Cost() int { return k.algorithm.cost }

// Verify checks a signature of two numbers of the curve's size (RFC 6605 §4).
func (k *ecdsaKey) Verify(message []byte, signature string) bool {
	size := k.algorithm.size
	if len(signature) != 2*size {
		return false
	}
	var sum digest
	var buf [maxDERSignature]byte
	der, ok := appendDERSignature(buf[:0], signature[:size], signature[size:])
	return ok && ecdsa.VerifyASN1(k.key, sum.of(k.algorithm.hash, message), der)
}

// maxDERSignature is the length of the longest signature of P-384 in DER: two numbers of 48
// bytes with a byte for the sign, each behind two bytes of type and length, behind two more.
const maxDERSignature = 2 + 2*(2+1+48)

// appendDERSignature appends the two numbers of a signature in DER (X.690), the form that
// crypto/ecdsa takes without the detour of big.Int. It is false when one of them is zero,
// which no signature has.
func appendDERSignature(dst []byte, r, s string) ([]byte, bool) {
	const sequence, integer, signBit = 0x30, 0x02, 0x80
	start := len(dst)
	dst = append(dst, sequence, 0)
	for _, number := range [...]string{r, s} {
		number = strings.TrimLeft(number, "\x00")
		if number == "" {
			return dst, false
		}
		if number[0]&signBit != 0 {
			dst = append(dst, integer, byte(1+len(number)), 0)
		} else {
			dst = append(dst, integer, byte(len(number)))
		}
		dst = append(dst, number...)
	}
	dst[start+1] = byte(len(dst) - start - 2) // below 128: one byte says it
	return dst, true
}

// ed25519Algorithm is Ed25519. RFC 8080.
type ed25519Algorithm struct{}

// ParseKey takes exactly 32 bytes (RFC 8080 §3): none may trail.
func (ed25519Algorithm) ParseKey(public string) (PublicKey, error) {
	if len(public) != ed25519.PublicKeySize {
		return nil, ErrMalformedKey
	}
	return ed25519Key(public), nil
}

type ed25519Key string

// Cost is about that of P-256.
func (k ed25519Key) Cost() int { return 1 }

// Verify checks a signature of exactly 64 bytes (RFC 8080 §4).
func (k ed25519Key) Verify(message []byte, signature string) bool {
	return len(signature) == ed25519.SignatureSize &&
		ed25519.Verify(ed25519.PublicKey(k), message, []byte(signature))
}
