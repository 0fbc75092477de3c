package resolvertest

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/scenario"
)

// zone is the data of one zone as its authoritative servers hold it: records of
// its own, the delegations to its children and their glue. It does not change
// once an Internet serves it.
type zone struct {
	origin dnsname.Name
	addrs  []netip.Addr // of the servers
	pooled bool         // addrs come from an addressPool
	nodes  map[dnsname.Name]*node
	from   scenario.Section // zero: not from a text
	// written has the line of each record by its key, so that none is there twice; 0 for one that
	// is not from a text. It is gone once the zone is sealed.
	written map[string]int
	order   []dnsname.Name // owners of records in canonical order (RFC 4034 §6.1); set by seal
	// derived: nobody wrote the zone, it is there because its children need it.
	derived bool
	// undelegated: the parent gets no delegation for it.
	undelegated bool
	signing     scenario.Signing
	keys        *keyRing // of a zone that is signed here
	// operators has the zone as those other than the first sign it, by addresses.
	operators map[netip.Addr]*zone
	signedAt  time.Time
	above     *zone // nearest zone above; set by sign
	// How the zone denies existence; set by seal. Without either it proves nothing.
	denies bool          // there are NSEC records
	nsec3  []hashedOwner // NSEC3 records in the order of their hashes
}

// zoneSet is some zones, by their names.
type zoneSet map[dnsname.Name]*zone

// nearest returns the zone that a name is in: the one whose name is the longest
// ancestor of it, or it. It is nil if none is.
func (zs zoneSet) nearest(name dnsname.Name) *zone {
	for ; ; name = name.Parent() {
		if z, ok := zs[name]; ok || name.IsRoot() {
			return z
		}
	}
}

// node is a name in a zone. It has no records when it is an empty non-terminal.
type node struct {
	sets map[uint16][]dns.RR
	// types holds the types of sets in the order they were written in, which
	// is the order of a reply to ANY.
	types []uint16
	// late has those of the signatures that may not have been made yet.
	late map[*dns.RRSIG]*lateSignature
}

func newZone(origin dnsname.Name) *zone {
	z := &zone{origin: origin, nodes: make(map[dnsname.Name]*node), written: make(map[string]int)}
	z.node(origin)
	return z
}

// node returns the node of a name at or below the origin, and makes it and the
// empty non-terminals above it where they are missing.
func (z *zone) node(name dnsname.Name) *node {
	n, ok := z.nodes[name]
	if ok {
		return n
	}
	n = &node{sets: make(map[uint16][]dns.RR)}
	z.nodes[name] = n
	if name != z.origin {
		z.node(name.Parent())
	}
	return n
}

var (
	errOutOfZone     = errors.New("the owner is not in the zone")
	errClass         = errors.New("only class IN is served")
	errCNAMEAndOther = errors.New("CNAME and other data at one name (RFC 1034 §3.6.2)")
	errManyCNAME     = errors.New("more than one CNAME or DNAME at one name")
	errSOAOwner      = errors.New("SOA at another name than the zone's")
	errManySOA       = errors.New("more than one SOA")
	errMetaType      = errors.New("this type exists in messages only")
)

// add puts one record into the zone. A record that is there already is left out.
func (z *zone) add(rr dns.RR) error { return z.addFrom(rr, 0) }

// addFrom adds a record that stands at a line of the text.
func (z *zone) addFrom(rr dns.RR, line int) error {
	h := rr.Header()
	owner, err := dnsname.Parse(h.Name)
	if err != nil {
		return err
	}
	if h.Class != dns.ClassINET {
		return errClass
	}
	if !owner.IsAtOrBelow(z.origin) {
		return errOutOfZone
	}
	n := z.node(owner)
	if err := z.conflict(owner, n, h.Rrtype); err != nil {
		return err
	}
	key, err := recordKey(owner, rr)
	if err != nil {
		return err
	}
	if _, ok := z.written[key]; ok {
		return nil
	}
	z.written[key] = line
	n.put(rr)
	return nil
}

// recordKey is the same for two records that differ in TTL only.
func recordKey(owner dnsname.Name, rr dns.RR) (string, error) {
	buffer := make([]byte, dns.Len(rr)+1)
	n, err := dns.PackRR(rr, buffer, 0, nil, false)
	if err != nil {
		return "", withoutPlace(err)
	}
	const ttl = 4 // it stands behind owner, type and class
	data := buffer[len(owner)+2+2+ttl : n]
	return fmt.Sprintf("%s %d %s", string(owner), rr.Header().Rrtype, data), nil
}

// conflict says why a record of this type cannot join those at the node.
func (z *zone) conflict(owner dnsname.Name, n *node, rrtype uint16) error {
	switch {
	case isMeta(rrtype):
		return errMetaType
	case rrtype == dns.TypeSOA && owner != z.origin:
		return errSOAOwner
	case rrtype == dns.TypeSOA && n.has(dns.TypeSOA):
		return errManySOA
	case (rrtype == dns.TypeCNAME || rrtype == dns.TypeDNAME) && n.has(rrtype):
		return errManyCNAME
	case rrtype == dns.TypeCNAME && slices.ContainsFunc(n.types, barsCNAME),
		n.has(dns.TypeCNAME) && barsCNAME(rrtype):
		return errCNAMEAndOther
	}
	return nil
}

