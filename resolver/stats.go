package resolver

import (
	"net/netip"
	"time"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/budget"
	"github.com/iterdns/iterdns/internal/infra"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/reach"
)

// Stats are the counts of what a resolver has done since New, and of what it is doing.
// Counts only grow; each is exact, but they are not taken at one moment. No field names a
// zone, a host or an address, so that Stats can be published, and its maps always have the
// same keys, so that it can feed metrics.
type Stats struct {
	// Cache are the counts of the cache, over all resolvers that share it.
	Cache cache.Stats `json:"cache"`

	// Questions counts the well-formed questions asked by any method. A look-up of both
	// address families is two.
	Questions uint64 `json:"questions"`
	// FromCache counts those answered from the cache, locally or with stale data, whether
	// or not a server was asked first.
	FromCache uint64 `json:"from_cache"`
	// Stale counts those answered with expired data (Options.ServeStale and ServeStaleOverBogus).
	Stale uint64 `json:"stale"`
	// StaleOverBogus counts those of Stale whose new data was bogus (Options.ServeStaleOverBogus): of one
	// zone, as in an outage of a top-level domain, or of all, as when a clock is wrong.
	StaleOverBogus uint64 `json:"stale_over_bogus"`
	// Failures counts the questions that failed, by FailureReason.
	Failures map[FailureReason]uint64 `json:"failures"`

	// SentUDP and SentTCP count the queries sent to servers, retries included, but not
	// those that never left this host. Every call of an Options.Exchanger counts as sent.
	SentUDP uint64 `json:"sent_udp"`
	SentTCP uint64 `json:"sent_tcp"`
	// SentTLS counts those of SentTCP that went over DNS over TLS: to servers of Options.RequireTLS, and
	// of routes.
	SentTLS uint64 `json:"sent_tls"`
	// Received counts the bytes of the replies to them, malformed ones included.
	Received uint64 `json:"received_octets"`
	// TimedOut counts the queries without a reply in time.
	TimedOut uint64 `json:"timed_out"`

	// Limits counts how often each limit refused something, by the name of its field in
	// Limits. For limits that make questions wait, it counts those that waited in vain or
	// were shed; for those that leave something out (AddressesPerServer, Minimised,
	// NSEC3Iterations), how often that was. The bounds of messages that LimitError lists
	// are among the keys.
	Limits map[string]uint64 `json:"limits"`
	// Dropped counts the messages that arrived at our sockets, or over our connections, and
	// were not accepted as replies, by DropReason. Many that are almost right mean that
	// somebody forges replies.
	Dropped map[DropReason]uint64 `json:"dropped"`
	// LeftOut counts the replies of which something was left out, because they had more of
	// it than is kept, by Excess. The question goes on with the rest.
	LeftOut map[Excess]uint64 `json:"left_out"`
	// Bogus counts the responses that failed validation, by the text of the reason
	// (dnssec.ReasonCode).
	Bogus map[string]uint64 `json:"bogus"`

	// Prefetched counts the entries that were fetched again before they expired,
	// PrefetchFailed those for which that failed, and PrefetchDropped those that were not
	// tried, since the limit of prefetches or Limits.Questions was reached.
	Prefetched      uint64 `json:"prefetched"`
	PrefetchFailed  uint64 `json:"prefetch_failed"`
	PrefetchDropped uint64 `json:"prefetch_dropped"`

	// SecondLevel are the counts of Options.SecondLevel; zero without one.
	SecondLevel SecondLevelStats `json:"second_level"`

	// Anchors are the counts of Options.AnchorStore; zero without one.
	Anchors AnchorStats `json:"anchors"`

	// LocalRoot are the counts of Options.LocalRoot; zero without one.
	LocalRoot LocalRootStats `json:"local_root"`

	// FromFallback counts the questions answered by Options.Fallback, or from its cached data.
	FromFallback uint64 `json:"from_fallback"`
	// Network is what this network lets through to the root servers, as far as known; TurnsToTCP and
	// TurnsToClosed count how often that changed to NetworkOnlyTCP and NetworkClosed.
	Network       Network `json:"network"`
	TurnsToTCP    uint64  `json:"turns_to_tcp"`
	TurnsToClosed uint64  `json:"turns_to_closed"`

	// InFlight is how many questions are being searched now, Prefetching how many
	// prefetches are under way, Refreshing how many questions are being worked on in the
	// background whose clients got expired answers, and Queued how many queries to ServeDNS
	// wait for Limits.Questions.
	InFlight    int `json:"in_flight"`
	Prefetching int `json:"prefetching"`
	Refreshing  int `json:"refreshing"`
	Queued      int `json:"queued"`
	// Sockets and Connections are how many UDP sockets and TCP connections to servers are
	// open; 0 with an Options.Exchanger, which has its own.
	Sockets     int `json:"sockets"`
	Connections int `json:"connections"`
	// Servers is how many server addresses the resolver remembers something about.
	Servers int `json:"servers"`
}

// Network says in one word what a network lets through to the root servers. It changes when
// several of them, and several questions, have shown the same, and is forgotten after 15 minutes
// without confirmation, or when this host gets another address.
type Network string

