package zonecheck

import (
	"context"
	"fmt"
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/env"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/iterate"
	"github.com/iterdns/iterdns/internal/mesh"
	"github.com/iterdns/iterdns/internal/routes"
	"github.com/iterdns/iterdns/internal/scrub"
	"github.com/iterdns/iterdns/internal/slist"
	"github.com/iterdns/iterdns/internal/wire"
)

// Checker finds zones and asks their servers.
type Checker struct {
	*env.Env
	routes  *routes.Router
	servers *slist.Lister
	iterate *iterate.Iterator
	mesh    *mesh.Mesh
	rounds  rounds
}

// New makes a Checker of the parts of a resolver.
func New(e *env.Env, rt *routes.Router, servers *slist.Lister, it *iterate.Iterator, m *mesh.Mesh) *Checker {
	return &Checker{Env: e, routes: rt, servers: servers, iterate: it, mesh: m, rounds: newRounds()}
}

// Zone is the zone that holds a name. It is shared by all callers that asked for it, and not
// changed. resolver.Zone says what each field means.
type Zone struct {
	Name       dnsname.Name
	Apex       dnsname.Name
	Parent     dnsname.Name // "": there is none, or it was not looked for
	Local      bool
	Missing    bool
	Aliases    []scrub.Alias
	Delegation *glue.Delegation // nil: it was not seen
	DS         *dnssec.RRset    // nil: none
	NS         *dnssec.RRset    // nil: none
	DNSKEY     *dnssec.RRset    // nil: none
	SOA        *dnssec.RRset    // nil: none
	Status     dnssec.Status
	Extended   failure.ExtendedError
	Problem    error // nil: none
	Queries    bool  // a server was asked
}

// Options say how a zone is looked for.
type Options struct {
	FollowAliases, WithoutCache bool
}

// Find finds the zone that holds a name. The error is that the name cannot be asked for, that the
// work ended before the zone was known, or that not even the servers of the root answer.
func (c *Checker) Find(ctx context.Context, st *iterate.QueryState, name dnsname.Name, o Options) (*Zone, error) {
	key := fmt.Sprintf("zone %t %t %d %d %s", o.FollowAliases, o.WithoutCache, c.routes.CurrentRoutes().Generation, c.iterate.LocalZones.Generation(), string(name))
	v, err := c.mesh.Work(ctx, st, key, nil, func(ctx context.Context, st *iterate.QueryState) (any, error) {
		f := &finder{c: c, st: st, z: &Zone{Name: name}}
		if o.WithoutCache {
			f.fresh = new(iterate.Fresh)
		}
		err := f.find(ctx, o.FollowAliases)
		return f.z, err
	})
	if err != nil {
		return nil, err
	}
	return v.(*Zone), nil
}

// finder finds one zone.
type finder struct {
	c     *Checker
	st    *iterate.QueryState
	fresh *iterate.Fresh
	z     *Zone
	mute  bool // what is asked is about the zone above: its faults are not those of the zone
	lost  bool // the zone's servers could not be asked
	// hasSOA is set when the zone's servers have answered for its SOA, rather than sent it with a
	// denial, which they may do of a zone that they then say has none.
	hasSOA bool
}

func (f *finder) find(ctx context.Context, follow bool) error {
	begun := f.st.Budget.Queries.Load()
	at, err := f.locate(ctx, f.z.Name, follow)
	if err != nil {
		return err
	}
	z := f.z
	z.Name, z.Aliases, z.Missing = at.name, at.aliases, at.missing
	z.Apex, z.SOA, z.Local = at.apex, at.soa, at.local
	f.hasSOA = at.answered
	if z.Status != dnssec.Bogus {
		z.Status = at.status
	}
	if z.Local {
		return nil
	}
	for _, step := range []func(context.Context) error{f.askParent, f.askZone} {
		if err := step(ctx); ctx.Err() != nil {
			return context.Cause(ctx)
		} else if err != nil {
			f.note(err)
		}
	}
	z.Queries = f.st.Budget.Queries.Load() > begun
	return nil
}

