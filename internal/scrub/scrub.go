package scrub

import (
	"errors"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

const (
	// maxSignatures is how many RRSIG records over one RRset are kept. A multi-signer
	// zone in the middle of an algorithm roll has four or so; more are a sign of
	// KeyTrap (CVE-2023-50387).
	maxSignatures = 16
	// maxDenials is how many NSEC or NSEC3 RRsets are kept: a proof needs three, a
	// compound one (a wildcard CNAME's) a few more; PowerDNS keeps 10.
	maxDenials = 10
	// maxANY is how many RRsets are kept of a response to an ANY query, which
	// all have to be validated (Unbound: 24).
	maxANY = 24
	// maxLinks is how many aliases are taken from one response (Unbound's
	// iter-scrub-cname).
	maxLinks = 11
	// maxDNAMEs is how many owners of DNAME records are looked at in one response: each
	// link of a chain may have one.
	maxDNAMEs = maxLinks
)

// Why a response is of no use although it parses.
var (
	// ErrMalformed: a record of the RRset asked for has malformed RDATA.
	ErrMalformed = errors.New("malformed RDATA in the answer")
	// ErrTooManyRecords: the RRset asked for is larger than the limit.
	ErrTooManyRecords = errors.New("too many records in one RRset")
)

// Asked is the query that the response is to.
type Asked struct {
	Zone       dnsname.Name // the zone that the server was asked as a server of
	Name       dnsname.Name
	Type       uint16
	MaxRecords int // of one RRset
	// Recursive: the server is a resolver, so that a denial may be of a zone above.
	Recursive bool
}

// mayDeny reports whether the sender may speak for denials by records of that owner.
func (a Asked) mayDeny(owner dnsname.Name) bool { return a.Recursive || owner.IsAtOrBelow(a.Zone) }

// Alias is one step from a name to another.
type Alias struct {
	From, To dnsname.Name
	// Set is the CNAME RRset at From, or the DNAME RRset above it.
	Set *dnssec.RRset
	// TooLong is set when a DNAME makes a name of more than 255 bytes (RFC 6672
	// §2.2: YXDOMAIN); To is then empty.
	TooLong bool
}

// IsDNAME reports whether the step is a DNAME's.
func (a Alias) IsDNAME() bool { return a.Set.Type == dns.TypeDNAME }

// Excess says of which kind a response had more than is kept. The rest is left out, which
// harms no honest zone: none is known that has as many.
type Excess uint8

// The kinds.
const (
	ExcessSignatures Excess = 1 << iota // over one RRset
	ExcessDenials                       // NSEC and NSEC3 records
	ExcessTypes                         // RRsets of an answer to ANY
	ExcessAliases                       // links of a chain
	ExcessRecords                       // in an RRset beside the one asked for, which is an error
)

// Reply is the part of a response that its sender may speak for.
type Reply struct {
	Rcode      int
	AA, RA     bool
	Answer     []*dnssec.RRset // what was asked for; several for ANY
	Aliases    []Alias
	SOA        *dnssec.RRset
	Denial     []*dnssec.RRset // NSEC and NSEC3
	NS         []glue.NS       // of a delegation below the zone, towards the name
	DS         *dnssec.RRset   // of that delegation
	Addresses  []glue.Address  // candidates for its glue
	Upward     bool            // NS records of the zone itself, or of one above or beside it
	ManyOwners bool            // NS records of several delegations below the zone
	LeftOut    Excess

	only [1]*dnssec.RRset // where Answer points to if it is one set
}

// Scrub applies the allow list to a response. What it keeps is put into r, which is empty before.
func Scrub(r *Reply, m *wire.Message, asked Asked) error {
	s := scrubber{m: m, asked: asked}
	r.Rcode, r.AA, r.RA = m.Rcode(), m.Flags&wire.AA != 0, m.Flags&wire.RA != 0
	if err := s.answer(r); err != nil {
		return err
	}
	if len(r.Answer) == 0 {
		s.aliases(r)
	}
	s.authority(r)
	r.LeftOut = s.leftOut
	return nil
}

// answerOnly makes set the whole answer.
func (r *Reply) answerOnly(set *dnssec.RRset) {
	r.only[0] = set
	r.Answer = r.only[:]
}

type scrubber struct {
	m     *wire.Message
	asked Asked
	// dnames are the DNAME RRsets of the answer section by owner, once sought.
	dnames       map[dnsname.Name]*dnssec.RRset
	soughtDNAMEs bool
	leftOut      Excess
}