// What a network lets through.
const (
	// NetworkOpen: UDP, or nothing else is known. Servers are asked over UDP, and over TCP where a
	// reply needs it.
	NetworkOpen Network = "open"
	// NetworkOnlyTCP: UDP to the root servers is dropped, or answered by something else, and TCP reaches
	// them. All servers that delegations lead to are asked over TCP; one query over UDP tests whether that
	// is still so, after 30 s at first and later every 8 minutes, and three successes end it.
	NetworkOnlyTCP Network = "tcp"
	// NetworkClosed: neither UDP nor TCP reaches a root server (ErrBlocked, ErrIntercepted), or something
	// answers in their place over both, which makes everything bogus. One query every 15 s tests whether that
	// is still so, and three successes end it.
	NetworkClosed Network = "closed"
)

// networks lists them all. It never changes.
var networks = [...]Network{reach.Open: NetworkOpen, reach.OverTCP: NetworkOnlyTCP, reach.Closed: NetworkClosed}

// DropReason says in one word why a message that arrived was not accepted as a reply.
type DropReason string

// The reasons why a message is not accepted as a reply.
const (
	// DroppedForeign: not a response, or one to another question.
	DroppedForeign DropReason = "foreign"
	// DroppedID: right except for the ID. The question moves to TCP.
	DroppedID DropReason = "id"
	// DroppedCase: right except for the letter case of the question.
	DroppedCase DropReason = "case"
	// DroppedCookie: right except for the cookie that the server is known to send.
	DroppedCookie DropReason = "cookie"
	// DroppedReferral: a referral to a zone at a name that is known to be no zone cut.
	DroppedReferral DropReason = "referral"
	// DroppedMalformed: a reply to our query, but malformed or beyond the bounds of
	// messages.
	DroppedMalformed DropReason = "malformed"
)

// dropReasons lists them all. It never changes.
var dropReasons = [budget.DropReasons]DropReason{
	budget.DroppedForeign:   DroppedForeign,
	budget.DroppedID:        DroppedID,
	budget.DroppedCase:      DroppedCase,
	budget.DroppedCookie:    DroppedCookie,
	budget.DroppedReferral:  DroppedReferral,
	budget.DroppedMalformed: DroppedMalformed,
}

// Excess says in one word what a reply had more of than is kept.
type Excess string

// The things that replies may have too many of.
const (
	// ExcessServers: more than 13 name servers of a delegation; 13 are picked at random.
	ExcessServers Excess = "servers"
	// ExcessGlue: more than six addresses for one of them.
	ExcessGlue Excess = "glue"
	// ExcessSignatures: more than 16 signatures over one RRset.
	ExcessSignatures Excess = "signatures"
	// ExcessDenials: more than ten NSEC or NSEC3 records.
	ExcessDenials Excess = "denials"
	// ExcessTypes: more than 24 RRsets in an answer to ANY.
	ExcessTypes Excess = "types"
	// ExcessAliases: more than 11 links of an alias chain; the next one is asked for.
	ExcessAliases Excess = "aliases"
	// ExcessRecords: more than Limits.Records in an RRset that does not answer the question;
	// none of it is kept.
	ExcessRecords Excess = "records"
)

// excesses lists them all. It never changes.
var excesses = [budget.Excesses]Excess{
	budget.ExcessServers:    ExcessServers,
	budget.ExcessGlue:       ExcessGlue,
	budget.ExcessSignatures: ExcessSignatures,
	budget.ExcessDenials:    ExcessDenials,
	budget.ExcessTypes:      ExcessTypes,
	budget.ExcessAliases:    ExcessAliases,
	budget.ExcessRecords:    ExcessRecords,
}

// Stats returns the counts of what the resolver has done and is doing. It takes the lock of
// each shard of the cache, so call it once a second rather than once a question.
func (r *Resolver) Stats() Stats {
	c := &r.env.Counts
	s := Stats{
		Cache:     r.config.Cache.Stats(),
		Questions: c.Questions.Sum(), FromCache: c.FromCache.Sum(), Stale: c.Stale.Load(), StaleOverBogus: c.StaleOverBogus.Load(),
		Failures: make(map[FailureReason]uint64),
		SentUDP:  c.SentUDP.Load(), SentTCP: c.SentTCP.Load(), SentTLS: c.SentTLS.Load(), Received: c.Received.Load(), TimedOut: c.TimedOut.Load(),
		Limits: make(map[string]uint64, len(limits.Table)), Dropped: make(map[DropReason]uint64, len(dropReasons)),
		LeftOut: make(map[Excess]uint64, len(excesses)), Bogus: make(map[string]uint64, len(c.Bogus)),
		Prefetched: c.Prefetched.Load(), PrefetchFailed: c.PrefetchFailed.Load(), PrefetchDropped: c.PrefetchDropped.Load(),
		SecondLevel: r.SecondLevelStats(), LocalRoot: r.localRootStats(),
		Servers: r.routes.KnownServers(),
	}
	if r.anchors != nil {
		s.Anchors = AnchorStats(r.anchors.Counts())
	}
	s.FromFallback = c.FromFallback.Load()
	s.Network = networks[r.iterate.Network.Way(r.config.Now())]
	s.TurnsToTCP, s.TurnsToClosed = r.iterate.Network.Counts()
	s.InFlight, s.Prefetching, s.Refreshing, s.Queued = r.mesh.UnderWay()
	s.Sockets, s.Connections = r.upstream.Open()
	s.Connections += r.routes.Connections()
	for k, reason := range failureReasons {
		if reason != "" {
			s.Failures[reason] += c.Failures[k].Load()
		}
	}
	for l := limits.Unknown + 1; int(l) < len(limits.Table); l++ {
		s.Limits[l.String()] = c.LimitsReached[l].Load()
	}
	for i, reason := range dropReasons {
		s.Dropped[reason] = c.Dropped[i].Load()
	}
	for i, what := range excesses {
		s.LeftOut[what] = c.LeftOut[i].Load()
	}
	for code := dnssec.ReasonNoSignature; code <= dnssec.ReasonUnavailable; code++ {
		s.Bogus[code.String()] = c.Bogus[code].Load()
	}
	return s
}

