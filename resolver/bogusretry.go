package resolver

import (
	"context"
	"errors"
	"maps"
	"net/netip"

	"github.com/iterdns/iterdns/internal/infra"
)

// maxBogusRetries is how often other servers are asked when what one gave turns out
// bogus: a single broken server, or one with an old zone, shall not make the name
// unresolvable (Unbound's val-max-restart is 5).
const maxBogusRetries = 3

// walkRetryingBogus walks, and when the answer is bogus walks again, preferring servers that
// had no part in what was wrong, as long as there are any.
func (r *Resolver) walkRetryingBogus(ctx context.Context, st *step, q question) (*finding, error) {
	f, err := r.walk(ctx, st, q)
	if again := r.withoutSecondLevel(st, q, err); again != nil {
		st = again
		f, err = r.walk(ctx, st, q)
	}
	if again := r.withSignatures(st, q, err); again != nil {
		st = again
		f, err = r.walk(ctx, st, q)
	}
	first := err
	for range maxBogusRetries {
		var bogus *bogusError
		switch {
		case err == nil || st.proof == nil:
			return f, err
		case !errors.As(err, &bogus):
			return nil, first // bogus says more than that nobody else could be asked
		case r.keyCacheNow().isOftenBogus(r.config.Now(), bogus.zone):
			return nil, first
		}
		again := *st
		if again.avoid = st.proof.serversToAvoid(bogus, st.avoid); again.avoid == nil {
			break // nobody else is left
		}
		// One cut further up, so that the delegation and its DS come anew.
		again.startAbove = st.proof.started
		again.proof = r.newProof(&again, q)
		st = &again
		f, err = r.walk(ctx, st, q)
	}
	if err != nil {
		var bogus *bogusError
		if errors.As(first, &bogus) {
			r.keyCacheNow().countBogus(r.config.Now(), bogus.zone)
		}
		return nil, first
	}
	return f, nil
}

// unsignedServer is one that was asked without EDNS, and so could send no signatures.
type unsignedServer struct {
	infra *infra.Table
	addr  netip.AddrPort
}

// noteUnsigned records that a server was asked without EDNS for a part of the evidence.
func (p *proof) noteUnsigned(cut *zoneCut, m *reply) {
	if p != nil && m.withoutEDNS {
		p.blind = append(p.blind, unsignedServer{cut.source.infra, m.server.addr})
	}
}

// withSignatures decides what it means that an answer is bogus for which servers were asked
// that are thought to know no EDNS: that they may be thought so by mistake. It forgets that,
// and returns a task that asks them again with EDNS; nil when there are none.
func (r *Resolver) withSignatures(st *step, q question, err error) *step {
	var bogus *bogusError
	if st.proof == nil || st.signatures || len(st.proof.blind) == 0 || !errors.As(err, &bogus) {
		return nil
	}
	for _, s := range st.proof.blind {
		s.infra.ForgetNoEDNS(s.addr)
	}
	again := *st
	again.signatures, again.startAbove = true, st.proof.started
	again.proof = r.newProof(&again, q)
	return &again
}

// serversToAvoid gives the servers to avoid when an answer is bogus: those known before, and
// whoever gave the RRset that is at fault. That may be somebody else than it seems, as
// a DS does not say whether it or the key is wrong: when it is nobody new, everybody is
// suspected who had a say. It is nil when that is nobody new either.
func (p *proof) serversToAvoid(bogus *bogusError, before map[netip.AddrPort]bool) map[netip.AddrPort]bool {
	culprits, ok := p.gave[question{bogus.reason.Name, bogus.reason.Type}]
	if !ok && len(before) == 0 {
		culprits = []netip.AddrPort{bogus.server}
	}
	avoid := make(map[netip.AddrPort]bool)
	maps.Copy(avoid, before)
	for _, s := range culprits {
		avoid[s] = true
	}
	if len(avoid) == len(before) {
		maps.Copy(avoid, p.sources)
	}
	if len(avoid) == len(before) {
		return nil
	}
	return avoid
}
