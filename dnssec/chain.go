package dnssec

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// Link is one step of a chain of trust: a response, reduced to what a verdict rests
// on. A chain begins with the DNSKEY RRset of an anchored zone, goes down by DS (or
// its denial) and DNSKEY, and ends with the response itself. A link without records says
// that they could not be obtained.
type Link struct {
	Name Name
	Type uint16 // DNSKEY, DS, or of the last link what was asked for
	Kind ResponseKind
	// Answer and Authority hold the RRsets with all their signatures.
	Answer, Authority []*RRset
}

// String names what the link is about.
func (l *Link) String() string {
	return fmt.Sprintf("%s %s %s", l.Name, typeName(l.Type), l.Kind)
}

// chainPart is where one part of a verdict hangs.
type chainPart struct {
	keys *KeySet     // that signed it
	via  *Delegation // that made it Insecure
}

// Chain returns the evidence of a verdict about r, in the order in which it can be
// checked again by VerifyChain. Links that a cache held without their own evidence
// (a KeySet or Delegation of another Validator, or of none) are not in it.
//
// Of a Bogus verdict it is everything that was known of the zones above, good or bad,
// and the whole response: VerifyChain finds the same fault.
func (v *Verdict) Chain(r *Response) []Link {
	if v.Status == Bogus {
		return append(slices.Clone(v.failed), Link{Name: r.Name, Type: r.Type, Kind: r.Kind, Answer: r.Answer, Authority: r.Authority})
	}
	c := chain{seen: make(map[any]bool)}
	for _, part := range v.chain {
		c.keys(part.keys)
		c.delegation(part.via)
	}
	last := Link{Name: r.Name, Type: r.Type, Kind: r.Kind, Answer: r.Answer}
	for i := range v.Sets {
		if set := v.Sets[i].Set; !slices.Contains(r.Answer, set) {
			last.Authority = append(last.Authority, set)
		}
	}
	return append(c.links, last)
}

// chain collects links, each after those it rests on.
type chain struct {
	links []Link
	seen  map[any]bool
}

func (c *chain) keys(ks *KeySet) {
	if ks == nil || c.seen[ks] {
		return
	}
	c.seen[ks] = true
	c.delegation(ks.via)
	c.links = append(c.links, ks.link())
}

func (c *chain) delegation(d *Delegation) {
	if d == nil || c.seen[d] {
		return
	}
	c.seen[d] = true
	c.keys(d.signer)
	c.delegation(d.via)
	c.links = append(c.links, d.link())
}

// link returns the DNSKEY RRset that was proven.
func (k *KeySet) link() Link {
	return Link{Name: k.Zone, Type: dns.TypeDNSKEY, Answer: []*RRset{k.RRset}}
}

// link returns the DS RRset, or its denial, that was judged.
func (d *Delegation) link() Link {
	link := Link{Name: d.Name, Type: dns.TypeDS}
	switch {
	case d.DS != nil:
		link.Answer = []*RRset{d.DS}
	case d.alias:
		link.Kind, link.Answer, link.Authority = KindAlias, d.Proof[:1], d.Proof[1:]
	default:
		link.Kind, link.Authority = KindNoData, d.Proof
	}
	return link
}

// Response returns the response that the keys were proven by, for Evidence.Add: there they are
// judged again, by the DS and at the time of that Evidence, whatever was concluded before. It
// is how keys count that may not be kept any longer.
func (k *KeySet) Response() *Response {
	l := k.link()
	return l.response()
}

// Response returns the response that the delegation was judged by, for Evidence.Add, as that of
// a KeySet.
func (d *Delegation) Response() *Response {
	l := d.link()
	return l.response()
}

// links returns all that is known of keys and DS, each link behind those it may rest on.
func (e *Evidence) links() []Link {
	proven := chain{seen: make(map[any]bool)}
	var received []Link
	for name, de := range e.ds {
		if de.response == nil && de.judged != nil && de.cause == nil {
			proven.delegation(de.judged)
		} else {
			received = append(received, de.link(name))
		}
	}
	for zone, ke := range e.keys {
		if ke.proven != nil {
			proven.keys(ke.proven)
		} else {
			received = append(received, ke.link(zone))
		}
	}
	// What was received counts for more than what had been known before.
	of := func(l Link) linkName { return linkName{l.Name, l.Type} }
	links := make(map[linkName]Link)
	for _, l := range slices.Concat(proven.links, received) {
		links[of(l)] = l
	}
	return slices.SortedFunc(maps.Values(links), func(a, b Link) int {
		return cmp.Or(a.Name.Labels()-b.Name.Labels(), dnsname.Compare(a.Name, b.Name), int(a.Type)-int(b.Type))
	})
}

// linkName is what a link is about.
type linkName struct {
	name   dnsname.Name
	rrtype uint16
}

// link returns the response about a DS RRset as it was received.
func (d *dsEvidence) link(name dnsname.Name) Link {
	l := Link{Name: name, Type: dns.TypeDS, Kind: KindNoData}
	if d.response == nil {
		return l
	}
	if set := d.response.ds(); set != nil {
		l.Kind, l.Answer = KindAnswer, []*RRset{set}
		return l
	}
	l.Kind, l.Answer, l.Authority = d.response.Kind, d.response.Answer, d.response.Authority
	return l
}

// link returns the DNSKEY RRset as it was received.
func (k *keyEvidence) link(zone dnsname.Name) Link {
	if k.received == nil {
		return Link{Name: zone, Type: dns.TypeDNSKEY, Kind: KindNoData}
	}
	return Link{Name: zone, Type: dns.TypeDNSKEY, Answer: []*RRset{k.received}}
}

// ErrChain says that a chain is not complete.
var ErrChain = errors.New("chain of trust is not complete")

// VerifyChain judges the last link of a chain again by the links before it, trusting
// nothing but anchors, at the time of the signatures. It fails with ErrChain when a
// link is missing, with a *LimitError, and with a *BogusError when the chain does not
// hold; the verdict is then nil.
func VerifyChain(chain []Link, anchors []Anchor, at time.Time) (*Verdict, error) {
	if anchors == nil {
		anchors = DefaultAnchors()
	}
	v, err := New(Options{Anchors: anchors})
	if err != nil {
		return nil, err
	}
	return v.VerifyChain(chain, at)
}

// VerifyChain does what the function of this name does, with the validator's own
// anchors and algorithms.
func (v *Validator) VerifyChain(chain []Link, at time.Time) (*Verdict, error) {
	if len(chain) == 0 {
		return nil, fmt.Errorf("%w: no links", ErrChain)
	}
	e := v.Evidence(at, at, NewWork(Limits{}))
	for i := range chain {
		if i < len(chain)-1 {
			e.Add(chain[i].response())
		}
	}
	verdict, needs, err := e.Validate(chain[len(chain)-1].response())
	switch {
	case err != nil:
		return nil, err
	case len(needs) > 0:
		return nil, fmt.Errorf("%w: %s %s is missing", ErrChain, needs[0].Name, typeName(needs[0].Type))
	}
	if err := verdict.Err(); err != nil {
		return nil, err
	}
	return verdict, nil
}

func (l *Link) response() *Response {
	return &Response{Name: l.Name, Type: l.Type, Kind: l.Kind, Answer: l.Answer, Authority: l.Authority}
}