// AnchorStats are the counts of the trust anchors in Options.AnchorStore.
type AnchorStats struct {
	Refreshed     uint64 `json:"refreshed"`      // times that a zone's keys were asked for and taken in
	RefreshFailed uint64 `json:"refresh_failed"` // times that they could not be had, did not validate, or left none to trust
	StoreFailed   uint64 `json:"store_failed"`   // times that the store could not be read or written
	// How many keys there are now, over all zones: trusted, seen but not yet for long enough, and
	// revoked by their owners.
	Trusted int `json:"trusted"`
	Pending int `json:"pending"`
	Revoked int `json:"revoked"`
	// Unsaved is set while the store does not have the latest state yet.
	Unsaved bool `json:"unsaved"`
}

// KnownServer is what a resolver remembers of one server address. It expires: features that
// are missing after 15 minutes, cookies after an hour.
type KnownServer struct {
	Addr netip.AddrPort
	// Route is the zone of the route (Options.Routes) whose server it is; "" for an authoritative
	// server that delegations led to.
	Route string
	// RTT is its smoothed round-trip time, or 0 when it has not answered within a quarter of an hour;
	// Measured is when it was measured last, by Options.Now; zero: never.
	RTT      time.Duration
	Measured time.Time
	// Timeouts is how many queries were lost after its last reply.
	Timeouts int
	// Down is set while it is marked down: after three or more lost queries in a row, it gets no query
	// before DownTill, except a probe when no other server is left.
	Down     bool
	DownTill time.Time
	// EDNS is set when it has answered with EDNS, NoEDNS while it is assumed not to support EDNS (RFC 6891
	// §7). Neither: that is not known.
	EDNS, NoEDNS bool
	// NoOption is set while it is assumed to refuse EDNS options, and NoCase while it is assumed not to
	// echo, or to refuse, mixed letter case.
	NoOption, NoCase bool
	// Cookies is set while its replies must have a cookie, as earlier ones had (RFC 7873 §5.3).
	Cookies bool
}

// WalkServers shows every server that the resolver remembers something about to visit, until that
// returns false, in no particular order; at most 50,000, and as many for each route. No lock is held while visit runs; what changes
// meanwhile may be shown or not.
func (r *Resolver) WalkServers(visit func(KnownServer) bool) {
	r.routes.WalkServers(func(zone string, s infra.Server) bool {
		k := KnownServer{
			Addr: s.Addr, Route: zone, Measured: s.Measured, Timeouts: s.Timeouts, Down: s.Dead, DownTill: s.DownTill,
			EDNS: s.EDNS, NoEDNS: s.NoEDNS, NoOption: s.NoOption, NoCase: s.NoCase, Cookies: s.Cookies,
		}
		if s.Known {
			k.RTT = s.RTT
		}
		return visit(k)
	})
}

// SecondLevelStats counts the uses of Options.SecondLevel. The counts only grow, and are not
// taken at one moment.
type SecondLevelStats struct {
	Hits        uint64 `json:"hits"`         // values that were read and whose seal was right
	Misses      uint64 `json:"misses"`       // there was none, or it had expired
	Errors      uint64 `json:"errors"`       // reads that failed or took too long
	Skipped     uint64 `json:"skipped"`      // reads not made: the store does not work, gave bogus data, or is too slow for the question
	Refused     uint64 `json:"refused"`      // values that are damaged, of another key, or no valid reply to the question
	Bogus       uint64 `json:"bogus"`        // answers that used values from the store and turned out bogus
	Writes      uint64 `json:"writes"`       // values stored
	WriteErrors uint64 `json:"write_errors"` // writes that failed
	Dropped     uint64 `json:"dropped"`      // writes not made: the queue was full, or the store does not work
}

// SecondLevelStats returns the counts since New; zero without Options.SecondLevel. Stats has
// them too; this method collects nothing else, and takes no locks.
func (r *Resolver) SecondLevelStats() SecondLevelStats {
	return SecondLevelStats(r.iterate.SecondLevelStats())
}
