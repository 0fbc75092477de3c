package iterate

import (
	"context"
	"maps"
	"net/netip"

	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/infra"
	"github.com/iterdns/iterdns/internal/routes"
	"github.com/iterdns/iterdns/internal/upstream"
)

// maxBogusRetries is how often a question with a bogus answer is asked again of other
// servers: a single broken server, or one with an old zone, must not make the name
// unresolvable (Unbound's val-max-restart is 5).
const maxBogusRetries = 3

// walkRetryingBogus walks, and as long as the answer is bogus walks again with servers that
// had no part in it, if there are any.
func (r *Iterator) walkRetryingBogus(ctx context.Context, st *QueryState, q answer.Question, start *walkStart) (*answer.Answer, error) {
	f, err := r.walk(ctx, st, q, start)
	if again := r.withoutSecondLevel(st, q, err); again != nil {
		st = again
		f, err = r.walk(ctx, st, q, nil)
	}
	if again := r.withSignatures(st, q, err); again != nil {
		st = again
		f, err = r.walk(ctx, st, q, nil)
	}
	first := err
	for range maxBogusRetries {
		bogus := failure.Of(err).Bogus
		switch {
		case err == nil || st.validation == nil:
			return f, err
		case bogus == nil:
			return nil, first // that the answer is bogus says more than a failed retry
		case r.upstream.KeyCacheNow().IsOftenBogus(r.Settings.Now(), bogus.Zone):
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
		f, err = r.walk(ctx, st, q, nil)
	}
	if err != nil {
		if bogus := failure.Of(first).Bogus; bogus != nil {
			r.upstream.KeyCacheNow().CountBogus(r.Settings.Now(), bogus.Zone)
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
func (val *validation) noteWithoutEDNS(cut *routes.ZoneCut, m *upstream.Reply) {
	if val != nil && m.WithoutEDNS {
		val.askedWithoutEDNS = append(val.askedWithoutEDNS, unsignedServer{cut.Source.Infra, m.Server.Addr})
	}
}

// withSignatures decides whether a bogus answer may be due to servers that were asked
// without EDNS because they are remembered not to know it, perhaps wrongly. It forgets that,
// and returns a query state that asks them again with EDNS; nil when there are none.
func (r *Iterator) withSignatures(st *QueryState, q answer.Question, err error) *QueryState {
	if st.validation == nil || st.needSignatures || len(st.validation.askedWithoutEDNS) == 0 || failure.Of(err).Bogus == nil {
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
func (val *validation) serversToAvoid(bogus *failure.BogusError, before map[netip.AddrPort]bool) map[netip.AddrPort]bool {
	culprits, ok := val.sentBy[answer.Question{Name: bogus.Reason.Name, Type: bogus.Reason.Type}]
	if !ok && len(before) == 0 {
		culprits = []netip.AddrPort{bogus.Server}
	}
	avoid := make(map[netip.AddrPort]bool)
	maps.Copy(avoid, before)
	for _, s := range culprits {
		avoid[s] = true
	}
	if len(avoid) == len(before) {
		for _, s := range val.servers {
			avoid[s] = true
		}
	}
	if len(avoid) == len(before) {
		return nil
	}
	return avoid
}