// barsCNAME reports whether a type cannot stand beside a CNAME: all but those
// that DNSSEC puts there (RFC 4034 §3, §4).
func barsCNAME(rrtype uint16) bool {
	switch rrtype {
	case dns.TypeRRSIG, dns.TypeNSEC, dns.TypeCNAME:
		return false
	}
	return true
}

// isMeta reports whether a type has no records: OPT, NXNAME and those from 249
// to 255, transaction signatures and queries (RFC 6895 §3.1, RFC 9824 §3.5).
func isMeta(rrtype uint16) bool {
	return rrtype == dns.TypeNone || rrtype == dns.TypeOPT || rrtype == dns.TypeNXNAME ||
		dns.TypeTKEY <= rrtype && rrtype <= dns.TypeANY
}

func (n *node) put(rr dns.RR) {
	rrtype := rr.Header().Rrtype
	if !n.has(rrtype) {
		n.types = append(n.types, rrtype)
	}
	n.sets[rrtype] = append(n.sets[rrtype], rr)
}

func (n *node) has(rrtype uint16) bool { return len(n.sets[rrtype]) > 0 }

// level sets the one TTL that an RRset must have (RFC 2181 §5.2; the lowest).
func (z *zone) level() {
	for _, n := range z.nodes {
		for rrtype, set := range n.sets {
			if rrtype != dns.TypeRRSIG { // one set only in name: each signature goes with what it covers
				levelTTL(set)
			}
		}
	}
}

// seal ends the making of the zone and sorts its owners.
func (z *zone) seal() {
	z.written = nil
	z.separateNSEC3()
	for name, n := range z.nodes {
		if len(n.types) > 0 {
			z.order = append(z.order, name)
			z.denies = z.denies || n.has(dns.TypeNSEC)
		}
	}
	slices.SortFunc(z.order, dnsname.Compare)
}

func levelTTL(set []dns.RR) {
	lowest := set[0].Header().Ttl
	for _, rr := range set {
		lowest = min(lowest, rr.Header().Ttl)
	}
	for _, rr := range set {
		rr.Header().Ttl = lowest
	}
}

// set returns the records of a type at a name, whether authoritative or glue.
func (z *zone) set(name dnsname.Name, rrtype uint16) []dns.RR {
	n, ok := z.nodes[name]
	if !ok {
		return nil
	}
	return n.set(rrtype)
}

// set returns the records of a type, signatures whole.
func (n *node) set(rrtype uint16) []dns.RR {
	set := n.sets[rrtype]
	if rrtype == dns.TypeRRSIG {
		for _, rr := range set {
			n.complete(rr)
		}
	}
	return set
}

// signatures returns the RRSIGs at a name that cover a type.
func (z *zone) signatures(name dnsname.Name, rrtype uint16) []dns.RR {
	n, ok := z.nodes[name]
	if !ok {
		return nil
	}
	return n.signatures(rrtype)
}

func (n *node) signatures(rrtype uint16) []dns.RR {
	var covering []dns.RR
	for _, rr := range n.sets[dns.TypeRRSIG] {
		if sig, ok := rr.(*dns.RRSIG); ok && sig.TypeCovered == rrtype {
			n.complete(rr)
			covering = append(covering, rr)
		}
	}
	return covering
}

// soa returns the SOA record; every sealed zone has one.
func (z *zone) soa() *dns.SOA {
	for _, rr := range z.set(z.origin, dns.TypeSOA) {
		if soa, ok := rr.(*dns.SOA); ok {
			return soa
		}
	}
	return nil
}

// find is steps 3a to 3c of RFC 1034 §4.3.2 within one zone, as amended by RFC
// 4592 §3.2 and RFC 6672 §3.2: where the way from the origin down to the name
// ends, and how. The name is at or below the origin.
func (z *zone) find(name dnsname.Name, qtype uint16) finding {
	f := finding{encloser: z.origin}
	for labels := z.origin.Labels(); ; labels++ {
		at := name.Ancestor(labels)
		n, ok := z.nodes[at]
		if !ok {
			return z.findWildcard(f)
		}
		f.encloser, f.node = at, n
		// DS belongs to the parent's side of a zone cut (RFC 4035 §3.1.4.1), so a
		// question for it ends above the cut.
		if at != z.origin && n.has(dns.TypeNS) && (at != name || qtype != dns.TypeDS) {
			f.kind = delegated
			return f
		}
		if at == name {
			f.kind = exact
			return f
		}
		if n.has(dns.TypeDNAME) {
			f.kind = redirected
			return f
		}
	}
}

// findWildcard looks for the source of synthesis below the closest encloser.
func (z *zone) findWildcard(f finding) finding {
	f.kind, f.node = missing, nil
	source, err := f.encloser.Wildcard()
	if err != nil { // no room for it in 255 bytes
		return f
	}
	if n, ok := z.nodes[source]; ok {
		f.kind, f.node, f.source = synthesised, n, source
	}
	return f
}

// finding is where the search for a name in a zone ended.
type finding struct {
	kind     findingKind
	node     *node        // the records found; nil when missing
	encloser dnsname.Name // the last name on the way that exists: the closest encloser
	source   dnsname.Name // source of synthesis; set when synthesised
}

// findingKind says how the search for a name in a zone ended.
type findingKind int

const (
	exact       findingKind = iota // the name exists, if only as an empty non-terminal
	synthesised                    // a wildcard stands in for it
	delegated                      // it lies at or below a zone cut, which is the encloser
	redirected                     // it lies below a DNAME, whose owner is the encloser
	missing                        // it does not exist
)
