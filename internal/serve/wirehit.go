package serve

import (
	"encoding/binary"

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
	q, ok := hitQuery(query, maxSize)
	if !ok || !s.cacheDecides() || s.Base.Err() != nil {
		return dst, false
	}
	q.MaxAliases = s.Settings.Limits.Aliases - 1 // as long a chain makes a question fail
	q.Turn, q.Admit = s.Rotate, s.admitHit
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

// cacheDecides reports whether an answer in the cache can be sent as it stands there. Every
// feature that changes, hides or replaces answers must make it false, or cacheDecidesFor
// for some names; otherwise the clients of AppendHit bypass it. Special-use names need not:
// the cache never has them.
func (s *Server) cacheDecides() bool { return s.Hooked == nil && s.Settings.Filter == nil }

// cacheDecidesFor reports whether what iteration put into the cache is the answer for a
// name: no route, negative trust anchor or local zone applies to it.
func (s *Server) cacheDecidesFor(name dnsname.Name, rrtype uint16) bool {
	if s.iterate.HasLocalZone(name) {
		return false
	}
	rt := s.routes.CurrentRoutes()
	if len(rt.Routes) == 0 && len(rt.NegativeAnchors) == 0 {
		return true
	}
	return rt.ViewOf(s.Settings.Now(), answer.Question{Name: name, Type: rrtype}) == rt.Iteration
}

// hitQuery parses a query; false when it is not of the plain sort that AppendHit answers. q
// shares the memory of query.
func hitQuery(query []byte, maxSize int) (q cache.ReplyTo, ok bool) {
	const asked, others = wire.RD | wire.CD | wire.AD, 6 // flags, and where the counts behind QDCOUNT begin
	if len(query) < wire.HeaderLen {
		return q, false
	}
	flags := binary.BigEndian.Uint16(query[2:])
	additional := binary.BigEndian.Uint16(query[10:])
	if flags&^asked != 0 || binary.BigEndian.Uint16(query[4:]) != 1 || binary.BigEndian.Uint32(query[others:]) != 0 || additional > 1 {
		return q, false
	}
	end, ok := nameEnd(query, wire.HeaderLen)
	if !ok || len(query) < end+4 {
		return q, false
	}
	q = cache.ReplyTo{
		ID: binary.BigEndian.Uint16(query), QNAME: query[wire.HeaderLen:end], Type: binary.BigEndian.Uint16(query[end:]),
		RD: flags&wire.RD != 0, CD: flags&wire.CD != 0, AD: flags&wire.AD != 0, UDPSize: upstream.UDPSize,
	}
	if answer.IsMeta(q.Type) || q.Type == dns.TypeANY || q.Type == dns.TypeRRSIG || binary.BigEndian.Uint16(query[end+2:]) != dns.ClassINET {
		return q, false
	}
	takes := dns.MinMsgSize
	if rest := query[end+4:]; additional == 1 {
		size, do, ok := plainOPT(rest)
		if !ok {
			return q, false
		}
		q.EDNS, q.DO, takes = true, do, max(takes, size)
	} else if len(rest) > 0 {
		return q, false
	}
	if maxSize > 0 && maxSize < dns.MaxMsgSize {
		q.MaxSize = min(maxSize, takes)
	}
	return q, true
}

// nameEnd finds the end of an uncompressed name of legal length that begins at off.
func nameEnd(message []byte, off int) (end int, ok bool) {
	const maxLabel = 63
	for at := off; at < len(message) && at-off < dnsname.MaxWire; at += int(message[at]) + 1 {
		if message[at] == 0 {
			return at + 1, true
		}
		if message[at] > maxLabel {
			return 0, false
		}
	}
	return 0, false
}

// plainOPT parses an OPT record of version 0, without options and flags other than DO;
// false when opt is anything else, or more. RFC 6891 §6.1.2.
func plainOPT(opt []byte) (size int, do, ok bool) {
	const doBit = 1 << 15
	if len(opt) != 11 || opt[0] != 0 || binary.BigEndian.Uint16(opt[1:]) != dns.TypeOPT || binary.BigEndian.Uint16(opt[9:]) != 0 {
		return 0, false, false
	}
	flags := binary.BigEndian.Uint32(opt[5:])
	return int(binary.BigEndian.Uint16(opt[3:])), flags == doBit, flags&^doBit == 0
}
