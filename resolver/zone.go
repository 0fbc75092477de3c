package resolver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/iterate"
	"github.com/iterdns/iterdns/internal/zonecheck"
)

// FindZoneOptions says how FindZone searches. The zero value is the usual way.
type FindZoneOptions struct {
	// FollowAliases finds the zone of the name that the aliases (CNAME, DNAME) lead to, whose records are
	// the ones that count: for the TXT of an ACME challenge, RFC 8555 §8.4. Without it the zone is the one
	// that has the alias.
	FollowAliases bool
	// WithoutCache asks servers for everything except the delegations and keys of the root and of top-level
	// domains. Answers, denials, failures and delegations cached before are ignored; what is learnt
	// replaces them.
	WithoutCache bool
}

// Zone is the zone that holds a name, as its parent and its own servers describe it. It belongs to the
// caller, who may change it; AskServers uses what FindZone has found.
type Zone struct {
	// Name is the name that the zone holds, absolute and in lower case: the one asked for, or, with
	// FollowAliases, the one that its aliases lead to.
	Name string
	// Apex is the name of the zone. With a Problem it may be that of a zone above, the deepest one that the
	// search reached.
	Apex string
	// Parent is the zone above; "" for the root and local zones, and when its servers do not answer.
	Parent string
	// Local is set for names that the resolver answers itself, without a query: special-use names
	// (RFC 6761, RFC 6303), unless DisableLocalZones is set, and Options.LocalZones. Such a zone
	// has a Name, an Apex and an SOA only.
	Local bool
	// Missing is set when the zone denies that Name exists (NXDOMAIN); it may still be added.
	Missing bool
	// Aliases are those of the name asked for: the one that it owns, or, with FollowAliases, all that lead
	// to Name, in order.
	Aliases []ZoneAlias
	// Delegation is the parent's referral: name servers, at most 13 (picked at random), with their glue.
	// Nil for the root, and when the parent's servers do not answer, or serve the zone too and so never
	// refer to it.
	Delegation *glue.Delegation
	// DS are the DS records at the parent (RFC 4034 §5). Nil: none.
	DS []*dns.DS
	// NS, DNSKEY and SOA are the zone's own records. Nil: it has none, or its servers do not answer.
	NS     []*dns.NS
	DNSKEY []*dns.DNSKEY
	SOA    *dns.SOA
	// Status is that of the zone's data about its apex: Secure; Insecure, when it is proven to be unsigned;
	// Bogus, when that data, or the data about the name, fails validation; Indeterminate when nothing is
	// validated or its servers do not answer.
	Status dnssec.Status
	// Extended says why the zone has a Problem (RFC 8914). Zero: it has none.
	Extended ExtendedError
	// Problem is what is wrong with the zone: mainly that its data is bogus, its servers do not answer, or
	// they deny the apex (ErrZoneDenied). Nil: nothing was found. It is an *Error.
	Problem error

	found *zonecheck.Zone
}

// ZoneAlias is an alias on the way to the name of a zone.
type ZoneAlias struct {
	From, To string // To is "" where a DNAME makes it too long (RFC 6672 §2.2)
	DNAME    bool
}

// FindZone finds the zone that holds a name, by the referrals on the way to it and by what servers
// answer or deny with, also where they serve parent and child and so never refer. A name that begins a
// zone is held by that zone, not by its parent. The name need not exist.
//
// That the zone is bogus, or that its servers do not answer, is no error: its Zone says so, and has
// the delegation. The error, an *Error, is that there is no such name (ErrName), that the work ended
// before the zone was known (a *LimitError, a context's error), or that no servers of a zone above
// were found to ask. FindZone works within the Limits of one question, in a slot of Limits.Questions,
// over the routes that the names have, and calls the hooks of a Trace, but not Options.Hooks. Equal
// calls at the same time are worked on once.
func (r *Resolver) FindZone(ctx context.Context, name string, o FindZoneOptions) (*Zone, error) {
	var zone *Zone
	err := r.aboutZone(ctx, name, dns.TypeSOA, func(st *iterate.QueryState, q answer.Question) (fromCache bool, err error) {
		found, err := r.zones.Find(ctx, st, q.Name, zonecheck.Options(o))
		if err != nil {
			return false, err
		}
		zone, err = newZone(found, q)
		return !found.Queries, err
	})
	return zone, err
}

