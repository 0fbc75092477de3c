package dnssec

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// DelegationKind is the state of a name's DS RRset: whether it is there, and proven.
type DelegationKind uint8

const (
	// DelegationBogus: nothing is proven. It is the zero value.
	DelegationBogus DelegationKind = iota
	// DelegationSigned: the name is a zone with a usable DS.
	DelegationSigned
	// DelegationUnsigned: everything at and below the name is Insecure: it is a zone
	// without DS, without a usable DS, or may be one in an opt-out range.
	DelegationUnsigned
	// NotDelegated: the name is no zone cut, or does not exist.
	NotDelegated
)

// String returns the kind in lower case.
func (k DelegationKind) String() string {
	switch k {
	case DelegationBogus:
		return "bogus"
	case DelegationSigned:
		return "signed"
	case DelegationUnsigned:
		return "unsigned"
	case NotDelegated:
		return "not delegated"
	}
	return "unknown"
}

// isCut reports whether a zone begins there.
func (k DelegationKind) isCut() bool { return k == DelegationSigned || k == DelegationUnsigned }

// Delegation is the judged state of a name's DS RRset. It is immutable and may be kept
// and shared, as long as TTL says, by all that use the same anchors and algorithms.
type Delegation struct {
	Name Name
	Kind DelegationKind
	// Reason says why it is Bogus or Unsigned.
	Reason Reason
	// DS is the RRset of a DelegationSigned, and of a DelegationUnsigned whose DS is
	// not usable.
	DS *RRset
	// Proof are the records that deny the DS.
	Proof []*RRset
	// TTL is for how long it may be kept: seconds from when it was judged, RFC 4035 §5.3.3.
	// It is 0 where all rests on what is known of the names above.
	TTL uint32

	signer *KeySet     // the parent's keys; nil where nothing was proven
	via    *Delegation // the delegation above that makes this one Unsigned
	alias  bool        // Proof is a CNAME in place of the DS
	absent bool        // NotDelegated: the name does not exist, so nothing is below it
}

// supportedDigest says which DS digest types are supported (RFC 4034 appendix A.2, RFC
// 4509, RFC 6605 §2): the others are of no use.
func supportedDigest(digestType uint8) bool {
	switch digestType {
	case dns.SHA1, dns.SHA256, dns.SHA384:
		return true
	}
	return false
}

func (d DS) tag() uint16      { return d.KeyTag }
func (d DS) algorithm() uint8 { return d.Algorithm }

// matches reports whether the digest is that of the key of zone (RFC 4034 §5.1.4).
func (d DS) matches(zone dnsname.Name, key *zoneKey) bool {
	b := make([]byte, 0, len(zone)+len(key.rdata))
	b = append(b, zone...)
	b = append(b, key.rdata...)
	switch d.DigestType {
	case dns.SHA1:
		h := sha1.Sum(b)
		return string(h[:]) == d.Digest
	case dns.SHA256:
		h := sha256.Sum256(b)
		return string(h[:]) == d.Digest
	case dns.SHA384:
		h := sha512.Sum384(b)
		return string(h[:]) == d.Digest
	}
	return false
}

// trustedDS returns the records of a DS RRset that are of use; if none is, why. A
// SHA-1 digest is ignored where the key has a better one (RFC 4509 §3): a SHA-1
// collision must be of no use.
func (v *Validator) trustedDS(set *RRset) ([]trustedKey, ReasonCode) {
	var usable []DS
	why := ReasonAlgorithm
	for rdata := range set.Records.All() {
		ds, err := ParseDS(rdata)
		switch {
		case err != nil:
		case !v.algorithms.supports(ds.Algorithm):
		case !supportedDigest(ds.DigestType):
			why = ReasonDigest
		default:
			usable = append(usable, ds)
		}
	}
	var better map[[3]byte]bool // made where there is SHA-1
	id := func(ds DS) [3]byte { return [3]byte{byte(ds.KeyTag >> 8), byte(ds.KeyTag), ds.Algorithm} }
	if slices.ContainsFunc(usable, func(ds DS) bool { return ds.DigestType == dns.SHA1 }) {
		better = make(map[[3]byte]bool)
		for _, ds := range usable {
			if ds.DigestType != dns.SHA1 {
				better[id(ds)] = true
			}
		}
	}
	trusted := make([]trustedKey, 0, len(usable))
	for _, ds := range usable {
		if ds.DigestType != dns.SHA1 || !better[id(ds)] {
			trusted = append(trusted, ds)
		}
	}
	return trusted, why
}

// delegation judges what is known of a name's DS RRset. It remembers for the call
// under way what has to wait: without that, the work could double with each label.
func (e *Evidence) delegation(name dnsname.Name) (*Delegation, error) {
	if e.waiting[name] {
		return nil, errPending
	}
	d, err := e.findDelegation(name)
	if err == errPending {
		e.waiting = withName(e.waiting, name)
	}
	return d, err
}

