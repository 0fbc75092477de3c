package resolver

import (
	"context"
	"maps"
	"net/netip"

	"github.com/iterdns/iterdns/internal/infra"
)

// maxBogusRetries is how often a question with a bogus answer is asked again of other
// servers: a single broken server, or one with an old zone, must not make the name
// unresolvable (Unbound's val-max-restart is 5).
const maxBogusRetries = 3

// walkRetryingBogus walks, and as long as the answer is bogus walks again with servers that
// had no part in it, if there are any.
func (r *iterator) walkRetryingBogus(ctx context.Context, st *queryState, q question) (*answer, error) {
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
		bogus := failureOf(err).bogus
		switch {
		case err == nil || st.validation == nil:
			return f, err
		case bogus == nil:
			return nil, first // that the answer is bogus says more than a failed retry
		case r.upstream.keyCacheNow().isOftenBogus(r.settings.Now(), bogus.zone):
			return nil, first
		}
		again := *st
		if again.avoidServers = st.validation.serversToAvoid(bogus, st.avoidServers); again.avoidServers == nil {
			break // no other server is left
		}
		// One cut further up, so that the delegation and its DS are fetched again.
		again.startAbove = st.validation.startCut
		again.validation = r.newValidation(&again, q)
		st = &again
		f, err = r.walk(ctx, st, q)
	}
	if err != nil {
		if bogus := failureOf(first).bogus; bogus != nil {
			r.upstream.keyCacheNow().countBogus(r.settings.Now(), bogus.zone)
		}
		return nil, first
	}
	return f, nil
}

// unsignedServer is a server that was asked without EDNS, and so could send no signatures.
type unsignedServer struct {
	infra *infra.Table
	addr  netip.AddrPort
}

// noteWithoutEDNS records that a server was asked without EDNS for a part of the evidence.
func (val *validation) noteWithoutEDNS(cut *zoneCut, m *reply) {
	if val != nil && m.withoutEDNS {
		val.askedWithoutEDNS = append(val.askedWithoutEDNS, unsignedServer{cut.source.infra, m.server.addr})
	}
}

// withSignatures decides whether a bogus answer may be due to servers that were asked
// without EDNS because they are remembered not to know it, perhaps wrongly. It forgets that,
// and returns a query state that asks them again with EDNS; nil when there are none.
func (r *iterator) withSignatures(st *queryState, q question, err error) *queryState {
	if st.validation == nil || st.needSignatures || len(st.validation.askedWithoutEDNS) == 0 || failureOf(err).bogus == nil {
		return nil
	}
	for _, s := range st.validation.askedWithoutEDNS {
		s.infra.ForgetNoEDNS(s.addr)
	}
	again := *st
	again.needSignatures, again.startAbove = true, st.validation.startCut
	again.validation = r.newValidation(&again, q)
	return &again
}

// serversToAvoid returns the servers to avoid when an answer is bogus: those avoided before,
// and those that sent the RRset at fault. That one may be blamed wrongly, as a DS does not
// show whether it or the key is at fault: when it adds no server, all are avoided that the
// walk used. It returns nil when that adds none either.
func (val *validation) serversToAvoid(bogus *bogusError, before map[netip.AddrPort]bool) map[netip.AddrPort]bool {
	culprits, ok := val.sentBy[question{bogus.reason.Name, bogus.reason.Type}]
	if !ok && len(before) == 0 {
		culprits = []netip.AddrPort{bogus.server}
	}
	avoid := make(map[netip.AddrPort]bool)
	maps.Copy(avoid, before)
	for _, s := range culprits {
		avoid[s] = true
	}
	if len(avoid) == len(before) {
		maps.Copy(avoid, val.servers)
	}
	if len(avoid) == len(before) {
		return nil
	}
	return avoid
}
