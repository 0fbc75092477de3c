package serve

import (
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/upstream"
	"github.com/iterdns/iterdns/internal/wire"
)

// AppendHit answers a query in wire format from the cache; see Resolver.AppendHit. It does not
// allocate.
func (s *Server) AppendHit(dst, query []byte, maxSize int) ([]byte, bool) {
	var x request
	if !x.parse(query) {
		return dst, false
	}
	return s.appendHit(dst, &x, maxSize)
}

func (s *Server) appendHit(dst []byte, x *request, maxSize int) ([]byte, bool) {
	if !x.isPlainQuestion() || !s.cacheDecides() || s.Base.Err() != nil {
		return dst, false
	}
	q := cache.ReplyTo{
		ID: x.id, QNAME: x.asked, Type: x.rrtype, RD: x.has(wire.RD), CD: x.has(wire.CD), AD: x.has(wire.AD),
		EDNS: x.edns, DO: x.do, UDPSize: upstream.UDPSize,
		MaxAliases: s.Settings.Limits.Aliases - 1, // as long a chain makes a question fail
		Turn:       s.Rotate, Admit: s.admitHit,
	}
	if limit, isDatagram := x.limit(maxSize); isDatagram {
		q.MaxSize = limit
	}
	reply, hit, ok := s.routes.CurrentRoutes().Iteration.Cache.AppendReply(dst, s.Settings.Now(), q)
	if !ok {
		return dst, false
	}
	s.Counts.Asked(true, false, nil)
	if hit.Due != "" && q.RD {
		s.mesh.Prefetch(answer.Question{Name: hit.Due, Type: q.Type})
	}
	return reply, true
}

// isPlainQuestion reports whether a query is of the sort that the cache answers by itself.
func (x *request) isPlainQuestion() bool {
	return x.plain && !answer.IsMeta(x.rrtype) && x.rrtype != dns.TypeANY && x.rrtype != dns.TypeRRSIG && x.class == dns.ClassINET
}

// cacheDecides reports whether an answer in the cache can be sent as it stands there. Every
// feature that changes, hides or replaces answers must make it false, or cacheDecidesFor
// for some names; otherwise the clients of AppendHit bypass it. Special-use names need not:
// the cache never has them.
func (s *Server) cacheDecides() bool { return s.Hooked == nil && s.Settings.Filter == nil }

// cacheDecidesFor reports whether what iteration put into the cache is the answer for a
// name: no route, negative trust anchor or local zone applies to it.
func (s *Server) cacheDecidesFor(name dnsname.Name, rrtype uint16) bool {
	if s.iterate.LocalZones.Has(name) {
		return false
	}
	rt := s.routes.CurrentRoutes()
	if len(rt.Routes) == 0 && len(rt.NegativeAnchors) == 0 {
		return true
	}
	return rt.ViewOf(s.Settings.Now(), answer.Question{Name: name, Type: rrtype}) == rt.Iteration
}