// aboutZone is the frame of a question about a zone: its name and type, its trace, its counts and
// its error.
func (r *Resolver) aboutZone(ctx context.Context, name string, qtype uint16, work func(*iterate.QueryState, answer.Question) (bool, error)) error {
	n, err := dnsname.Parse(name)
	if err != nil {
		return wrap(dns.Question{Name: name, Qtype: qtype, Qclass: dns.ClassINET}, fmt.Errorf("%w: %w", ErrName, err))
	}
	q := answer.Question{Name: n, Type: qtype}
	if answer.IsMeta(qtype) {
		return wrap(q.Public(), ErrMetaType)
	}
	if err := r.ready(ctx, q); err != nil {
		return err
	}
	return r.traced(ctx, q, cache.Checked, func(st *iterate.QueryState) (*Result, error) {
		fromCache, err := work(st, q)
		if err != nil {
			return nil, wrap(q.Public(), err)
		}
		st.FromCache = fromCache
		return &Result{Question: q.Public(), FromCache: fromCache}, nil
	})
}

// newZone makes a Zone of one that was found.
func newZone(z *zonecheck.Zone, q answer.Question) (*Zone, error) {
	zone := &Zone{
		Name: z.Name.String(), Apex: z.Apex.String(), Local: z.Local, Missing: z.Missing,
		Status: z.Status, Extended: ExtendedError(z.Extended), found: z,
	}
	if z.Parent != "" {
		zone.Parent = z.Parent.String()
	}
	if z.Problem != nil {
		zone.Problem = wrap(q.Public(), z.Problem)
	}
	for _, step := range z.Aliases {
		alias := ZoneAlias{From: step.From.String(), DNAME: step.IsDNAME()}
		if !step.TooLong {
			alias.To = step.To.String()
		}
		zone.Aliases = append(zone.Aliases, alias)
	}
	if d := z.Delegation; d != nil {
		own := *d
		own.Servers = slices.Clone(d.Servers)
		for i, s := range own.Servers {
			own.Servers[i].Addrs = slices.Clone(s.Addrs)
		}
		zone.Delegation = &own
	}
	soa, err := typedRecords[*dns.SOA](z.SOA)
	if len(soa) > 0 {
		zone.SOA = soa[0]
	}
	for _, part := range []error{
		err, fillIn(&zone.DS, z.DS), fillIn(&zone.NS, z.NS), fillIn(&zone.DNSKEY, z.DNSKEY),
	} {
		if part != nil {
			return nil, part
		}
	}
	return zone, nil
}

// fillIn decodes the records of a set into a field.
func fillIn[RR dns.RR](field *[]RR, set *dnssec.RRset) (err error) {
	*field, err = typedRecords[RR](set)
	return err
}

// typedRecords decodes the records of a type of a set, which may be nil.
func typedRecords[RR dns.RR](set *dnssec.RRset) (records []RR, err error) {
	if set == nil {
		return nil, nil
	}
	all, err := set.AppendRRs(nil, min(set.TTL, answer.MaxTTL), false)
	for _, rr := range all {
		if typed, ok := rr.(RR); ok {
			records = append(records, typed)
		}
	}
	return records, err
}

// ServerAnswers is what all servers of a zone answer to one question, at one time.
type ServerAnswers struct {
	Question dns.Question
	Zone     string // its apex
	// Servers has one entry for each address of a name server, and for each name server without
	// one, in the order in which parent and zone name them.
	Servers []ServerAnswer
	// Omitted counts name servers beyond 26, and addresses beyond 64, that were not asked.
	Omitted int
}

