package ed448

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/cloudflare/circl/sign/ed448"

	"github.com/iterdns/iterdns/dnssec"
)

func BenchmarkVerify(b *testing.B) {
	public, private, err := ed448.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	message := []byte("message")
	signature := string(ed448.Sign(private, message, ""))
	k, err := Algorithm{}.ParseKey(string(public))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("Ed448", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !k.Verify(message, signature) {
				b.Fatal("a good signature is wrong")
			}
		}
	})
	b.Run("P-256", func(b *testing.B) {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		sum := sha256.Sum256(message)
		signature, err := ecdsa.SignASN1(rand.Reader, private, sum[:])
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if !ecdsa.VerifyASN1(&private.PublicKey, sum[:], signature) {
				b.Fatal("a good signature is wrong")
			}
		}
	})
}

// Only keys and signatures of the lengths of RFC 8080 count, and every byte matters.
func TestLengths(t *testing.T) {
	public, private, err := ed448.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"", string(public[1:]), string(public) + "\x00", "\x00" + string(public)} {
		if k, err := (Algorithm{}).ParseKey(s); !errors.Is(err, dnssec.ErrMalformedKey) {
			t.Errorf("key of %d bytes: got %v, %v, want %v", len(s), k, err, dnssec.ErrMalformedKey)
		}
	}
	k, err := Algorithm{}.ParseKey(string(public))
	if err != nil {
		t.Fatal(err)
	}
	message := []byte("message")
	good := ed448.Sign(private, message, "")
	if !k.Verify(message, string(good)) {
		t.Error("a good signature is wrong")
	}
	for _, s := range []string{"", string(good[1:]), string(good) + "\x00", string(ed448.Sign(private, message, "context"))} {
		if k.Verify(message, s) {
			t.Errorf("signature of %d bytes: got true, want false", len(s))
		}
	}
	for i := range good {
		flipped := []byte(string(good))
		flipped[i] ^= 1
		if k.Verify(message, string(flipped)) {
			t.Errorf("signature with byte %d changed: got true, want false", i)
		}
	}
}

// FuzzVerify: foreign bytes make no panic and no good signature.
func FuzzVerify(f *testing.F) {
	f.Add("", "", []byte{})
	f.Add(string(make([]byte, ed448.PublicKeySize)), string(make([]byte, ed448.SignatureSize)), []byte("message"))
	f.Fuzz(func(t *testing.T, public, signature string, message []byte) {
		k, err := Algorithm{}.ParseKey(public)
		if err != nil {
			return
		}
		k.Verify(message, signature)
		if cost := k.Cost(); cost < 1 {
			t.Errorf("got the cost %d", cost)
		}
	})
}