func (e *Evidence) findDelegation(name dnsname.Name) (*Delegation, error) {
	de := e.ds[name]
	switch {
	case de == nil:
		// Below a delegation that is proven to be unsigned nobody needs to be asked.
		st, err := e.unsigned(name, true, "", false)
		if st != nil {
			return st.delegation(), nil
		}
		if err != nil && err != errPending {
			return nil, err
		}
		if d, err := e.deniedBeside(name); d != nil || err != nil {
			return d, err
		}
		e.wantDS(name)
		return nil, errPending
	case de.judged != nil:
		return de.judged, nil
	case de.cause != nil:
		reason := Reason{Code: ReasonUnavailable, Name: name, Type: dns.TypeDS, Cause: de.cause}
		de.judged = &Delegation{Name: name, Reason: reason}
		return de.judged, nil
	}
	d, err := e.judgeDelegation(de.response)
	if err != nil {
		return nil, err
	}
	d.Name = name
	if d.signer == nil {
		// It rests on nothing but what is above, which may have been known for a while: it
		// follows from that as long as that lives, and is not to be kept for itself.
		d.TTL = 0
	}
	de.judged = d
	return d, nil
}

// delegation says what the state of a zone that is not Secure makes of the names
// below it.
func (st *zoneState) delegation() *Delegation {
	if st.via != nil {
		return st.via
	}
	d := &Delegation{Reason: st.reason}
	if st.status != Bogus {
		d.Kind = DelegationUnsigned
	}
	return d
}

// judgeDelegation judges a response about DS: the RRset, an alias, or a denial.
func (e *Evidence) judgeDelegation(r *Response) (*Delegation, error) {
	if set := r.ds(); set != nil {
		return e.judgeDS(set)
	}
	for _, set := range r.Answer {
		if set.Type == dns.TypeCNAME && set.Owner == r.Name {
			return e.judgeAliasAtCut(r, set)
		}
	}
	return e.judgeDSDenial(r)
}

// judgeDS judges a DS RRset.
func (e *Evidence) judgeDS(set *RRset) (*Delegation, error) {
	j, err := e.judgeSet(set, true)
	if err != nil {
		return nil, err
	}
	d := &Delegation{DS: set, Reason: j.reason, TTL: j.ttl, signer: j.keys, via: j.via}
	switch j.status {
	case Secure:
		if j.wildcard != "" { // no zone cut is made from a wildcard, RFC 4592 §4.6
			d.Reason = Reason{Code: ReasonLabels, Name: set.Owner, Type: set.Type}
			return d, nil
		}
		d.Kind = DelegationSigned
		if trusted, why := e.v.trustedDS(set); len(trusted) == 0 {
			d.Kind, d.Reason = DelegationUnsigned, Reason{Code: why, Name: set.Owner}
		}
	case Insecure, Indeterminate:
		d.Kind = DelegationUnsigned
	case Bogus:
	}
	return d, nil
}

// judgeAliasAtCut judges a CNAME that came in place of a DS: a name with a CNAME has
// no NS, so it is no zone cut (RFC 2181 §10.1); nor does one exist whose CNAME was
// made from a wildcard.
func (e *Evidence) judgeAliasAtCut(r *Response, set *RRset) (*Delegation, error) {
	j, err := e.judgeSet(set, true)
	if err != nil {
		return nil, err
	}
	d := &Delegation{Proof: []*RRset{set}, TTL: j.ttl, signer: j.keys, via: j.via, alias: true}
	if j.wildcard != "" {
		w, err := e.judgeWildcard(set, j, r)
		if err != nil {
			return nil, err
		}
		j.status, j.reason = w.status, w.reason
		d.Proof, d.TTL = append(d.Proof, w.records...), min(d.TTL, w.ttl)
	}
	d.Reason = j.reason
	switch j.status {
	case Secure:
		d.Kind = NotDelegated
	case Insecure, Indeterminate:
		d.Kind = DelegationUnsigned
	case Bogus:
	}
	return d, nil
}

// judgeDSDenial judges a response that says there is no DS.
func (e *Evidence) judgeDSDenial(r *Response) (*Delegation, error) {
	f, err := e.deny(r.Name, dns.TypeDS, r, (*proof).noDS)
	if err != nil {
		return nil, err
	}
	return f.delegation(r.Name, r.Kind), nil
}

// deniedBeside looks for a proof that name has no DS among the denials that came beside
// earlier answers: a server may send what it knows the resolver will want next. Nothing
// is asked for it, and what proves nothing is no fault.
func (e *Evidence) deniedBeside(name dnsname.Name) (*Delegation, error) {
	zone := e.cutAbove(name)
	st := e.zones[zone]
	if st == nil || st.status != Secure {
		return nil, nil
	}
	for _, r := range e.beside {
		if !slices.Contains(denialSigners(r.Authority, name, true, zone), zone) {
			continue
		}
		f, err := e.denyBy(st.keys, name, dns.TypeDS, r, (*proof).noDS)
		if err != nil {
			return nil, err
		}
		if f.proven && f.status == Secure {
			d := f.delegation(name, KindNoData)
			d.Name = name
			e.ds[name] = &dsEvidence{judged: d}
			return d, nil
		}
	}
	return nil, nil
}

// delegation says what a denial of name's DS makes of it.
func (f *denial) delegation(name dnsname.Name, kind ResponseKind) *Delegation {
	d := &Delegation{Reason: f.reason, Proof: f.records, TTL: f.ttl, signer: f.keys, via: f.via}
	switch {
	case f.status == Bogus:
	case f.status != Secure:
		d.Kind = DelegationUnsigned
	case f.unsigned:
		d.Kind, d.Reason = DelegationUnsigned, Reason{Code: ReasonUnsigned, Name: name}
	case kind == KindReferral:
		d.Reason = Reason{Code: ReasonNotDelegated, Name: name}
	default:
		d.Kind, d.absent = NotDelegated, f.absent
	}
	return d
}