// ServerAnswer is what one server says.
type ServerAnswer struct {
	Addr  netip.AddrPort // zero: none of Names has an address, as Err says
	Names []string       // the name servers that have the address
	// InParent is set where the delegation names one of Names, InZone where the zone's own NS
	// records do, Glue where the address came with the delegation, OwnAddr where it was looked up.
	InParent, InZone, Glue, OwnAddr bool
	// Kind is the kind of response, as in ResponseInfo; "" when there was none.
	Kind  string
	Rcode int
	AA    bool // it says that it has authority
	// Lame is set for a server that does not serve the zone: it refuses, refers upward, or answers
	// without authority.
	Lame bool
	// Answer is what was asked for, or the CNAME or DNAME instead, without signatures. Nothing is
	// validated.
	Answer []dns.RR
	// TTL is that of Answer, or how long a denial may be kept (RFC 2308 §5).
	TTL time.Duration
	// Serial is that of the zone's SOA, which is asked for if the answer has none. HasSerial is false if
	// the server has not sent it.
	Serial    uint32
	HasSerial bool
	RTT       time.Duration   // of the query that was answered
	Network   string          // that it was answered over: "udp" or "tcp", or one of a route; "": none
	NSID      string          // the server's identity (RFC 5001), which may hold any bytes: see Printable; "": none
	Extended  []ExtendedError // RFC 8914; nil: none
	// Err is why there is no answer, or why the address was not asked: ErrServerNotAllowed for private and
	// other addresses that may not be asked (Options.AllowServer), or are of a family that is not used.
	Err error
}

// AskServers asks every address of every server of a zone directly, in parallel, and never the cache: those
// that the parent's delegation names, and those that the zone itself names. It looks up their addresses.
// Each address is asked once, however many names it has; a silent one is asked up to three times, and one
// known to be down once. Silence, lame servers and errors are entries of the result. The name has to be at
// or below zone.Apex, and zone must come from this resolver's FindZone.
//
// Looking up addresses is bounded by the Limits of one question, and asking by 26 name servers, 64
// addresses and Limits.Time. The same question is sent to a zone's servers at most once a second, and a
// different one 50 ms later at the earliest: a call waits for that. The error, an *Error, wraps
// ErrOutsideZone, ErrNoZone for a local zone or one not from FindZone, or the reason why the work ended
// before servers were asked. Within a route (Options.Routes) its servers are asked.
func (r *Resolver) AskServers(ctx context.Context, zone *Zone, name string, qtype uint16) (*ServerAnswers, error) {
	var answers *ServerAnswers
	err := r.aboutZone(ctx, name, qtype, func(st *iterate.QueryState, q answer.Question) (bool, error) {
		if zone == nil || zone.found == nil {
			return false, fmt.Errorf("%w: FindZone has not returned it", ErrNoZone)
		}
		round, err := r.zones.Ask(ctx, st, zone.found, q)
		if err == nil {
			answers, err = newServerAnswers(round)
		}
		return false, err
	})
	return answers, err
}

// errNotAsWanted is beside the end of a context that ended WaitFor after a round.
var errNotAsWanted = errors.New("the zone's servers did not all answer as wanted")

// WaitFor asks the servers of a zone as AskServers does, again and again, until done returns true for their
// answers (a change has reached all of them), or ctx or the resolver ends. Between the rounds it waits for
// 2 s, and twice as long each time, up to 30 s, and for at most an hour in all. It returns the answers of the
// last round, also with an error, to see which servers do not have the change; nil if there was none. Rounds
// that fail by a limit are repeated.
func (r *Resolver) WaitFor(ctx context.Context, zone *Zone, name string, qtype uint16, done func(*ServerAnswers) bool) (*ServerAnswers, error) {
	ctx, cancel := context.WithTimeout(ctx, zonecheck.WaitInAll)
	defer cancel()
	var last *ServerAnswers
	for wait := zonecheck.NextWait(0); ; wait = zonecheck.NextWait(wait) {
		answers, err := r.AskServers(ctx, zone, name, qtype)
		switch {
		case err == nil:
			last = answers
			if done(answers) {
				return answers, nil
			}
		case ctx.Err() != nil && last != nil:
			return last, notAsWanted(err)
		case ctx.Err() != nil || !failure.Of(err).Has(failure.OwnMeans):
			return last, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-r.env.Base.Done():
			timer.Stop() // the next round says so
		case <-ctx.Done():
			timer.Stop()
			q := dns.Question{Name: dns.CanonicalName(name), Qtype: qtype, Qclass: dns.ClassINET}
			err = wrap(q, context.Cause(ctx))
			if last != nil {
				err = notAsWanted(err)
			}
			return last, err
		}
	}
}

