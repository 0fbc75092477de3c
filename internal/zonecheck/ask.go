package zonecheck

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/iterate"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/rescue"
	"github.com/iterdns/iterdns/internal/routes"
	"github.com/iterdns/iterdns/internal/slist"
	"github.com/iterdns/iterdns/internal/upstream"
	"github.com/iterdns/iterdns/internal/wire"
)

const (
	// triesPerAddr is how often one address is asked one question until it answers: as often as in
	// a search (Limits.SendsPerServer), one packet in ten lost makes one answer in a thousand
	// missing.
	triesPerAddr = 3
	// sendsPerAddr is how many queries one address may get in one round: two questions, each over
	// two transports.
	sendsPerAddr = 2 * 2 * triesPerAddr
	// bytesPerRound is how many times Limits.Bytes the replies of one round may have, since
	// MaxAddrs servers say the same. A reply of 4 KiB from each fits.
	bytesPerRound = 4
)

// Round is what all servers of a zone say to one question. It is shared and not changed.
type Round struct {
	Q       answer.Question
	Zone    dnsname.Name
	Replies []*Reply
	Omitted int // name servers and addresses beyond MaxNames and MaxAddrs
}

// Reply is what one server says.
type Reply struct {
	Server
	Kind     answer.Kind
	HasKind  bool // there was a reply that can be classified
	Rcode    int
	AA       bool
	Lame     bool
	Sets     []*dnssec.RRset // the records asked for, or the alias
	SOA      *dnssec.RRset   // of the zone; nil: the server has not sent one
	RTT      time.Duration
	Network  string // "": there was no reply
	NSID     []byte
	Extended []failure.ExtendedError
}

// Answered reports whether the server has answered as one of the zone does.
func (r *Reply) Answered() bool { return r.HasKind && r.Err == nil && !r.Lame && r.Kind.Final() }

// Ask puts a question to every server of a zone, each once, and asks each for the zone's SOA too, if
// the answer has none. Equal rounds share one, and none begins sooner after the last than rounds
// allow.
func (c *Checker) Ask(ctx context.Context, st *iterate.QueryState, z *Zone, q answer.Question) (*Round, error) {
	switch {
	case z.Local:
		return nil, fmt.Errorf("%w: %s is answered by this resolver itself", failure.ErrNoZone, z.Apex)
	case !q.Name.IsAtOrBelow(z.Apex):
		return nil, fmt.Errorf("%w: %s is not below %s", failure.ErrOutsideZone, q.Name, z.Apex)
	}
	key := fmt.Sprintf("round %p %d %s", z, q.Type, string(q.Name))
	var asked askedServers
	v, err := c.mesh.Work(ctx, st, key, asked.unanswered, func(ctx context.Context, st *iterate.QueryState) (any, error) {
		if err := c.rounds.wait(ctx, z.Apex, q); err != nil {
			return nil, err
		}
		return c.round(ctx, st, z, q, &asked)
	})
	if err != nil {
		return nil, err
	}
	return v.(*Round), nil
}

// round is one round: the addresses are looked for within the budget of the question, and asked
// within one that the number of addresses bounds.
func (c *Checker) round(ctx context.Context, st *iterate.QueryState, z *Zone, q answer.Question, asked *askedServers) (*Round, error) {
	found := c.iterate.ClosestCut(st, answer.Question{Name: z.Apex, Type: dns.TypeNS})
	servers, omitted := c.serversOf(ctx, st, z, &found)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	cut := found
	if !found.IsRoute() {
		cut = routes.ZoneCut{Delegation: &glue.Delegation{Zone: z.Apex}, Source: found.Source, Signed: z.DS != nil}
	}
	part := st.Budget.Part(roundLimits(st.Budget.Limits))
	all := &Round{Q: q, Zone: z.Apex, Omitted: omitted}
	var ended sync.WaitGroup
	aborted := make([]error, len(servers))
	asked.begin(z.Apex, servers)
	for i, s := range servers {
		r := &Reply{Server: *s}
		all.Replies = append(all.Replies, r)
		if r.Err != nil {
			continue
		}
		one := st.Beside(q, cache.Unchecked, nil)
		one.Budget = part
		ended.Add(1)
		c.Spawn(func() {
			defer ended.Done()
			defer asked.done(r.Addr)
			aborted[i] = rescue.ErrAborted
			defer rescue.Into(&aborted[i])
			c.askOne(ctx, one, &cut, q, r)
			aborted[i] = nil
		})
	}
	ended.Wait()
	st.Budget.AddPart(part)
	for i, err := range aborted {
		rescue.Again(err)
		if err != nil {
			all.Replies[i].Err = err
		}
	}
	return all, nil
}

// askedServers is which servers of a round are waited for, for callers that do not wait any longer.
type askedServers struct {
	mu     sync.Mutex // guards what follows
	zone   dnsname.Name
	all    []netip.AddrPort
	silent []netip.AddrPort // those of them that are waited for
}

// begin notes the servers that are asked at the same time.
func (a *askedServers) begin(zone dnsname.Name, servers []*Server) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.zone = zone
	for _, s := range servers {
		if s.Err == nil {
			a.all = append(a.all, s.Addr)
		}
	}
	a.silent = slices.Clone(a.all)
}

// done notes that a server is not waited for any longer.
func (a *askedServers) done(server netip.AddrPort) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.silent = slices.DeleteFunc(a.silent, func(s netip.AddrPort) bool { return s == server })
}