// note keeps the first thing that is wrong with the zone.
func (f *finder) note(err error) {
	if f.mute {
		return
	}
	failed := failure.Of(err)
	if failed.IsBogus() {
		f.z.Status = dnssec.Bogus
	}
	if f.z.Problem == nil {
		f.z.Problem, f.z.Extended = err, failed.Extended()
	}
}

// ask asks one question of the work. Data that is bogus is noted, and asked for again without
// validation.
func (f *finder) ask(ctx context.Context, q answer.Question) (*answer.Answer, routes.ZoneCut, error) {
	a, cut, err := f.c.iterate.FindOne(ctx, f.st.Beside(q, cache.Checked, f.fresh), q)
	if err == nil || !failure.Of(err).IsBogus() {
		return a, cut, err
	}
	f.note(err)
	a, cut, err = f.c.iterate.FindOne(ctx, f.st.Beside(q, cache.Unchecked, f.fresh), q)
	if err == nil {
		whole := *a // the other one is shared
		whole.Status, a = dnssec.Bogus, &whole
	}
	return a, cut, err
}

// place is where a name was found to be.
type place struct {
	name    dnsname.Name  // that asked for, or the last of its aliases
	aliases []scrub.Alias // of the names asked for
	apex    dnsname.Name
	soa     *dnssec.RRset
	status  dnssec.Status
	missing bool
	local   bool

	answered bool // soa is an answer
}

// locate finds the zone that holds a name by the SOA records that its servers answer or deny with.
// A CNAME is in the zone that holds the name above it, as there is none at the beginning of a zone
// (RFC 1034 §3.6.2); a DNAME may be there (RFC 6672 §2.3). Each step is charged as one of a chain of
// aliases.
func (f *finder) locate(ctx context.Context, name dnsname.Name, follow bool) (place, error) {
	p := place{name: name}
	for at := name; ; {
		a, cut, err := f.ask(ctx, answer.Question{Name: at, Type: dns.TypeSOA})
		if err != nil {
			err = f.fail(ctx, &p, at, &cut, err)
			return p, err
		}
		if a.Kind != answer.KindAlias {
			f.settle(&p, at, a, &cut)
			return p, nil
		}
		if err := f.st.Budget.ChargeAlias(); err != nil {
			return p, err
		}
		step, own := a.Aliases[0], at == p.name
		if own {
			p.aliases = append(p.aliases, step)
		}
		if !own || !follow || step.TooLong {
			at = above(at, step, a.Status)
			continue
		}
		at = step.To
		if i := slices.IndexFunc(p.aliases, func(s scrub.Alias) bool { return s.From == at }); i >= 0 {
			return p, aliasLoop(p.aliases[i:])
		}
		p.name = at
	}
}

// aliasLoop returns the error of aliases whose last one leads to the first.
func aliasLoop(steps []scrub.Alias) error {
	names := []dnsname.Name{steps[0].From}
	for _, step := range steps {
		names = append(names, step.To)
	}
	return &failure.AliasLoopError{Names: names}
}

// above returns the name to go on at to find the zone that an alias is in: the zone itself where it
// is known to have signed the alias.
func above(at dnsname.Name, step scrub.Alias, status dnssec.Status) dnsname.Name {
	if status == dnssec.Secure {
		for sig := range step.Set.Signatures.All() {
			if signer, ok := wire.Signer(sig); ok && at.IsBelow(signer) {
				return signer
			}
		}
	}
	if step.IsDNAME() {
		return step.Set.Owner
	}
	return at.Parent()
}

// settle takes from the answer or denial for the SOA of a name in which zone that is. Where the denial
// has no SOA (RFC 2308 §2.2) it is in the zone whose servers have sent it.
func (f *finder) settle(p *place, at dnsname.Name, a *answer.Answer, cut *routes.ZoneCut) {
	p.status, p.local = a.Status, a.Local
	switch {
	case a.Kind == answer.KindAnswer:
		p.apex, p.soa, p.answered = at, a.Sets[0], true
		return
	case a.SOA != nil:
		p.apex, p.soa = a.SOA.Owner, a.SOA
	default:
		p.apex = f.cutAt(at, cut).Zone
	}
	if p.apex == at && !p.local { // its servers do not know what they were referred to for
		f.note(deniedBy(at))
		return
	}
	p.missing = a.Kind == answer.KindNameError && at == p.name
}

