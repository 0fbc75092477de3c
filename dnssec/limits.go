package dnssec

import (
	"fmt"
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
	// DefaultCostUnits is the computation that all checks may take, in P-256 checks.
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

// LimitError says that judging would take more work than allowed. It says nothing about
// the data.
type LimitError struct {
	Limit Limit
	Max   int
}

// Error names the limit and its value.
func (e *LimitError) Error() string {
	return fmt.Sprintf("validation stopped: more than %d %s", e.Max, e.Limit)
}
