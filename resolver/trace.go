package resolver

import (
	"context"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
)

// Trace is a set of hooks that a resolver calls while it works on a question, as
// net/http/httptrace does. Any of them may be nil. The hooks of one Trace are never
// called concurrently for one question, and none is called after the method that
// the Trace's context was given to has returned. What they receive must not be
// modified. They should return quickly: the question waits for them.
//
// When several callers ask the same question at the same time, it is worked on
// once; each caller's Trace sees what happens from when it joined on.
type Trace struct {
	// Joined is called when the question, or a step of it, is already being worked
	// on for another caller, whose result will be shared.
	Joined func(JoinedInfo)
	// Cache is called when the cache has been looked into.
	Cache func(CacheInfo)
	// SecondLevel is called when Options.SecondLevel has been asked for what a zone's
	// servers say; after a hit they are not asked.
	SecondLevel func(SecondLevelInfo)
	// Start is called when a search for a name begins at a zone cut.
	Start func(StartInfo)
	// Query is called before a query is sent.
	Query func(QueryInfo)
	// Response is called when a query has been answered, or has failed.
	Response func(ResponseInfo)
	// Referral is called when the walk descends to a deeper zone.
	Referral func(ReferralInfo)
	// ServerLookup is called when the addresses of a name server have to be found
	// first; the walks that do so have the walk in Step as their parent.
	ServerLookup func(ServerLookupInfo)
	// Alias is called when a CNAME or DNAME changes the name being searched.
	Alias func(AliasInfo)
	// Validated is called when a part of the answer has been judged.
	Validated func(ValidatedInfo)
	// Done is called last, when the question has been answered or has failed.
	Done func(DoneInfo)
}

// Step says where in the work on a question an event belongs.
type Step struct {
	// Walk numbers the walks of one question, from 1: each search for a name at the
	// zones that may hold it is one.
	Walk int
	// Parent is the walk that needs this one's result, 0 for the question's own.
	Parent int
	// Depth counts the walks above this one.
	Depth int
	// Question is what this walk searches.
	Question dns.Question
	// At is when the event happened, by time.Now.
	At time.Time
}

// JoinedInfo says what is being shared.
type JoinedInfo struct {
	Step
	// Zone is the zone asked, "" when the whole question is shared.
	Zone string
}

// CacheInfo says what the cache knew.
type CacheInfo struct {
	Step
	Hit      bool
	Negative bool // a name error or NODATA
	Failure  bool // a failure that is not tried again yet (RFC 9520)
	Alias    bool // a CNAME or DNAME
	Stale    bool // it has expired (RFC 8767)
	Status   dnssec.Status
	TTL      time.Duration
}

// SecondLevelInfo says what the second level knew.
type SecondLevelInfo struct {
	Step
	Zone  string       // whose servers would have been asked
	Asked dns.Question // may be less than the walk's question (RFC 9156)
	Hit   bool
	// Kind is what the reply is, as in ResponseInfo; "" without a hit.
	Kind string
	// Age is how long ago somebody learnt it.
	Age     time.Duration
	Elapsed time.Duration // waited for the store
	// Message is the reply on the wire, with the TTLs it has now; nil without a hit.
	Message []byte
	// Err is why what was found is refused.
	Err error
}

// StartInfo says where a walk begins.
type StartInfo struct {
	Step
	Cut   *glue.Delegation
	Hints bool // the cut is the root hints
}

// QueryReason says why a query is sent.
type QueryReason string

