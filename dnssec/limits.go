package dnssec

import (
	"crypto/sha1"
	"fmt"
	"sync"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// Defaults of Limits. Signature checks and hashes are what KeyTrap (CVE-2023-50387)
// and NSEC3 exhaustion (CVE-2023-50868) make a validator waste.
const (
	// DefaultSignatureChecks is how many signatures one question may check.
	// PowerDNS stops at 30, Knot Resolver at 32; a validated cold answer needs
	// about 8, a chain of 11 aliases about 50.
	DefaultSignatureChecks = 64
	// DefaultFailedChecks is how many of them may fail. BIND allows 1 a fetch, of
	// which a question makes up to 50.
	DefaultFailedChecks = 16
	// DefaultCostUnits is the computing all checks may take, in P-256 checks.
	DefaultCostUnits = 200
	// DefaultSignaturesPerRRset is how many RRSIGs of one RRset are tried, as
	// Unbound does.
	DefaultSignaturesPerRRset = 8
	// DefaultKeysPerTag is how many keys that share tag and algorithm are tried,
	// as PowerDNS does. Tags are 16 bits of checksum: honest zones collide rarely.
	DefaultKeysPerTag = 2
	// DefaultDSPerZone is how many usable DS records of one zone are tried, as
	// PowerDNS does.
	DefaultDSPerZone = 8
	// DefaultNSEC3Iterations is the highest iteration count that is computed; more
	// make a proof Insecure (RFC 9276 §3.2). BIND, Knot Resolver and PowerDNS stop
	// there too.
	DefaultNSEC3Iterations = 50
	// DefaultNSEC3Hashes is how many names one question may hash, as PowerDNS
	// does. A proof for a name of n labels takes at most n+2.
	DefaultNSEC3Hashes = 600
	// DefaultNSEC3Records is how many NSEC3 records of one response are looked at,
	// as PowerDNS does. The longest proof needs 4 (RFC 5155 §7.2).
	DefaultNSEC3Records = 10
)

// Limits bounds the work that one question may cause. Zero fields mean the
// defaults, negative ones no limit.
type Limits struct {
	SignatureChecks    int // signatures checked, all together
	FailedChecks       int // signatures checked that were wrong
	CostUnits          int // computing for signatures; one unit is one P-256 check
	SignaturesPerRRset int // RRSIGs tried for one RRset
	KeysPerTag         int // keys tried that share tag and algorithm
	DSPerZone          int // usable DS records or anchors tried for one zone
	NSEC3Iterations    int // iterations above which a proof is Insecure; at most 65,535 exist
	NSEC3Hashes        int // names hashed for NSEC3, each with all its iterations
	NSEC3Records       int // NSEC3 records looked at in one response
}

// filled replaces zeros by the defaults and negative numbers by no limit.
func (l Limits) filled() Limits {
	for _, f := range []struct {
		field *int
		value int
	}{
		{&l.SignatureChecks, DefaultSignatureChecks},
		{&l.FailedChecks, DefaultFailedChecks},
		{&l.CostUnits, DefaultCostUnits},
		{&l.SignaturesPerRRset, DefaultSignaturesPerRRset},
		{&l.KeysPerTag, DefaultKeysPerTag},
		{&l.DSPerZone, DefaultDSPerZone},
		{&l.NSEC3Iterations, DefaultNSEC3Iterations},
		{&l.NSEC3Hashes, DefaultNSEC3Hashes},
		{&l.NSEC3Records, DefaultNSEC3Records},
	} {
		if *f.field == 0 {
			*f.field = f.value
		}
		if *f.field < 0 {
			*f.field = int(^uint(0) >> 1)
		}
	}
	return l
}

// Limit names a field of Limits.
type Limit uint8

// The limits that end a validation. NSEC3Iterations is none of them: it makes a
// proof Insecure.
const (
	LimitSignatureChecks Limit = iota + 1
	LimitFailedChecks
	LimitCostUnits
	LimitSignaturesPerRRset
	LimitKeysPerTag
	LimitDSPerZone
	LimitNSEC3Hashes
	LimitNSEC3Records
)

// String says what is limited.
func (l Limit) String() string {
	switch l {
	case LimitSignatureChecks:
		return "signature checks for one question"
	case LimitFailedChecks:
		return "failed signature checks for one question"
	case LimitCostUnits:
		return "units of signature cost for one question"
	case LimitSignaturesPerRRset:
		return "signatures tried for one RRset"
	case LimitKeysPerTag:
		return "keys with one key tag"
	case LimitDSPerZone:
		return "DS records tried for one zone"
	case LimitNSEC3Hashes:
		return "NSEC3 hashes for one question"
	case LimitNSEC3Records:
		return "NSEC3 records in one response"
	}
	return "unknown limit"
}

// LimitError says that judging would take more work than allowed. It is no verdict
// on the data.
type LimitError struct {
	Limit Limit
	Max   int
}

// Error names the limit and its value.
func (e *LimitError) Error() string {
	return fmt.Sprintf("validation stopped: more than %d %s", e.Max, e.Limit)
}

// Work counts what judging the responses of one client question has cost, aliases,
// name-server lookups, retries and restarts included: it is never reset, and once a
// limit of the whole question is hit, every later charge fails too. It may be used
// from several goroutines.
type Work struct {
	limits Limits

	mu     sync.Mutex // guards all below
	spent  Spent
	broken *LimitError
	hashes map[hashInput][sha1.Size]byte
}

// Spent is what has been counted so far.
type Spent struct {
	SignatureChecks int
	FailedChecks    int
	CostUnits       int
	NSEC3Hashes     int
}

// NewWork starts a count under limits.
func NewWork(limits Limits) *Work { return &Work{limits: limits.filled()} }

// Spent reports what has been counted so far.
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
func (w *Work) hash(in hashInput) ([sha1.Size]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if h, ok := w.hashes[in]; ok {
		return h, nil
	}
	if w.broken != nil {
		return [sha1.Size]byte{}, w.broken
	}
	if w.spent.NSEC3Hashes >= w.limits.NSEC3Hashes {
		return [sha1.Size]byte{}, w.stop(LimitNSEC3Hashes, w.limits.NSEC3Hashes)
	}
	w.spent.NSEC3Hashes++
	h := nsec3Hash(in)
	if w.hashes == nil {
		w.hashes = make(map[hashInput][sha1.Size]byte)
	}
	w.hashes[in] = h
	return h, nil
}
