package keycache

import (
	"encoding/binary"
	"sync"
	"testing"

	"github.com/iterdns/iterdns/dnssec"
)

func numbered(n int) (id dnssec.SignatureID) {
	binary.BigEndian.PutUint64(id[:], uint64(n))
	return id
}

// The memory is bounded, forgets the oldest first, and keeps what is of use.
func TestSignaturesBounded(t *testing.T) {
	s := &New().signatures
	const used = 0
	if s.Has(numbered(used)) {
		t.Error("an empty memory has a signature")
	}
	for n := range 4 * maxSignatures {
		s.Add(numbered(n))
		if total := len(s.recent) + len(s.older); total > maxSignatures {
			t.Fatalf("after %d: got %d signatures, want at most %d", n, total, maxSignatures)
		}
		if n%1000 == 0 && !s.Has(numbered(used)) {
			t.Fatalf("after %d: the signature used all the time is forgotten", n)
		}
	}
	last := 4*maxSignatures - 1
	for _, n := range []int{last, last - maxSignatures/2 + 2} {
		if !s.Has(numbered(n)) {
			t.Errorf("number %d of %d is forgotten, one of the last %d", n, last, maxSignatures/2)
		}
	}
	if s.Has(numbered(1)) {
		t.Error("the first signature that is of no use is remembered")
	}
}

func TestSignaturesFromManyGoroutines(t *testing.T) {
	s := &New().signatures
	var users sync.WaitGroup
	for range 4 {
		users.Go(func() {
			for n := range maxSignatures {
				s.Add(numbered(n))
				s.Has(numbered(n / 2))
			}
		})
	}
	users.Wait()
	if total := len(s.recent) + len(s.older); total > maxSignatures {
		t.Errorf("got %d signatures, want at most %d", total, maxSignatures)
	}
	if last := numbered(maxSignatures - 1); !s.Has(last) {
		t.Error("the last signature added is forgotten")
	}
}
