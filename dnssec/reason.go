package dnssec

import (
	"fmt"

	"github.com/miekg/dns"
)

// ReasonCode says why data is not Secure.
type ReasonCode uint8

const (
	// ReasonNone is the zero value: there is nothing to explain.
	ReasonNone ReasonCode = iota

	// ReasonNoAnchor: no trust anchor is at or above the name. Indeterminate.
	ReasonNoAnchor

	// The following make data Insecure.

	// ReasonNegativeAnchor: a negative trust anchor is at or above the name
	// (RFC 7646).
	ReasonNegativeAnchor
	// ReasonUnsigned: a delegation above the name is proven to have no DS.
	ReasonUnsigned
	// ReasonOptOut: the name may be a delegation that an opt-out range of NSEC3
	// leaves unproven (RFC 5155 §6).
	ReasonOptOut
	// ReasonAlgorithm: the zone is only signed with algorithms that are not
	// supported (RFC 4035 §5.2).
	ReasonAlgorithm
	// ReasonDigest: the zone's DS only has digests that are not supported.
	ReasonDigest
	// ReasonKeySize: the zone is only signed with keys of unsupported size.
	ReasonKeySize
	// ReasonIterations: the proof uses more NSEC3 iterations than allowed
	// (RFC 9276 §3.2).
	ReasonIterations
	// ReasonUnsignable: records of the type are never signed, as RRSIG itself.
	ReasonUnsignable

	// The following make data Bogus. Those about signatures stand in the order in
	// which they are found: of several signatures, the one that came furthest
	// explains the failure.

	// ReasonNoSignature: no signature of a zone that may hold the data.
	ReasonNoSignature
	// ReasonSigner: the data is signed by a zone that does not hold it.
	ReasonSigner
	// ReasonLabels: the label count of the signature is impossible.
	ReasonLabels
	// ReasonSignatureAlgorithm: signed only with algorithms that are not
	// supported, though the zone has a supported one.
	ReasonSignatureAlgorithm
	// ReasonExpired: the signature has expired.
	ReasonExpired
	// ReasonNotYetValid: the signature is not valid yet.
	ReasonNotYetValid
	// ReasonValidity: the signature expires before it begins.
	ReasonValidity
	// ReasonNoKey: the zone has no key with the signature's tag and algorithm.
	ReasonNoKey
	// ReasonNotZoneKey: the key lacks the zone key flag, is revoked, or is of
	// another protocol than DNSSEC.
	ReasonNotZoneKey
	// ReasonBadKey: the key is malformed or of unsupported size.
	ReasonBadKey
	// ReasonBadSignature: the signature is wrong.
	ReasonBadSignature

	// ReasonNoDNSKEY: the zone has no DNSKEY RRset though it has a DS.
	ReasonNoDNSKEY
	// ReasonDSMismatch: no key matches a DS or trust anchor.
	ReasonDSMismatch
	// ReasonNoDenial: there is no proof that the data does not exist.
	ReasonNoDenial
	// ReasonWrongDenial: the records of a proof prove something else.
	ReasonWrongDenial
	// ReasonWildcard: no proof that an answer made from a wildcard has no closer
	// match (RFC 4035 §5.3.4).
	ReasonWildcard
	// ReasonAlias: a CNAME does not follow from its DNAME, or the answer holds
	// something else than aliases and the data asked for.
	ReasonAlias
	// ReasonNotDelegated: a referral to a name that is proven to be none.
	ReasonNotDelegated
	// ReasonUnavailable: DS or DNSKEY could not be obtained.
	ReasonUnavailable
)

// String returns the words of the reason without what it is about: few enough values to
// count by.
func (c ReasonCode) String() string { return c.phrase() }

// phrase returns the words for people.
func (c ReasonCode) phrase() string {
	switch c {
	case ReasonNone:
		return ""
	case ReasonNoAnchor:
		return "no trust anchor"
	case ReasonNegativeAnchor:
		return "negative trust anchor"
	case ReasonUnsigned:
		return "unsigned delegation"
	case ReasonOptOut:
		return "in an opt-out range"
	case ReasonAlgorithm:
		return "no supported algorithm"
	case ReasonDigest:
		return "no supported DS digest"
	case ReasonKeySize:
		return "no key of supported size"
	case ReasonIterations:
		return "too many NSEC3 iterations"
	case ReasonUnsignable:
		return "type is never signed"
	case ReasonNoSignature:
		return "signature missing"
	case ReasonSigner:
		return "signer does not hold the name"
	case ReasonLabels:
		return "impossible label count in signature"
	case ReasonSignatureAlgorithm:
		return "signature with unsupported algorithm only"
	case ReasonExpired:
		return "signature expired"
	case ReasonNotYetValid:
		return "signature not yet valid"
	case ReasonValidity:
		return "signature expires before it begins"
	case ReasonNoKey:
		return "no such key"
	case ReasonNotZoneKey:
		return "not a usable zone key"
	case ReasonBadKey:
		return "unusable public key"
	case ReasonBadSignature:
		return "wrong signature"
	case ReasonNoDNSKEY:
		return "DNSKEY missing"
	case ReasonDSMismatch:
		return "no key matches the DS"
	case ReasonNoDenial:
		return "proof of nonexistence missing"
	case ReasonWrongDenial:
		return "wrong proof of nonexistence"
	case ReasonWildcard:
		return "wildcard without proof"
	case ReasonAlias:
		return "answer does not follow from its aliases"
	case ReasonNotDelegated:
		return "not a delegation"
	case ReasonUnavailable:
		return "could not be had"
	}
	return "unknown reason"
}