func deniedBy(zone dnsname.Name) error {
	return &failure.ZoneError{Zone: zone, Responded: true, Err: failure.ErrZoneDenied}
}

// cutAt returns the zone cut that a walk has come to; without a walk the deepest one that is known.
func (f *finder) cutAt(at dnsname.Name, cut *routes.ZoneCut) *routes.ZoneCut {
	if cut.Delegation == nil {
		*cut = f.c.iterate.ClosestCut(f.st, answer.Question{Name: at, Type: dns.TypeSOA})
	}
	return cut
}

// fail takes the zone that a search came to before it failed: what its parent says of it is known.
// The root has no parent, and that the work has used up its means says nothing about a zone, unless
// that was for looking for the zone's servers.
func (f *finder) fail(ctx context.Context, p *place, at dnsname.Name, cut *routes.ZoneCut, err error) error {
	failed := failure.Of(err)
	spent := failed.IsOfLeader() || failed.Has(failure.OwnMeans)
	if ctx.Err() != nil || spent && failed.Zone == nil || failed.Is(failure.Aborted) || failed.Is(failure.NoDescriptors) {
		return err
	}
	zone := f.cutAt(at, cut).Zone
	if zone.IsRoot() || cut.Source.Forwards() || cut.IsConfigured() {
		return err
	}
	f.note(err)
	f.lost = f.lost || !f.mute
	p.apex, p.status = zone, dnssec.Indeterminate
	return nil
}

// askParent learns what the zone above says: its name, the delegation and the DS records.
func (f *finder) askParent(ctx context.Context) error {
	z := f.z
	if z.Apex.IsRoot() {
		return nil
	}
	f.mute = true
	parent, err := f.locate(ctx, z.Apex.Parent(), false)
	f.mute = false
	if err != nil {
		return err
	}
	z.Parent = parent.apex
	if err := f.askDelegation(ctx); err != nil {
		return err
	}
	ds, _, err := f.ask(ctx, answer.Question{Name: z.Apex, Type: dns.TypeDS})
	if err == nil {
		z.DS = setOf(ds)
	} else if z.DS != nil { // referrals have it too (RFC 4035 §3.1.4)
		err = nil
	}
	return err
}

// askDelegation learns what the zone above refers to, from the cache where that counts.
func (f *finder) askDelegation(ctx context.Context) error {
	q := answer.Question{Name: f.z.Apex, Type: dns.TypeNS}
	if known := f.c.iterate.ClosestCut(f.st, q); f.fresh == nil && known.Zone == f.z.Apex && !known.IsConfigured() {
		f.z.Delegation = known.Delegation
		return nil
	}
	m, err := f.c.iterate.Referral(ctx, f.st.Beside(q, cache.Unchecked, f.fresh), f.z.Apex)
	if m != nil {
		f.z.Delegation, f.z.DS = m.Delegation, m.DS
	}
	return err
}

// askZone learns what the zone's own servers say of its beginning, if they answer.
func (f *finder) askZone(ctx context.Context) error {
	z := f.z
	if f.lost {
		return nil
	}
	for _, part := range []struct {
		rrtype uint16
		into   **dnssec.RRset
		must   bool // every zone has it
	}{{dns.TypeDNSKEY, &z.DNSKEY, false}, {dns.TypeNS, &z.NS, true}, {dns.TypeSOA, &z.SOA, true}} {
		if part.rrtype == dns.TypeSOA && f.hasSOA {
			continue
		}
		a, _, err := f.ask(ctx, answer.Question{Name: z.Apex, Type: part.rrtype})
		if err != nil {
			return err
		}
		set := setOf(a)
		switch {
		case set != nil && z.Status != dnssec.Bogus:
			z.Status = a.Status // that of a denial may be less, as in a range of opt-out (RFC 5155 §6)
		case set == nil && part.must:
			f.note(deniedBy(z.Apex))
		}
		if set != nil {
			*part.into = set
		}
	}
	return nil
}

// setOf returns the RRset that an answer is; nil: it is a denial or an alias.
func setOf(a *answer.Answer) *dnssec.RRset {
	if a.Kind != answer.KindAnswer {
		return nil
	}
	return a.Sets[0]
}
