package resolver

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/printable"
)

// Trace is a set of hooks that a resolver calls while it works on a question, like
// net/http/httptrace. Any of them may be nil. The hooks of one Trace are never called
// concurrently for one question, and none is called after the method that was called with
// the Trace's context has returned. They must not modify what they receive. They should
// return quickly: the question waits for them.
//
// When several callers ask the same question at the same time, it is worked on once; each
// caller's Trace gets the events from when it joined.
type Trace struct {
	// Joined is called when the question, or a step of it, is already being worked
	// on for another caller, whose result will be shared.
	Joined func(JoinedInfo)
	// Cache is called after the cache has been read.
	Cache func(CacheInfo)
	// SecondLevel is called after Options.SecondLevel has been read for a reply of a zone's
	// servers; after a hit they are not asked.
	SecondLevel func(SecondLevelInfo)
	// LocalRoot is called when Options.LocalRoot has replied instead of the root servers, which are then
	// not asked.
	LocalRoot func(LocalRootInfo)
	// Start is called when a walk starts at a zone cut.
	Start func(StartInfo)
	// Query is called before a query is sent, which waits until it returns: that is how examples/bulk
	// limits the rate of queries to each server. A query that several callers share is announced to each.
	Query func(QueryInfo)
	// Response is called after a query has been answered, or has failed.
	Response func(ResponseInfo)
	// Referral is called when the walk descends to a deeper zone.
	Referral func(ReferralInfo)
	// ServerLookup is called when the addresses of a name server have to be looked up
	// first, and when they have been; the walks of the look-up have the walk in Step as
	// their parent.
	ServerLookup func(ServerLookupInfo)
	// Alias is called when a CNAME or DNAME changes the name being searched.
	Alias func(AliasInfo)
	// Validated is called after a part of the answer has been validated.
	Validated func(ValidatedInfo)
	// Done is called last, after the question has been answered or has failed.
	Done func(DoneInfo)
}

// Step says to which walk of the work on a question an event belongs.
type Step struct {
	// Walk is the number of the walk within the question, from 1. Each search for a name,
	// from zone cut to zone cut, is a walk.
	Walk int
	// Parent is the walk that needs this one's result; 0 for the question's own walks.
	Parent int
	// Depth is the number of walks above this one.
	Depth int
	// Question is the name and type that this walk searches.
	Question dns.Question
	// At is when the event happened, by time.Now.
	At time.Time
}

// JoinedInfo is the argument of Trace.Joined: the work that is shared.
type JoinedInfo struct {
	Step
	// Zone is the zone whose servers are asked; "" when the whole question is shared.
	Zone string
}

// CacheInfo is the argument of Trace.Cache: what the cache had.
type CacheInfo struct {
	Step
	Hit      bool
	Negative bool // a name error or NODATA
	Failure  bool // a cached failure, which is not tried again yet (RFC 9520)
	Alias    bool // a CNAME or DNAME
	Stale    bool // expired data (RFC 8767)
	Status   dnssec.Status
	TTL      time.Duration
}

// SecondLevelInfo is the argument of Trace.SecondLevel: what the second level had.
type SecondLevelInfo struct {
	Step
	Zone  string       // whose servers would have been asked
	Asked dns.Question // may be less than the walk's question (RFC 9156)
	Hit   bool
	// Kind is the kind of reply, as in ResponseInfo; "" without a hit.
	Kind string
	// Age is how long ago a resolver learnt it.
	Age     time.Duration
	Elapsed time.Duration // how long the store took
	// Message is the reply in wire format, with its TTLs as of now; nil without a hit.
	Message []byte
	// Err is why the value was refused; nil otherwise.
	Err error
}

// StartInfo is the argument of Trace.Start: where a walk starts.
type StartInfo struct {
	Step
	Cut   *glue.Delegation
	Hints bool // the cut is the root hints
	// LocalRoot: the cut is the root, and Options.LocalRoot replies instead of its servers.
	LocalRoot bool
}

// LocalRootInfo is the argument of Trace.LocalRoot: a reply made from the local root.
type LocalRootInfo struct {
	Step
	Asked dns.Question // may be less than the walk's question (RFC 9156)
	// Kind is the kind of reply, and Rcode its response code, as in ResponseInfo.
	Kind  string
	Rcode int
	// Serial is the serial number of the copy.
	Serial uint32
	// Message is the reply in wire format.
	Message []byte
}

// QueryReason says why a query is sent.
type QueryReason string

