package dnssec

import (
	"errors"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// Evidence is what is known while one client question is judged: zone cuts seen,
// DS and DNSKEY RRsets as received or already proven, and everything found so far,
// so that nothing is computed twice. Its caller adds what the walk brings with
// AddCut and Add, what a cache holds with AddKeySet and AddDelegation, and calls
// Validate, which either judges or says what it needs; those are fetched, added,
// and Validate is called again. It is not safe for concurrent use.
type Evidence struct {
	v             *Validator
	now           time.Time // ages negative anchors
	at            time.Time // when signatures have to be valid
	signatureTime uint32    // at, as RRSIGs have it
	work          *Work
	stopped       func() error // nil: never

	cuts    map[dnsname.Name]bool // names seen to be zone cuts, unproven
	keys    map[dnsname.Name]*keyEvidence
	ds      map[dnsname.Name]*dsEvidence
	zones   map[dnsname.Name]*zoneState
	checked map[checkedKey]*checkedSet
	beside  []*Response   // Secure answers with denials beside them
	message signedMessage // whose signature is being checked

	memory   SignatureMemory // nil: none
	idBuffer []byte          // used again for the next signature

	newest time.Time // when the newest signature that is good was made

	searched int // names asked for DS in search of a zone cut

	// Of the call under way: what it waits for.
	pending map[dnsname.Name]bool // zones whose keys wait
	waiting map[dnsname.Name]bool // names whose delegation waits
	needs   []Need
}

// keyEvidence is the known DNSKEY RRset of a zone.
type keyEvidence struct {
	received *RRset  // nil with received == false below: there is none
	proven   *KeySet // from a cache
	stale    bool    // proven may be older than the signatures: fetch before Bogus
	cause    error   // why it could not be had
}

// dsEvidence is the known DS RRset of a name, or its denial.
type dsEvidence struct {
	response *Response
	judged   *Delegation
	stale    bool  // judged came from a cache
	cause    error // why it could not be had
}

// Need is something that has to be known before a verdict. All needs of one call
// can be fetched at the same time.
type Need struct {
	Name Name
	Type uint16 // DS or DNSKEY
	// Zone is the deepest zone cut known whose servers answer this: for DNSKEY Name
	// itself, for DS the one above it. A server of a deeper cut may know better.
	Zone Name
	// Refresh: what the cache holds does not fit what was received, because the zone
	// has changed its keys in between (RFC 8901 §3). It is to be fetched from the
	// zone, at most once in a while, and given to Fail if that is refused.
	Refresh bool
}

// errPending says that needs have been noted.
var errPending = errors.New("dnssec: more evidence needed")

// StopWhen makes judging end before the next signature is checked or name hashed, once
// stopped returns an error, which it then ends with. It is for callers that no longer want
// the verdict, as when a context ends: stopped may be its Err. It is called often, and must
// be quick. Work done before stays charged.
func (e *Evidence) StopWhen(stopped func() error) { e.stopped = stopped }

// ended returns the error of the function set by StopWhen.
func ended(stopped func() error) error {
	if stopped == nil {
		return nil
	}
	return stopped()
}

// AddCut notes names that the walk found to be zone cuts.
func (e *Evidence) AddCut(zones ...Name) {
	for _, zone := range zones {
		e.cuts[zone] = true
	}
}

// Add takes in a response that says something about DS or DNSKEY: a referral, or the
// response to a Need. Others are ignored. What was known of the same RRset before is
// replaced, what was concluded from it forgotten. A referral that brings neither DS
// nor denial, as those of unsigned zones and of old servers, is no more than a cut.
func (e *Evidence) Add(r *Response) {
	switch {
	case r.Kind == KindReferral:
		e.cuts[r.Name] = true
		if r.speaksOfDS() {
			e.addDS(r)
		}
	case r.Type == dns.TypeDS:
		e.addDS(r)
	case r.Type == dns.TypeDNSKEY:
		ke := &keyEvidence{}
		for _, set := range r.Answer {
			if set.Type == dns.TypeDNSKEY && set.Owner == r.Name {
				ke.received = set
			}
		}
		e.keys[r.Name] = ke
		delete(e.zones, r.Name)
	}
}

func (e *Evidence) addDS(r *Response) {
	e.ds[r.Name] = &dsEvidence{response: r}
	delete(e.zones, r.Name)
}

// AddKeySet takes in a zone's keys that were proven for an earlier question, from a
// cache.
func (e *Evidence) AddKeySet(ks *KeySet) {
	e.keys[ks.Zone] = &keyEvidence{proven: ks, stale: true}
	delete(e.zones, ks.Zone)
}

// AddDelegation takes in what was proven of a name's DS for an earlier question,
// from a cache. Bogus ones are ignored.
func (e *Evidence) AddDelegation(d *Delegation) {
	if d.Kind == DelegationBogus {
		return
	}
	e.ds[d.Name] = &dsEvidence{judged: d, stale: true}
	delete(e.zones, d.Name)
}

// Fail notes that a Need could not be met and why. A zone whose keys or DS cannot be
// obtained is Bogus, unless the need was a refresh: then what is cached counts.
func (e *Evidence) Fail(n Need, cause error) {
	switch {
	case n.Type == dns.TypeDNSKEY:
		if ke := e.keys[n.Name]; n.Refresh && ke != nil {
			ke.stale = false
		} else {
			e.keys[n.Name] = &keyEvidence{cause: cause}
		}
	case n.Type == dns.TypeDS:
		if de := e.ds[n.Name]; n.Refresh && de != nil {
			de.stale = false
		} else {
			e.ds[n.Name] = &dsEvidence{cause: cause}
		}
	}
	delete(e.zones, n.Name)
}

// KeySet returns the proven keys of a zone, to be cached; nil if none are known.
func (e *Evidence) KeySet(zone Name) *KeySet {
	if st := e.zones[zone]; st != nil {
		return st.keys
	}
	if ke := e.keys[zone]; ke != nil {
		return ke.proven
	}
	return nil
}

// Delegation returns what has been judged of a name's DS, to be cached; nil if
// nothing was yet.
func (e *Evidence) Delegation(name Name) *Delegation {
	if de := e.ds[name]; de != nil {
		return de.judged
	}
	return nil
}

// withName adds a name to a set that is made with its first.
func withName(names map[dnsname.Name]bool, name dnsname.Name) map[dnsname.Name]bool {
	if names == nil {
		names = make(map[dnsname.Name]bool)
	}
	names[name] = true
	return names
}

// want notes a need once.
func (e *Evidence) want(n Need) {
	for i := range e.needs {
		if e.needs[i].Name == n.Name && e.needs[i].Type == n.Type {
			return
		}
	}
	e.needs = append(e.needs, n)
}

// wantKeys notes that a zone's DNSKEY RRset is needed, if nothing is known of it.
func (e *Evidence) wantKeys(zone dnsname.Name) {
	if e.keys[zone] == nil {
		e.want(Need{Name: zone, Type: dns.TypeDNSKEY, Zone: zone})
	}
}

// wantDS notes that a name's DS RRset is needed, if nothing is known of it.
func (e *Evidence) wantDS(name dnsname.Name) {
	if e.ds[name] == nil {
		e.want(Need{Name: name, Type: dns.TypeDS, Zone: e.cutAbove(name)})
	}
}

// cutAbove returns the deepest known zone cut strictly above name, else the root.
func (e *Evidence) cutAbove(name dnsname.Name) dnsname.Name {
	for zone := name.Parent(); !zone.IsRoot(); zone = zone.Parent() {
		if e.knownCut(zone) || len(e.v.anchors[zone]) > 0 {
			return zone
		}
	}
	return dnsname.Root
}

// knownCut reports whether name is thought to be a zone cut.
func (e *Evidence) knownCut(name dnsname.Name) bool {
	if e.cuts[name] {
		return true
	}
	de := e.ds[name]
	return de != nil && de.judged != nil && de.judged.Kind.isCut()
}

// Prefetch returns the responses that judging data of name will need as far as known now,
// so that they can be fetched while the walk goes on: the DNSKEY RRsets of the anchored
// zone and of the signed zones below it, and the DS of known cuts that came without.
// It computes nothing, believes what it sees, and repeats what is still missing.
func (e *Evidence) Prefetch(name Name) []Need {
	e.begin()
	point := e.trustPoint(name, false)
	if point.kind != trustAnchored {
		return nil
	}
	e.wantKeys(point.zone)
	for labels := point.zone.Labels() + 1; labels <= name.Labels(); labels++ {
		zone := name.Ancestor(labels)
		de := e.ds[zone]
		switch {
		case de == nil && e.isProven(zone):
		case de == nil && e.cuts[zone]:
			e.wantDS(zone)
			e.wantKeys(zone)
		case de == nil:
		case de.looksSigned(e.v):
			e.wantSigners(de, point)
			e.wantKeys(zone)
		case de.looksUnsigned():
			return e.needs
		}
	}
	return e.needs
}

// wantSigners notes what is missing of a zone that has signed a DS RRset without
// having been seen as a zone cut: its servers are its parent's too.
func (e *Evidence) wantSigners(de *dsEvidence, point trustPoint) {
	if de.response == nil {
		return
	}
	set := de.response.ds()
	for _, signer := range signers(set, set.Owner, true, point.zone) {
		if signer != point.zone && !e.cuts[signer] {
			e.wantDS(signer)
			e.wantKeys(signer)
		}
	}
}

// begin starts a call that may note needs.
func (e *Evidence) begin() {
	e.needs = nil
	clear(e.pending)
	clear(e.waiting)
}

// looksSigned reports whether there is a DS of use, believed as it stands.
func (d *dsEvidence) looksSigned(v *Validator) bool {
	var set *RRset
	if d.judged != nil {
		if d.judged.Kind == DelegationSigned {
			return true
		}
		set = d.judged.DS
	} else if d.response != nil {
		set = d.response.ds()
	}
	if set == nil {
		return false
	}
	trusted, _ := v.trustedDS(set)
	return len(trusted) > 0
}

// looksUnsigned reports whether a delegation is there without a DS of use.
func (d *dsEvidence) looksUnsigned() bool {
	if d.judged != nil {
		return d.judged.Kind == DelegationUnsigned
	}
	return d.response != nil && d.response.Kind == KindReferral
}
