package dnssec

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

// verified is a signature that holds.
type verified struct {
	// wildcard is the source of synthesis when the RRset was made from a wildcard
	// (RFC 4592 §3.3.1), else "".
	wildcard dnsname.Name
	ttl      uint32 // seconds, RFC 4035 §5.3.3
}

// verify looks for one good signature of set by zone with a key that find knows
// (RFC 4035 §5.3). The reason is empty when there is one. What is free to check
// comes first; only signatures that deserve computing count as tried.
func (e *Evidence) verify(set *RRset, zone dnsname.Name, find func(tag uint16, algorithm uint8) []*zoneKey) (verified, Reason, error) {
	reason := Reason{Code: ReasonNoSignature, Name: set.Owner, Type: set.Type}
	e.message.begin(set)
	tried := 0
	for rdata := range set.Signatures.All() {
		sig, err := ParseSignature(rdata)
		if err != nil || sig.Signer != zone {
			continue
		}
		if code := e.admissible(set, &sig); code != ReasonNone {
			reason = reason.further(Reason{code, set.Owner, set.Type, sig.KeyTag, nil})
			continue
		}
		keys := find(sig.KeyTag, sig.Algorithm)
		if len(keys) == 0 {
			reason = reason.further(Reason{ReasonNoKey, set.Owner, set.Type, sig.KeyTag, nil})
			continue
		}
		if tried++; tried > e.work.limits.SignaturesPerRRset {
			return verified{}, Reason{}, &LimitError{LimitSignaturesPerRRset, e.work.limits.SignaturesPerRRset}
		}
		code, err := e.tryKeys(keys, &sig)
		if err != nil {
			return verified{}, Reason{}, err
		}
		if code != ReasonNone {
			reason = reason.further(Reason{code, set.Owner, set.Type, sig.KeyTag, nil})
			continue
		}
		e.newest = latest(e.newest, e.moment(sig.Inception))
		return verified{
			wildcard: sig.sourceOfSynthesis(set.Owner),
			ttl:      min(set.TTL, sig.OriginalTTL, sig.left(e.signatureTime)),
		}, Reason{}, nil
	}
	return verified{}, reason, nil
}

// tryKeys checks a signature of the message under way with each of the keys, which share its
// tag. The reason is ReasonNone when one of them has made it.
func (e *Evidence) tryKeys(keys []*zoneKey, sig *Signature) (ReasonCode, error) {
	code := ReasonNoKey
	for i, key := range keys {
		if i >= e.work.limits.KeysPerTag {
			return code, &LimitError{LimitKeysPerTag, e.work.limits.KeysPerTag}
		}
		if !key.usable() {
			code = max(code, ReasonNotZoneKey)
			continue
		}
		public, err := key.publicKey()
		if err != nil {
			code = max(code, ReasonBadKey)
			continue
		}
		if err := ended(e.stopped); err != nil {
			return code, err
		}
		good, err := e.verifyOnce(key, public, e.message.signedData(sig), sig.Signature)
		if err != nil {
			return code, err
		}
		if good {
			return ReasonNone, nil
		}
		code = ReasonBadSignature
	}
	return code, nil
}

// admissible checks all that RFC 4035 §5.3.1 asks of a signature and that takes no
// key.
func (e *Evidence) admissible(set *RRset, sig *Signature) ReasonCode {
	if code := e.fits(set, sig); code != ReasonNone {
		return code
	}
	return sig.validAt(e.signatureTime, e.v.inceptionSkew, e.v.expirationSkew)
}