// Codes of RFC 8914 that miekg/dns has no name for are none; RFC 9276 §5 adds 27.
const noEDE = ^uint16(0)

// ede returns the Extended DNS Error code, noEDE if none fits.
func (c ReasonCode) ede() uint16 {
	switch c {
	case ReasonNone, ReasonNoAnchor, ReasonNegativeAnchor, ReasonUnsigned, ReasonOptOut, ReasonUnsignable:
		return noEDE
	case ReasonAlgorithm, ReasonKeySize, ReasonSignatureAlgorithm:
		return dns.ExtendedErrorCodeUnsupportedDNSKEYAlgorithm
	case ReasonDigest:
		return dns.ExtendedErrorCodeUnsupportedDSDigestType
	case ReasonIterations:
		return dns.ExtendedErrorCodeUnsupportedNSEC3IterValue
	case ReasonNoSignature:
		return dns.ExtendedErrorCodeRRSIGsMissing
	case ReasonExpired:
		return dns.ExtendedErrorCodeSignatureExpired
	case ReasonNotYetValid:
		return dns.ExtendedErrorCodeSignatureNotYetValid
	case ReasonValidity:
		return dns.ExtendedErrorCodeSignatureExpiredBeforeValid
	case ReasonNoKey, ReasonNoDNSKEY, ReasonDSMismatch:
		return dns.ExtendedErrorCodeDNSKEYMissing
	case ReasonNotZoneKey:
		return dns.ExtendedErrorCodeNoZoneKeyBitSet
	case ReasonNoDenial, ReasonWildcard:
		return dns.ExtendedErrorCodeNSECMissing
	case ReasonSigner, ReasonLabels, ReasonBadKey, ReasonBadSignature, ReasonWrongDenial, ReasonAlias, ReasonNotDelegated:
		return dns.ExtendedErrorCodeDNSBogus
	case ReasonUnavailable:
		return dns.ExtendedErrorCodeNoReachableAuthority
	}
	return dns.ExtendedErrorCodeDNSBogus
}

// Reason says why data is not Secure, and of which RRset or zone that was found:
// often not the data itself but a link of the chain above. The zero value says
// nothing.
type Reason struct {
	Code ReasonCode
	Name Name
	Type uint16 // 0: the reason is about the zone Name
	// KeyTag is the key's, where the reason is about one signature or key.
	KeyTag uint16
	// Cause is why something could not be obtained, as the caller of Fail said, or the *ClockError
	// where the clock is to blame.
	Cause error
}

// EDE returns the Extended DNS Error code (RFC 8914); ok is false where none fits.
func (r Reason) EDE() (code uint16, ok bool) {
	code = r.Code.ede()
	return code, code != noEDE
}

// String is a short sentence for people, without secrets: good as EXTRA-TEXT.
func (r Reason) String() string {
	if r.Code == ReasonNone {
		return ""
	}
	s := r.Code.phrase() + ": " + r.Name.String()
	if r.Type != 0 {
		s += " " + typeName(r.Type)
	}
	if r.KeyTag != 0 {
		s += fmt.Sprintf(" (key %d)", r.KeyTag)
	}
	if r.isClock() {
		s += "; " + r.Cause.Error()
	}
	return s
}

func (r Reason) isClock() bool {
	_, ok := r.Cause.(*ClockError)
	return ok
}

// further returns the reason of the two that was found later on the way of checking
// a signature.
func (r Reason) further(other Reason) Reason {
	if other.Code > r.Code {
		return other
	}
	return r
}

// BogusError is a Bogus verdict as an error.
type BogusError struct{ Reason Reason }

// Error returns the reason in words, with the cause where a link of the chain could not be had.
func (e *BogusError) Error() string {
	if e.Reason.Cause != nil && !e.Reason.isClock() { // which the reason says itself
		return "bogus: " + e.Reason.String() + ": " + e.Reason.Cause.Error()
	}
	return "bogus: " + e.Reason.String()
}

// Unwrap returns the cause where a link of the chain could not be had, or a *ClockError.
func (e *BogusError) Unwrap() error { return e.Reason.Cause }
