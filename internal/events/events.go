package events

import (
	"net/netip"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// Sink is told what happens in the work on a question. Each piece of work has a value of its
// own: that for one caller, and each flight, which several callers may wait for. The value knows
// who listens.
//
// The engine calls the methods even if nobody listens, and passes only values that it has
// anyway, so that the implementation decides whether anything is made of them. They are called
// concurrently, should return quickly, and must not modify what they receive. They may panic, or
// end the goroutine, only if a function of the caller did that the work was begun for; the
// implementation keeps functions of callers that joined later from doing either.
type Sink interface {
	// Flight returns the events of a flight that this work begins.
	Flight() Sink
	// Join also tells the events of this flight to those who listen to waiter, the work that
	// waits for it. Leave ends that. A nil waiter is ignored.
	Join(waiter Sink)
	Leave(waiter Sink)

	// Joined: another caller has begun the same work, and its result will be shared. zone is
	// the zone being asked, or "" if the whole question is shared.
	Joined(in Step, zone dnsname.Name)
	// Cache: the cache has been read.
	Cache(in Step, e Cache)
	// SecondLevel: the second level has been read.
	SecondLevel(in Step, e SecondLevel)
	// LocalRoot: the local copy of the root zone has replied in the place of a root server.
	LocalRoot(in Step, e LocalRoot)
	// Start: a walk begins at cut, which is the root hints if hints is set. local: the local root
	// replies for its servers.
	Start(in Step, cut *glue.Delegation, hints, local bool)
	// Query: a query is about to be sent.
	Query(in Step, e Query)
	// Response: a query has been answered, or has failed.
	Response(in Step, e Response)
	// Referral: the walk descends from one zone to cut. ds is nil if the referral had no DS. local:
	// the local root referred.
	Referral(in Step, from dnsname.Name, cut *glue.Delegation, ds *dnssec.RRset, local bool)
	// ServerLookup: the look-up of a name server's addresses begins or ends.
	ServerLookup(in Step, e ServerLookup)
	// Alias: a CNAME or DNAME changes the name being searched.
	Alias(in Step, from, to dnsname.Name, dname bool)
	// Validated: data of zone has been validated. why is the reason if it is not secure.
	Validated(in Step, zone dnsname.Name, status dnssec.Status, why dnssec.Reason)
}

// Step says which walk an event belongs to, as Step does.
type Step struct {
	Walk, Parent, Depth int
	Question            answer.Question
}

// Cache is what the cache knew. The zero value is a miss.
type Cache struct {
	Hit, Negative, Failure, Alias, Stale bool

	Status dnssec.Status
	TTL    time.Duration
}

// SecondLevel is what the second level knew.
type SecondLevel struct {
	Zone         dnsname.Name // whose servers would have been asked
	Asked        answer.Question
	Hit          bool
	Kind         string // of the reply, as in resolver.ResponseInfo
	Age, Elapsed time.Duration
	Message      []byte
	Err          error
}

// LocalRoot is a reply of the local copy of the root zone.
type LocalRoot struct {
	Asked   answer.Question
	Kind    string // as in resolver.ResponseInfo
	Rcode   int
	Serial  uint32
	Message []byte
}

// Query is a query to one server.
type Query struct {
	ID         int // numbers the queries of one question, from 1
	Zone       dnsname.Name
	Server     netip.AddrPort
	ServerName dnsname.Name
	Network    string
	Asked      answer.Question
	Minimised  bool
	Reason     Reason
}

// Reason is why a query is sent; resolver.QueryReason says what each means.
type Reason uint8

const (
	ReasonNone Reason = iota // no query is sent
	ReasonBest
	ReasonUnknown
	ReasonNext
	ReasonHedge
	ReasonProbe
	ReasonTruncated
	ReasonSpoofed
	ReasonCase
	ReasonNoEDNS
	ReasonNoOption
	ReasonLastResort
	ReasonCookie
	ReasonLoop
	ReasonConnection
	ReasonNetwork
)

// Response is how a query ended.
type Response struct {
	ID         int // of the query
	Zone       dnsname.Name
	Server     netip.AddrPort
	ServerName dnsname.Name
	Network    string
	Kind       string // as in resolver.ResponseInfo
	Rcode      int
	RTT        time.Duration
	Message    []byte
	Err        error
}

// ServerLookup is the beginning of a look-up of a name server's addresses, or its end if
// Done is set.
type ServerLookup struct {
	Zone, Server dnsname.Name
	Done         bool
	Addrs        []netip.Addr
	Err          error
}
