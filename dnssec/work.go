package dnssec

import (
	"sync"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// Work counts what judging the responses of one client question has cost, aliases,
// name-server lookups, retries and restarts included: it is never reset, and once a
// limit of the whole question is hit, every later charge fails too. It may be used
// from several goroutines.
type Work struct {
	limits Limits

	mu     sync.Mutex // guards all below
	spent  Spent
	broken *LimitError
	hashes map[hashInput]string
}

// Spent has the counts of a Work.
type Spent struct {
	SignatureChecks int
	FailedChecks    int
	CostUnits       int
	NSEC3Hashes     int
}

// NewWork starts a count under limits.
func NewWork(limits Limits) *Work { return &Work{limits: limits.filled()} }

// Spent returns the counts so far.
func (w *Work) Spent() Spent {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.spent
}

// check pays for one signature check before it is made.
func (w *Work) check(cost int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return w.broken
	}
	if w.spent.SignatureChecks >= w.limits.SignatureChecks {
		return w.stop(LimitSignatureChecks, w.limits.SignatureChecks)
	}
	if cost > w.limits.CostUnits-w.spent.CostUnits {
		return w.stop(LimitCostUnits, w.limits.CostUnits)
	}
	w.spent.SignatureChecks++
	w.spent.CostUnits += cost
	return nil
}

// failed counts a check that found a wrong signature.
func (w *Work) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spent.FailedChecks++
	if w.spent.FailedChecks > w.limits.FailedChecks {
		return w.stop(LimitFailedChecks, w.limits.FailedChecks)
	}
	return nil
}

// stop makes a limit final. The caller holds mu.
func (w *Work) stop(limit Limit, max int) error {
	if w.broken == nil {
		w.broken = &LimitError{Limit: limit, Max: max}
	}
	return w.broken
}

// hashInput is all that an NSEC3 hash depends on.
type hashInput struct {
	name       dnsname.Name
	salt       string
	iterations uint16
}

// hash computes a name's NSEC3 hash, or recalls it: the proofs of one question ask
// for the same names again and again.
func (w *Work) hash(in hashInput) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if h, ok := w.hashes[in]; ok {
		return h, nil
	}
	if w.broken != nil {
		return "", w.broken
	}
	if w.spent.NSEC3Hashes >= w.limits.NSEC3Hashes {
		return "", w.stop(LimitNSEC3Hashes, w.limits.NSEC3Hashes)
	}
	w.spent.NSEC3Hashes++
	sum := nsec3Hash(in)
	h := string(sum[:])
	if w.hashes == nil {
		w.hashes = make(map[hashInput]string)
	}
	w.hashes[in] = h
	return h, nil
}