// The reasons for a query.
const (
	// ReasonBest: the server with the lowest expected round-trip time.
	ReasonBest QueryReason = "best"
	// ReasonUnknown: a server whose round-trip time is not known yet.
	ReasonUnknown QueryReason = "unknown"
	// ReasonNext: the servers tried before sent nothing usable.
	ReasonNext QueryReason = "next"
	// ReasonHedge: the reply of the server asked first is later than expected.
	ReasonHedge QueryReason = "hedge"
	// ReasonProbe: a server that is marked down is tried again.
	ReasonProbe QueryReason = "probe"
	// ReasonTruncated: the reply over UDP was truncated (RFC 7766 §5).
	ReasonTruncated QueryReason = "truncated"
	// ReasonSpoofed: a reply over UDP looked forged, or nothing came but datagrams with the
	// right ID that were no replies, so that TCP is used (RFC 5452 §9.2).
	ReasonSpoofed QueryReason = "spoofed"
	// ReasonCase: the server did not echo the letter case of the question.
	ReasonCase QueryReason = "case"
	// ReasonNoEDNS: the server does not support EDNS (RFC 6891 §6.2.2).
	ReasonNoEDNS QueryReason = "no-edns"
	// ReasonNoOption: the server does not accept EDNS options (RFC 6891 §6.1.2).
	ReasonNoOption QueryReason = "no-option"
	// ReasonLastResort: every server has failed, and one is asked without EDNS options and
	// in lower case, and, if it was silent to a minimised name, for the full name.
	ReasonLastResort QueryReason = "last-resort"
	// ReasonCookie: the server requires its cookie (RFC 7873 §5.3).
	ReasonCookie QueryReason = "cookie"
	// ReasonLoop: a check whether a route leads back to this resolver.
	ReasonLoop QueryReason = "loop"
	// ReasonConnection: the server had closed the connection that was reused.
	ReasonConnection QueryReason = "connection"
	// ReasonNetwork: TCP is used, since UDP does not, or seems not to, reach the root servers from this
	// network.
	ReasonNetwork QueryReason = "network"
)

// QueryInfo is the argument of Trace.Query: what is sent, and to which server.
type QueryInfo struct {
	Step
	ID         int // number of the query within the question, from 1
	Zone       string
	Server     netip.AddrPort
	ServerName string
	Network    string // "udp", "tcp" or "tls"; "https" for an Exchanger of a route
	Asked      dns.Question
	Minimised  bool // Asked is less than the walk's question (RFC 9156)
	Reason     QueryReason
}

// ResponseInfo is the argument of Trace.Response: the outcome of a query.
type ResponseInfo struct {
	Step
	ID         int // of the query
	Zone       string
	Server     netip.AddrPort
	ServerName string
	Network    string
	// Kind is the kind of response: "answer", "alias", "referral", "no data", "name error",
	// "lame" and so on; "" when Err is set.
	Kind  string
	Rcode int
	RTT   time.Duration
	// Message is the response in wire format; nil when there is none.
	Message []byte
	// Err is why there is no usable response; nil when there is one.
	Err error
}

// ReferralInfo is the argument of Trace.Referral: where the walk goes next.
type ReferralInfo struct {
	Step
	From string // the zone that refers
	Cut  *glue.Delegation
	DS   []dns.RR // nil: none came with the referral
	// LocalRoot: the referral was made from Options.LocalRoot.
	LocalRoot bool
}

// ServerLookupInfo is the argument of Trace.ServerLookup: the name server whose addresses
// are looked up.
type ServerLookupInfo struct {
	Step
	Zone   string // the zone it serves
	Server string
	Done   bool         // false when the look-up begins
	Addrs  []netip.Addr // when done
	Err    error        // when done and failed
}

// AliasInfo is the argument of Trace.Alias: how the name being searched changes.
type AliasInfo struct {
	Step
	From, To string
	DNAME    bool
}

// ValidatedInfo is the argument of Trace.Validated: what validation found.
type ValidatedInfo struct {
	Step
	// Zone is the zone that signed the data; if none did, the zone that was asked for it,
	// "" for data from the cache.
	Zone     string
	Status   dnssec.Status
	Extended ExtendedError // why it is not secure; zero when it is
}

// DoneInfo is the argument of Trace.Done: how the question ended and what it cost.
type DoneInfo struct {
	Step
	Result   *Result // nil on error
	Err      error
	Sends    int // queries sent
	SendsTLS int // those of them that have left over TLS
	Bytes    int // bytes received
	Elapsed  time.Duration
	// Validation is what validating the answer has cost so far.
	Validation dnssec.Spent
}

type traceKey struct{}

// WithTrace returns a context whose questions call t's hooks.
func WithTrace(ctx context.Context, t *Trace) context.Context {
	return context.WithValue(ctx, traceKey{}, t)
}

// ContextTrace returns the Trace that WithTrace put into ctx, or nil.
func ContextTrace(ctx context.Context) *Trace {
	t, _ := ctx.Value(traceKey{}).(*Trace)
	return t
}

