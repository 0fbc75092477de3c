package dnssec

import (
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// zoneState is the status of a zone: whether its keys are proven, or why not.
type zoneState struct {
	status Status
	keys   *KeySet // of a Secure zone
	reason Reason
	// via is the delegation that decided an Insecure or Bogus zone; nil for a
	// negative anchor.
	via *Delegation
	// refused are the keys of a zone that is Insecure for their size.
	refused *KeySet
	// notZone: the name is proven to be no zone, so it cannot sign.
	notZone bool
}

// zone judges the zone that name is said to be the apex of, following the chain of
// trust from the closest anchor (RFC 4035 §5). Each step leads to a zone nearer to
// the anchor, named by a signature, so it ends.
func (e *Evidence) zone(name dnsname.Name) (*zoneState, error) {
	if st := e.zones[name]; st != nil {
		return st, nil
	}
	if e.pending[name] {
		return nil, errPending
	}
	st, err := e.judgeZone(name)
	if err != nil {
		if err == errPending {
			e.pending = withName(e.pending, name)
		}
		return nil, err
	}
	e.zones[name] = st
	return st, nil
}

func (e *Evidence) judgeZone(name dnsname.Name) (*zoneState, error) {
	point := e.trustPoint(name, false)
	if st := point.withoutChain(name); st != nil {
		return st, nil
	}
	if ke := e.keys[name]; ke != nil && ke.proven != nil {
		return &zoneState{status: Secure, keys: ke.proven, via: ke.proven.via}, nil
	}
	if point.zone == name {
		return e.anchoredZone(name)
	}
	d, err := e.delegation(name)
	if err != nil {
		if de := e.ds[name]; err == errPending && (de == nil || de.looksSigned(e.v)) {
			e.wantKeys(name) // will be needed too: fetch them at the same time
		}
		return nil, err
	}
	switch d.Kind {
	case DelegationSigned:
		return e.delegatedZone(d)
	case DelegationUnsigned:
		return &zoneState{status: Insecure, reason: d.Reason, via: d}, nil
	case NotDelegated:
		if e.refreshDS(name) { // it may be a zone by now
			return nil, errPending
		}
		reason := Reason{Code: ReasonSigner, Name: name}
		return &zoneState{status: Bogus, reason: reason, via: d, notZone: true}, nil
	case DelegationBogus:
	}
	return &zoneState{status: Bogus, reason: d.Reason, via: d}, nil
}

// withoutChain returns the state of a zone that no chain of trust leads to, nil if one
// may.
func (p trustPoint) withoutChain(name dnsname.Name) *zoneState {
	switch p.kind {
	case trustNone:
		return &zoneState{status: Indeterminate, reason: Reason{Code: ReasonNoAnchor, Name: name}}
	case trustNegative:
		return &zoneState{status: Insecure, reason: Reason{Code: ReasonNegativeAnchor, Name: p.zone}}
	case trustAnchored:
	}
	return nil
}

// anchoredZone judges a zone by its trust anchors.
func (e *Evidence) anchoredZone(name dnsname.Name) (*zoneState, error) {
	var trusted []trustedKey
	supported := false
	for _, a := range e.v.anchors[name] {
		if !e.v.algorithms.supports(a.algorithm()) || a.isDS && !supportedDigest(a.ds.DigestType) {
			continue
		}
		supported = true
		if a.validAt(e.at) {
			trusted = append(trusted, a)
		}
	}
	if !supported {
		reason := Reason{Code: ReasonAlgorithm, Name: name}
		return &zoneState{status: Insecure, reason: reason}, nil
	}
	return e.keyedZone(name, trusted, nil)
}

// delegatedZone judges a zone by its DS RRset. If both DS and keys are known but do
// not fit, and the DS is from a cache, the zone may have changed its keys since.
func (e *Evidence) delegatedZone(d *Delegation) (*zoneState, error) {
	trusted, _ := e.v.trustedDS(d.DS)
	st, err := e.keyedZone(d.Name, trusted, d)
	if err != nil || st.status != Bogus {
		return st, err
	}
	if st.reason.Code == ReasonDSMismatch && e.refreshDS(d.Name) {
		return nil, errPending
	}
	return st, nil
}

// refreshDS notes that a DS known from a cache is needed afresh; false if it was not
// from a cache, or has been asked for again in vain.
func (e *Evidence) refreshDS(name dnsname.Name) bool {
	de := e.ds[name]
	if de == nil || !de.stale {
		return false
	}
	e.want(Need{Name: name, Type: dns.TypeDS, Zone: e.cutAbove(name), Refresh: true})
	return true
}

// keyedZone judges a zone by its DNSKEY RRset and those who vouch for one of its
// keys.
func (e *Evidence) keyedZone(name dnsname.Name, trusted []trustedKey, via *Delegation) (*zoneState, error) {
	ke := e.keys[name]
	switch {
	case ke == nil:
		e.wantKeys(name)
		return nil, errPending
	case ke.cause != nil:
		reason := Reason{Code: ReasonNoDNSKEY, Name: name, Type: dns.TypeDNSKEY, Cause: ke.cause}
		return &zoneState{status: Bogus, reason: reason, via: via}, nil
	case ke.received == nil:
		reason := Reason{Code: ReasonNoDNSKEY, Name: name, Type: dns.TypeDNSKEY}
		return &zoneState{status: Bogus, reason: reason, via: via}, nil
	}
	ks, reason, err := e.judgeKeys(name, ke.received, trusted)
	switch {
	case err != nil:
		return nil, err
	case ks != nil:
		ks.via = via
		return &zoneState{status: Secure, keys: ks, via: via}, nil
	case reason.Code == ReasonKeySize:
		refused := &KeySet{Zone: name, RRset: ke.received, via: via}
		return &zoneState{status: Insecure, reason: reason, via: via, refused: refused}, nil
	}
	return &zoneState{status: Bogus, reason: reason, via: via}, nil
}

// judgement is what the state makes of data in the zone that needs no signature.
func (st *zoneState) judgement(ttl uint32) judgement {
	return judgement{status: st.status, reason: st.reason, ttl: ttl, keys: st.refused, via: st.via}
}

// searchBatch is how many names are asked for DS at the same time when a zone cut is
// searched label by label. One would be thrifty and slow; most names have no more
// than this many labels below their zone.
const searchBatch = 4

// unsigned decides what missing signatures at name mean (RFC 4035 §5.2): it returns
// the zone above that is Insecure or Bogus, or nil if the name has to be signed. hint
// is a name that may be a zone cut. With search, labels of which nothing is known are
// asked for DS as well: a server that has both parent and child does not show the cut
// between them.
func (e *Evidence) unsigned(name dnsname.Name, parent bool, hint dnsname.Name, search bool) (*zoneState, error) {
	point := e.trustPoint(name, parent)
	first, last := point.zone.Labels(), name.Labels()
	if parent {
		last--
	}
	waiting := false
	for labels := first; labels <= last; labels++ {
		cut := name.Ancestor(labels)
		if cut != point.zone && e.ds[cut] == nil && !e.cuts[cut] && cut != hint && !e.isProven(cut) {
			continue
		}
		st, err := e.cutState(cut, point)
		switch {
		case err == errPending:
			waiting = true
		case err != nil:
			return nil, err
		case st.status == Secure:
			first = labels // its DS was signed from above: no gap up there
		case !st.notZone:
			return st, nil
		case st.via != nil && st.via.absent && !waiting:
			return nil, nil // nothing is below a name that does not exist
		}
	}
	if waiting {
		return nil, errPending
	}
	if !search {
		return nil, nil
	}
	learnt, err := e.searchCut(name, first+1, last)
	if err != nil || !learnt {
		return nil, err
	}
	return e.unsigned(name, parent, hint, search) // once for each name learnt of
}

// cutState judges a zone without asking for keys before its DS is there: most of
// those without signatures have none.
func (e *Evidence) cutState(cut dnsname.Name, point trustPoint) (*zoneState, error) {
	if cut != point.zone && !e.isProven(cut) {
		if _, err := e.delegation(cut); err != nil {
			return nil, err
		}
	}
	return e.zone(cut)
}

// maxSearched is how many names one question may ask for DS in search of zone cuts
// that nobody has seen. The longest honest names are those below ip6.arpa, of 34
// labels.
const maxSearched = 40

// isProven reports whether name is known to be a Secure zone without looking further.
func (e *Evidence) isProven(name dnsname.Name) bool {
	if st := e.zones[name]; st != nil {
		return st.status == Secure
	}
	ke := e.keys[name]
	return ke != nil && ke.proven != nil
}

// searchCut notes the DS of the next ancestors of name that nothing is known of,
// from the one with first labels to the one with last. learnt says that something is
// known of one after all.
func (e *Evidence) searchCut(name dnsname.Name, first, last int) (learnt bool, err error) {
	wanted := 0
	for labels := first; labels <= last && wanted < searchBatch && e.searched < maxSearched; labels++ {
		cut := name.Ancestor(labels)
		if e.ds[cut] != nil {
			continue
		}
		if d, err := e.deniedBeside(cut); d != nil || err != nil {
			return d != nil, err
		}
		e.wantDS(cut)
		wanted++
		e.searched++
	}
	if wanted > 0 {
		return false, errPending
	}
	return false, nil
}
