package keycache

import (
	"sync"

	"github.com/iterdns/iterdns/dnssec"
)

// maxSignatures is how many good signatures are remembered. In memory that is about 1 MiB.
const maxSignatures = 16_384

// signatures remembers good signatures in two halves. When the recent one is full the older
// one is forgotten and takes its place: what was of use meanwhile has moved to the recent one.
type signatures struct {
	mu            sync.Mutex
	recent, older map[dnssec.SignatureID]struct{} // guarded by mu
}

// Has reports whether a signature is remembered to be good.
func (s *signatures) Has(id dnssec.SignatureID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.recent[id]; ok {
		return true
	}
	_, ok := s.older[id]
	if ok {
		s.add(id)
	}
	return ok
}

// Add remembers that a signature is good.
func (s *signatures) Add(id dnssec.SignatureID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(id)
}

// add adds a signature to the recent ones. The caller holds mu.
func (s *signatures) add(id dnssec.SignatureID) {
	if len(s.recent) >= maxSignatures/2 {
		s.recent, s.older = s.older, s.recent
		clear(s.recent)
	}
	if s.recent == nil {
		s.recent = make(map[dnssec.SignatureID]struct{})
	}
	s.recent[id] = struct{}{}
}