// LogTrace returns a Trace that logs every step of a question: its end at slog.LevelInfo,
// or slog.LevelWarn if it failed, and the steps before at slog.LevelDebug. It may be used
// for any number of questions at once.
//
//	ctx = resolver.WithTrace(ctx, resolver.LogTrace(slog.Default()))
//
// The log contains the names asked for. RFC 9076 says what they tell about people.
func LogTrace(l *slog.Logger) *Trace {
	t := traceLogger{l}
	return &Trace{
		Joined: func(i JoinedInfo) { t.step(i.Step, "joined", slog.String("zone", i.Zone)) },
		Cache: func(i CacheInfo) {
			t.step(i.Step, "cache", slog.Bool("hit", i.Hit), slog.Bool("negative", i.Negative),
				slog.Bool("failure", i.Failure), slog.Bool("alias", i.Alias))
		},
		LocalRoot: func(i LocalRootInfo) {
			t.step(i.Step, "local root", slog.String("asked", questionText(i.Asked)), slog.String("kind", i.Kind),
				slog.String("rcode", failure.RcodeName(i.Rcode)), slog.Any("serial", i.Serial))
		},
		Start: func(i StartInfo) {
			t.step(i.Step, "start", slog.String("zone", i.Cut.Zone.String()), slog.Bool("hints", i.Hints), slog.Bool("local root", i.LocalRoot))
		},
		Query: func(i QueryInfo) {
			t.step(i.Step, "query", slog.Int("id", i.ID), slog.String("zone", i.Zone), slog.Any("server", i.Server),
				slog.String("network", i.Network), slog.String("asked", questionText(i.Asked)), slog.String("reason", string(i.Reason)))
		},
		Response: func(i ResponseInfo) {
			t.step(i.Step, "response", slog.Int("id", i.ID), slog.Any("server", i.Server), slog.String("kind", i.Kind),
				slog.String("rcode", failure.RcodeName(i.Rcode)), slog.Duration("rtt", i.RTT), slog.Int("bytes", len(i.Message)), errorAttr(i.Err))
		},
		Referral: func(i ReferralInfo) {
			t.step(i.Step, "referral", slog.String("from", i.From), slog.String("zone", i.Cut.Zone.String()), slog.Bool("signed", len(i.DS) > 0))
		},
		ServerLookup: func(i ServerLookupInfo) {
			t.step(i.Step, "server lookup", slog.String("zone", i.Zone), slog.String("server", i.Server),
				slog.Bool("done", i.Done), slog.Any("addresses", i.Addrs), errorAttr(i.Err))
		},
		Alias: func(i AliasInfo) {
			t.step(i.Step, "alias", slog.String("from", i.From), slog.String("to", i.To), slog.Bool("dname", i.DNAME))
		},
		Validated: func(i ValidatedInfo) {
			t.step(i.Step, "validated", slog.String("zone", i.Zone), slog.String("status", i.Status.String()),
				slog.Int("code", int(i.Extended.Code)), slog.String("why", Printable(i.Extended.Text)))
		},
		Done: t.done,
	}
}

type traceLogger struct{ *slog.Logger }

// step logs an event before the end.
func (t traceLogger) step(s Step, event string, attributes ...slog.Attr) {
	ctx := context.Background() // hooks have none
	if !t.Enabled(ctx, slog.LevelDebug) {
		return
	}
	all := append([]slog.Attr{slog.Int("walk", s.Walk), slog.String("question", questionText(s.Question))}, attributes...)
	t.LogAttrs(ctx, slog.LevelDebug, event, all...)
}

func (t traceLogger) done(i DoneInfo) {
	level, rcode, status := slog.LevelInfo, "", ""
	if i.Err != nil {
		level = slog.LevelWarn
	}
	if i.Result != nil {
		rcode, status = failure.RcodeName(i.Result.Rcode), i.Result.Status.String()
	}
	t.LogAttrs(context.Background(), level, "resolved", slog.String("question", questionText(i.Question)),
		slog.String("rcode", rcode), slog.String("status", status), slog.Int("sends", i.Sends), slog.Int("bytes", i.Bytes),
		slog.Duration("took", i.Elapsed), errorAttr(i.Err))
}

func questionText(q dns.Question) string { return Printable(q.Name) + " " + dns.Type(q.Qtype).String() }

// errorAttr returns the attribute for an error; for nil the zero Attr, which handlers omit.
// Handlers that write JSON do not escape everything that a terminal obeys.
func errorAttr(err error) slog.Attr {
	if err == nil {
		return slog.Attr{}
	}
	return slog.Any("error", printable.Error{Err: err})
}