// fits is admissible at any time.
func (e *Evidence) fits(set *RRset, sig *Signature) ReasonCode {
	labels := int(sig.Labels)
	switch {
	case sig.TypeCovered != set.Type:
		return ReasonNoSignature
	case !set.Owner.IsAtOrBelow(sig.Signer):
		return ReasonSigner
	case labels > set.Owner.Labels() || labels < sig.Signer.Labels():
		// More is impossible. Fewer than the signer's would make the wildcard of
		// another zone its source (CVE-2026-11721, CVE-2026-44690).
		return ReasonLabels
	case set.Owner.IsWildcard() && labels == set.Owner.Labels():
		return ReasonLabels // the asterisk label does not count, RFC 4034 §3.1.3
	case !e.v.algorithms.supports(sig.Algorithm):
		return ReasonSignatureAlgorithm
	}
	return ReasonNone
}

// validAt compares times in serial arithmetic (RFC 4034 §3.1.5), all in seconds.
func (sig *Signature) validAt(now, inceptionSkew, expirationSkew uint32) ReasonCode {
	switch {
	case int32(sig.Expiration-sig.Inception) < 0:
		return ReasonValidity
	case int32(sig.Expiration+expirationSkew-now) < 0:
		return ReasonExpired
	case int32(now+inceptionSkew-sig.Inception) < 0:
		return ReasonNotYetValid
	}
	return ReasonNone
}

// left is how many seconds of its validity remain.
func (sig *Signature) left(now uint32) uint32 {
	return uint32(max(0, int32(sig.Expiration-now)))
}

// sourceOfSynthesis returns the wildcard that an RRset at owner was made from, "" if
// it was not (RFC 4035 §5.3.2).
func (sig *Signature) sourceOfSynthesis(owner dnsname.Name) dnsname.Name {
	if signed := sig.signedOwner(owner); signed != owner {
		return signed
	}
	return ""
}

// signedOwner returns the owner name that was signed: for an RRset made from a
// wildcard the wildcard. Callers have checked the labels.
func (sig *Signature) signedOwner(owner dnsname.Name) dnsname.Name {
	if int(sig.Labels) >= owner.Labels() {
		return owner
	}
	// One label more than signed was there, so the asterisk fits.
	wildcard, err := owner.Ancestor(int(sig.Labels)).Wildcard()
	if err != nil {
		return owner
	}
	return wildcard
}

// signedMessage makes the bytes that a signature of an RRset is of. The sorted records are
// made once for all signatures of a set, and its memory is used again for the next set.
type signedMessage struct {
	set       *RRset
	canonical bool     // records are those of set
	records   []string // in canonical form and order
	buffer    []byte
}

// begin starts with another set.
func (m *signedMessage) begin(set *RRset) { m.set, m.canonical = set, false }

// signedData returns the signed data of RFC 4034 §3.1.8.1: the RRSIG without its
// signature, then the records in canonical form and order. They are good until the
// next call.
func (m *signedMessage) signedData(sig *Signature) []byte {
	if !m.canonical {
		m.records, m.canonical = appendCanonicalRecords(m.records[:0], m.set), true
	}
	owner := sig.signedOwner(m.set.Owner)
	size := rrsigFixed + len(sig.Signer)
	for _, rdata := range m.records {
		size += len(owner) + 10 + len(rdata)
	}
	b := append(slices.Grow(m.buffer[:0], size), sig.fixed...)
	b = append(b, sig.Signer...)
	for _, rdata := range m.records {
		b = append(b, owner...)
		b = binary.BigEndian.AppendUint16(b, m.set.Type)
		b = binary.BigEndian.AppendUint16(b, m.set.Class)
		b = binary.BigEndian.AppendUint32(b, sig.OriginalTTL)
		b = appendField(b, rdata)
	}
	m.buffer = b
	return b
}

// appendCanonicalRecords appends to none the RDATA of a set in canonical form (RFC 4034 §6.2)
// and order, which is that of bytes (§6.3); equal records once.
func appendCanonicalRecords(none []string, set *RRset) []string {
	records := none
	for rdata := range set.Records.All() {
		records = append(records, wire.CanonicalRData(set.Type, rdata))
	}
	slices.SortFunc(records, strings.Compare)
	return slices.Compact(records)
}