// Why a query is sent.
const (
	// ReasonBest: the server with the lowest expected round-trip time.
	ReasonBest QueryReason = "best"
	// ReasonUnknown: a server whose round-trip time is to be learnt.
	ReasonUnknown QueryReason = "unknown"
	// ReasonNext: the servers tried before gave nothing of use.
	ReasonNext QueryReason = "next"
	// ReasonHedge: the server asked first is later than expected.
	ReasonHedge QueryReason = "hedge"
	// ReasonProbe: a server held to be dead is tried again.
	ReasonProbe QueryReason = "probe"
	// ReasonTruncated: the reply over UDP was cut off (RFC 7766 §5).
	ReasonTruncated QueryReason = "truncated"
	// ReasonSpoofed: a reply over UDP looked forged, or nothing came but datagrams with the
	// right ID that were no replies, so TCP is used (RFC 5452 §9.2).
	ReasonSpoofed QueryReason = "spoofed"
	// ReasonCase: the server did not echo the letter case of the question.
	ReasonCase QueryReason = "case"
	// ReasonNoEDNS: the server does not know EDNS (RFC 6891 §6.2.2).
	ReasonNoEDNS QueryReason = "no-edns"
	// ReasonNoOption: the server does not take EDNS options (RFC 6891 §6.1.2).
	ReasonNoOption QueryReason = "no-option"
	// ReasonLastResort: every server has failed, and one is asked without EDNS option and
	// in lower case, and, if it was silent to less, for the full name.
	ReasonLastResort QueryReason = "last-resort"
	// ReasonCookie: the server wants its cookie (RFC 7873 §5.3).
	ReasonCookie QueryReason = "cookie"
	// ReasonLoop: to see whether a route leads back to this resolver.
	ReasonLoop QueryReason = "loop"
	// ReasonConnection: the connection that was reused had been closed.
	ReasonConnection QueryReason = "connection"
)

// QueryInfo says what is sent to whom.
type QueryInfo struct {
	Step
	ID         int // numbers the queries of one question, from 1
	Zone       string
	Server     netip.AddrPort
	ServerName string
	Network    string // "udp" or "tcp"; of a route also "tls", and "https" for a hook
	Asked      dns.Question
	Minimised  bool // Asked is less than the walk's question (RFC 9156)
	Reason     QueryReason
}

// ResponseInfo says what came of a query.
type ResponseInfo struct {
	Step
	ID         int // of the query
	Zone       string
	Server     netip.AddrPort
	ServerName string
	Network    string
	// Kind is what the response is: "answer", "alias", "referral", "no data",
	// "name error", "lame" and so on; "" when Err is set.
	Kind  string
	Rcode int
	RTT   time.Duration
	// Message is the response on the wire, nil when there is none.
	Message []byte
	// Err is why there is no usable response.
	Err error
}

// ReferralInfo says where the walk goes next.
type ReferralInfo struct {
	Step
	From string // the zone that refers
	Cut  *glue.Delegation
	DS   []dns.RR // nil: none came with the referral
}

// ServerLookupInfo says which name server's addresses are looked for.
type ServerLookupInfo struct {
	Step
	Zone   string // the zone it serves
	Server string
	Done   bool         // false when the look-up begins
	Addrs  []netip.Addr // when done
	Err    error        // when done and failed
}

// AliasInfo says how the name being searched changes.
type AliasInfo struct {
	Step
	From, To string
	DNAME    bool
}

// ValidatedInfo says what validation found.
type ValidatedInfo struct {
	Step
	// Zone is the zone that signed what was judged; if none did, the one that was asked
	// for it, "" for what came out of the cache.
	Zone     string
	Status   dnssec.Status
	Extended ExtendedError // why it is not secure; zero when it is
}

// DoneInfo says how the question ended and what it took.
type DoneInfo struct {
	Step
	Result  *Result // nil on error
	Err     error
	Sends   int // queries sent
	Bytes   int // octets received
	Elapsed time.Duration
	// Validation is what judging the answer has cost so far.
	Validation dnssec.Spent
}

type traceKey struct{}

// WithTrace gives a context whose questions call t's hooks.
func WithTrace(ctx context.Context, t *Trace) context.Context {
	return context.WithValue(ctx, traceKey{}, t)
}

// ContextTrace gives the Trace that WithTrace put into ctx, or nil.
func ContextTrace(ctx context.Context) *Trace {
	t, _ := ctx.Value(traceKey{}).(*Trace)
	return t
}