// unanswered returns what the round waits for; nil: for no server.
func (a *askedServers) unanswered() *failure.ZoneError {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.silent) == 0 {
		return nil
	}
	return &failure.ZoneError{Zone: a.zone, Servers: slices.Clone(a.all), Err: &failure.PendingError{
		Servers: slices.Clone(a.silent), Asked: len(a.all), Known: len(a.all),
	}}
}

// roundLimits returns the limits of asking all servers of a zone.
func roundLimits(of *limits.Limits) *limits.Limits {
	l := *of
	l.Sends = MaxAddrs * sendsPerAddr
	l.Bytes = min(of.Bytes, limits.None/bytesPerRound) * bytesPerRound
	return &l
}

// askOne asks one server, and for the zone's SOA if the answer has none.
func (c *Checker) askOne(ctx context.Context, st *iterate.QueryState, cut *routes.ZoneCut, q answer.Question, r *Reply) {
	o := c.exchange(ctx, st, cut, q, &r.Server)
	r.take(o, q, cut)
	zone := answer.Question{Name: cut.Zone, Type: dns.TypeSOA}
	if r.SOA != nil || !r.Answered() || cut.Source.Forwards() || q == zone {
		return
	}
	if o = c.exchange(ctx, st, cut, zone, &r.Server); o.Reply != nil {
		r.SOA = soaOf(o.Reply, cut.Zone)
	}
}

// exchange asks one server until it answers, or has been silent too often: once if it was silent
// before and is marked down.
func (c *Checker) exchange(ctx context.Context, st *iterate.QueryState, cut *routes.ZoneCut, q answer.Question, s *Server) upstream.Result {
	to := &slist.Server{Addr: s.Addr, Name: s.Names[0], WaitLonger: true, OnlyChoice: true}
	if s.forwarder != nil {
		to.Forwarder, to.Guard = s.forwarder.Forwarder, s.forwarder.Guard
	}
	tries := min(triesPerAddr, c.Settings.Limits.SendsPerServer)
	for {
		to.Tries++
		to.LastTry = to.Tries == tries
		to.Expect(c.Settings.Now(), cut.Source.Infra)
		o := c.iterate.AskServer(ctx, st, cut, q, to)
		spoilt := o.UDPSpoilt && !to.UDPSpoilt
		to.UDPSpoilt = to.UDPSpoilt || o.UDPSpoilt
		if to.Tries == tries || !o.TimedOut && !o.Unsent && !spoilt || to.Estimate.Dead && !o.Unsent || ctx.Err() != nil {
			return o
		}
	}
}

// take takes in what came of asking.
func (r *Reply) take(o upstream.Result, q answer.Question, cut *routes.ZoneCut) {
	r.Err, r.RTT, r.Network = o.Err, o.RTT, o.Network
	m := o.Reply
	if m == nil {
		if r.Err == nil {
			r.Err = failure.ErrNoReachableServer
		}
		return
	}
	r.HasKind = true
	r.Kind, r.Rcode, r.AA, r.Sets = m.Kind, m.Rcode, m.AA, m.Answer
	if m.Kind == answer.KindAlias {
		for _, step := range m.Aliases[:1] {
			r.Sets = []*dnssec.RRset{step.Set}
		}
	}
	r.Lame = isLame(m, cut)
	r.SOA = soaOf(m, cut.Zone)
	if message, err := wire.Parse(m.Wire); err == nil && message.EDNS != nil {
		r.NSID = message.EDNS.NSID
		for _, e := range message.EDNS.Errors {
			r.Extended = append(r.Extended, failure.ExtendedError(e))
		}
	}
}

// isLame reports whether a reply shows that its server does not serve the zone: it refuses, refers
// upward, or does not say that it has authority (RFC 9499 §7, RFC 1912 §2.8).
func isLame(m *upstream.Reply, cut *routes.ZoneCut) bool {
	switch m.Kind {
	case answer.KindLame, answer.KindRecursive:
		return true
	case answer.KindAnswer, answer.KindAlias, answer.KindNoData, answer.KindNameError:
		return !m.AA && !cut.Source.Forwards()
	case answer.KindReferral, answer.KindUnusable:
	}
	return false
}

// soaOf returns the SOA of a zone in a reply, in the answer or beside a denial.
func soaOf(m *upstream.Reply, zone dnsname.Name) *dnssec.RRset {
	for _, set := range m.Answer {
		if set.Type == dns.TypeSOA && set.Owner == zone {
			return set
		}
	}
	if m.SOA != nil && m.SOA.Owner == zone {
		return m.SOA
	}
	return nil
}

// TTL returns the TTL of the records, or for how long the denial may be kept.
func (r *Reply) TTL() time.Duration {
	ttl := answer.NegativeTTL(r.SOA)
	for i, set := range r.Sets {
		if i == 0 || set.TTL < ttl {
			ttl = set.TTL
		}
	}
	return time.Duration(ttl) * time.Second
}

// Serial returns the serial of the zone at the server; false: it is not known.
func (r *Reply) Serial() (uint32, bool) {
	if r.SOA == nil {
		return 0, false
	}
	for rdata := range r.SOA.Records.All() {
		if soa, ok := wire.ParseSOA(rdata); ok {
			return soa.Serial, true
		}
	}
	return 0, false
}
