package dnssec

import (
	"fmt"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// DefaultInceptionSkew is how long before its inception a signature is good: the
// signer's clock may be ahead. PowerDNS uses the same.
const DefaultInceptionSkew = time.Minute

// Options says what a Validator trusts. The zero value trusts the embedded root
// keys.
type Options struct {
	// Anchors; nil means DefaultAnchors, an empty slice none, so that everything is
	// Indeterminate. The anchor closest to a name is the one that counts.
	Anchors []Anchor
	// NegativeAnchors make zones Insecure. At the same zone they win over Anchors.
	NegativeAnchors []NegativeAnchor
	// Algorithms adds signature algorithms, by number, to those of the standard
	// library: 5, 7, 8, 10, 13, 14, 15. A nil value removes one, so that 5 and 7,
	// which rest on SHA-1, can be refused (RFC 9905). Zones that have no other are
	// Insecure.
	Algorithms map[uint8]Algorithm
	// InceptionSkew is how long before its inception a signature is already good;
	// zero means DefaultInceptionSkew, negative none.
	InceptionSkew time.Duration
	// ExpirationSkew is how long after its expiration a signature is still good;
	// zero and negative mean none.
	ExpirationSkew time.Duration
}

// Validator judges DNS data against trust anchors. It is immutable and may be used
// from several goroutines; each client question has an Evidence of its own.
type Validator struct {
	anchors        map[dnsname.Name][]Anchor
	negative       map[dnsname.Name]time.Time
	algorithms     algorithms
	inceptionSkew  uint32 // seconds
	expirationSkew uint32 // seconds
}

// New makes a Validator. It fails when an anchor is the zero value, or a zone of a
// negative anchor is no name.
func New(o Options) (*Validator, error) {
	if o.Anchors == nil {
		o.Anchors = DefaultAnchors()
	}
	v := &Validator{
		anchors:        make(map[dnsname.Name][]Anchor),
		negative:       make(map[dnsname.Name]time.Time),
		algorithms:     builtin().with(o.Algorithms),
		inceptionSkew:  seconds(o.InceptionSkew, DefaultInceptionSkew),
		expirationSkew: seconds(o.ExpirationSkew, 0),
	}
	for _, a := range o.Anchors {
		if a.zone == "" {
			return nil, fmt.Errorf("%w: zero value", ErrAnchor)
		}
		v.anchors[a.zone] = append(v.anchors[a.zone], a)
	}
	for _, n := range o.NegativeAnchors {
		if n.Zone == "" {
			return nil, fmt.Errorf("negative trust anchor: %w", dnsname.ErrEmpty)
		}
		v.negative[n.Zone] = n.Until
	}
	return v, nil
}

// maxSkew keeps skews far from half the range of serial arithmetic.
const maxSkew = 365 * 24 * time.Hour

func seconds(d, ifZero time.Duration) uint32 {
	if d == 0 {
		d = ifZero
	}
	return uint32(min(max(d, 0), maxSkew) / time.Second)
}

// Evidence starts the judging of one client question. now ages nothing but negative
// anchors; signatureTime is when signatures have to be valid; work is charged for
// all that is computed and may be shared with other Evidence of the same client
// question.
func (v *Validator) Evidence(now, signatureTime time.Time, work *Work) *Evidence {
	return &Evidence{
		v:             v,
		now:           now,
		at:            signatureTime,
		signatureTime: uint32(signatureTime.Unix()),
		work:          work,
		cuts:          make(map[dnsname.Name]bool),
		keys:          make(map[dnsname.Name]*keyEvidence),
		ds:            make(map[dnsname.Name]*dsEvidence),
		zones:         make(map[dnsname.Name]*zoneState),
	}
}

// trustKind is the kind of anchor at a trust point.
type trustKind uint8

const (
	trustNone     trustKind = iota // no anchor at or above the name
	trustAnchored                  // trust anchors
	trustNegative                  // a negative trust anchor
)

// trustPoint is where the chain of trust for a name starts.
type trustPoint struct {
	kind trustKind
	zone dnsname.Name
}

// trustPoint returns the closest anchor, positive or negative, for the zone that
// holds name. DS lives in the parent of the name, so parentSide starts the search
// one label up.
func (e *Evidence) trustPoint(name dnsname.Name, parentSide bool) trustPoint {
	if parentSide {
		if name.IsRoot() {
			return trustPoint{}
		}
		name = name.Parent()
	}
	for {
		if until, ok := e.v.negative[name]; ok && (until.IsZero() || e.now.Before(until)) {
			return trustPoint{trustNegative, name}
		}
		if len(e.v.anchors[name]) > 0 {
			return trustPoint{trustAnchored, name}
		}
		if name.IsRoot() {
			return trustPoint{}
		}
		name = name.Parent()
	}
}

// parentSide reports whether RRsets of the type stand above a zone cut at their
// owner: only DS does (RFC 4035 §2.4), but for the root, which nothing is above.
func parentSide(owner dnsname.Name, rrtype uint16) bool {
	return rrtype == dns.TypeDS && !owner.IsRoot()
}
