package dnssec

import (
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// judgement is what was found of one RRset.
type judgement struct {
	status   Status
	reason   Reason
	zone     dnsname.Name // whose keys signed it; "" unless Secure
	keys     *KeySet      // likewise; or those that made it Insecure
	wildcard dnsname.Name // its source of synthesis; "" if it was not synthesised
	ttl      uint32       // seconds
	via      *Delegation  // what made it Insecure
}

// checkedKey and checkedSet remember the outcome of looking for a zone's signature
// of an RRset.
type checkedKey struct {
	set  *RRset
	keys *KeySet
}

type checkedSet struct {
	good   verified
	reason Reason
}

// maxSigners is how many zones that claim to have signed an RRset are looked into.
// There is one, two while a name moves between zones.
const maxSigners = 3

// judgeSet decides the status of an RRset; above says that it belongs to the parent
// if its owner is a zone cut.
func (e *Evidence) judgeSet(set *RRset, above bool) (judgement, error) {
	point := e.trustPoint(set.Owner, above)
	if st := point.withoutChain(set.Owner); st != nil {
		return st.judgement(set.TTL), nil
	}
	if set.Type == dns.TypeRRSIG { // RFC 4035 §2.2: signatures are not signed
		reason := Reason{Code: ReasonUnsignable, Name: set.Owner, Type: set.Type}
		return judgement{status: Insecure, reason: reason, ttl: set.TTL}, nil
	}
	failure := Reason{Code: ReasonNoSignature, Name: set.Owner, Type: set.Type}
	search := true // no zone that holds the name has signed
	var buf [maxSigners]dnsname.Name
	for _, signer := range appendSigners(buf[:0], set, set.Owner, above, point.zone) {
		st, err := e.holder(signer, set.Owner, above)
		if err != nil {
			return judgement{}, err
		}
		switch st.status {
		case Insecure, Indeterminate:
			return st.judgement(set.TTL), nil
		case Bogus:
			failure = failure.further(st.reason)
			search = search && st.notZone
		case Secure:
			search = false
			good, reason, err := e.verifiedBy(set, st.keys)
			if err != nil {
				return judgement{}, err
			}
			if reason.Code == ReasonNone {
				return judgement{
					status: Secure, zone: signer, keys: st.keys, wildcard: good.wildcard, ttl: good.ttl,
				}, nil
			}
			failure = failure.further(reason)
		}
	}
	st, err := e.unsigned(set.Owner, above, "", search)
	if err != nil {
		return judgement{}, err
	}
	return st.withoutSignature(failure, set.TTL), nil
}

// withoutSignature says what the zone that unsigned found, if any, makes of data
// whose signatures failed.
func (st *zoneState) withoutSignature(failure Reason, ttl uint32) judgement {
	switch {
	case st == nil:
		return judgement{status: Bogus, reason: failure}
	case st.status != Bogus:
		return st.judgement(ttl)
	case failure.Code == ReasonNoSignature || failure.Code == ReasonNoDenial:
		return judgement{status: Bogus, reason: st.reason, via: st.via}
	}
	return judgement{status: Bogus, reason: failure, via: st.via}
}

// signers is appendSigners to nothing.
func signers(set *RRset, owner dnsname.Name, above bool, point dnsname.Name) []dnsname.Name {
	return appendSigners(nil, set, owner, above, point)
}

// appendSigners appends to none the zones whose signatures a set carries and that may hold
// owner: at or above it, strictly above where above is set, and not above the trust point.
// The deepest comes first.
func appendSigners(none []dnsname.Name, set *RRset, owner dnsname.Name, above bool, point dnsname.Name) []dnsname.Name {
	found := none
	for rdata := range set.Signatures.All() {
		sig, err := ParseSignature(rdata)
		switch {
		case err != nil || sig.TypeCovered != set.Type:
		case !owner.IsAtOrBelow(sig.Signer) || !sig.Signer.IsAtOrBelow(point):
		case above && sig.Signer == owner:
		case (set.Type == dns.TypeSOA || set.Type == dns.TypeDNSKEY) && sig.Signer != owner:
			// These stand at the apex of the zone that signs them.
		case !slices.Contains(found, sig.Signer):
			found = append(found, sig.Signer)
		}
	}
	slices.SortStableFunc(found, func(a, b dnsname.Name) int { return b.Labels() - a.Labels() })
	return found[:min(len(found), maxSigners)]
}

// holder judges a zone as the one that holds owner. A zone cut between them takes
// the name away from it: then it is as if the zone did not exist.
func (e *Evidence) holder(zone, owner dnsname.Name, above bool) (*zoneState, error) {
	st, err := e.zone(zone)
	if err != nil || st.status != Secure {
		return st, err
	}
	last := owner.Labels()
	if above {
		last--
	}
	for labels := zone.Labels() + 1; labels <= last; labels++ {
		cut := owner.Ancestor(labels)
		taken := e.isProven(cut)
		if !taken && (e.ds[cut] != nil || e.cuts[cut]) {
			d, err := e.delegation(cut)
			if err != nil {
				return nil, err
			}
			taken = d.Kind.isCut()
		}
		if taken {
			reason := Reason{Code: ReasonSigner, Name: owner}
			return &zoneState{status: Bogus, reason: reason, notZone: true}, nil
		}
	}
	return st, nil
}

// verifiedBy looks for a good signature of set by the zone of keys, once.
func (e *Evidence) verifiedBy(set *RRset, keys *KeySet) (verified, Reason, error) {
	id := checkedKey{set, keys}
	if c, ok := e.checked[id]; ok {
		return c.good, c.reason, nil
	}
	good, reason, err := e.verify(set, keys.Zone, keys.withTag)
	if err != nil {
		return verified{}, Reason{}, err
	}
	if ke := e.keys[keys.Zone]; reason.Code == ReasonNoKey && ke != nil && ke.stale {
		// The zone may have signed with a key that is newer than the cached set.
		e.want(Need{Name: keys.Zone, Type: dns.TypeDNSKEY, Zone: keys.Zone, Refresh: true})
		return verified{}, Reason{}, errPending
	}
	if e.checked == nil {
		e.checked = make(map[checkedKey]*checkedSet)
	}
	e.checked[id] = &checkedSet{good, reason}
	return good, reason, nil
}