// notAsWanted returns the error of a wait that a context ended after a round, within the next one or
// before it.
func notAsWanted(err error) error {
	told, ok := errors.AsType[*Error](err)
	if !ok || errors.Is(err, ErrClosed) {
		return err
	}
	of := *told
	if p := pendingOf(told); p != nil {
		pending := *p
		pending.Err = fmt.Errorf("%w: %w", errNotAsWanted, p.Err)
		of.Err = &pending
	} else {
		of.Err = fmt.Errorf("%w: %w", errNotAsWanted, told.Err)
	}
	return &of
}

// newServerAnswers makes ServerAnswers of a round.
func newServerAnswers(round *zonecheck.Round) (*ServerAnswers, error) {
	all := &ServerAnswers{Question: round.Q.Public(), Zone: round.Zone.String(), Omitted: round.Omitted}
	for _, reply := range round.Replies {
		s := ServerAnswer{
			Addr: reply.Addr, InParent: reply.InParent, InZone: reply.InZone, Glue: reply.Glue, OwnAddr: reply.OwnAddr,
			Rcode: reply.Rcode, AA: reply.AA, Lame: reply.Lame, TTL: reply.TTL(),
			RTT: reply.RTT, Network: reply.Network, NSID: string(reply.NSID),
			Extended: convertExtended[ExtendedError](reply.Extended), Err: shown(reply.Err),
		}
		if reply.Network != "" && reply.HasKind {
			s.Kind = reply.Kind.String()
		}
		for _, n := range reply.Names {
			s.Names = append(s.Names, n.String())
		}
		for _, set := range reply.Sets {
			rrs, err := typedRecords[dns.RR](set)
			if err != nil {
				return nil, err
			}
			s.Answer = append(s.Answer, rrs...)
		}
		s.Serial, s.HasSerial = reply.Serial()
		all.Servers = append(all.Servers, s)
	}
	return all, nil
}

// Answered reports whether the server has answered as a server of the zone.
func (s *ServerAnswer) Answered() bool { return s.Kind != "" && s.Err == nil && !s.Lame }

// HasTXT reports whether the answer has a TXT record whose strings, joined, are value.
func (s *ServerAnswer) HasTXT(value string) bool {
	return slices.ContainsFunc(s.Answer, func(rr dns.RR) bool {
		txt, ok := rr.(*dns.TXT)
		return ok && strings.Join(txt.Txt, "") == value
	})
}

// Every reports whether at least one server has answered as a server of the zone, and is returns true for
// each that has. Silent and lame servers do not count, since resolvers pass over them.
func (a *ServerAnswers) Every(is func(*ServerAnswer) bool) bool {
	any := false
	for i := range a.Servers {
		s := &a.Servers[i]
		if !s.Answered() {
			continue
		}
		if any = true; !is(s) {
			return false
		}
	}
	return any
}

// Agree reports whether all servers that have answered as servers of the zone say the same, apart from TTLs
// and the order of records, and have the same serial where it is known.
func (a *ServerAnswers) Agree() bool {
	var first []string
	same := a.Every(func(s *ServerAnswer) bool {
		own := s.content()
		if first == nil {
			first = own
		}
		return slices.Equal(first, own)
	})
	return (same || first == nil) && len(a.Serials()) <= 1
}

// content returns what the server says, in a form to compare.
func (s *ServerAnswer) content() []string {
	content := []string{s.Kind + " " + failure.RcodeName(s.Rcode)}
	for _, rr := range s.Answer {
		rr = dns.Copy(rr)
		rr.Header().Ttl = 0
		content = append(content, rr.String())
	}
	slices.Sort(content)
	return content
}

// Serials returns the zone's serials on its servers, each once, in numerical order.
func (a *ServerAnswers) Serials() []uint32 {
	var serials []uint32
	for _, s := range a.Servers {
		if s.HasSerial {
			serials = append(serials, s.Serial)
		}
	}
	slices.Sort(serials)
	return slices.Compact(serials)
}
