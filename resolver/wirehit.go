package resolver

import (
	"encoding/binary"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

// AppendHit answers a query in wire format from the cache, without decoding either: it
// appends the reply to dst, and allocates nothing when dst has the capacity. It is for
// servers that write wire format, and is safe for concurrent use.
//
// The reply is what Exchange would say. When the answer takes more than a cache read,
// AppendHit returns false, and dst as it was (its spare capacity may have been written to):
// the query is then one for Exchange or ServeDNS. That is the case when the answer is not
// in the cache as the RRsets of a chain of CNAMEs, a denial of the name itself, or an
// answer expanded from a wildcard; when hooks, filters, routes, local zones or negative
// trust anchors affect it, or an extended DNS error goes with it; for queries with EDNS
// options, with another opcode, class or version of EDNS, and for types that are no data;
// for malformed queries; and after Close.
//
// maxSize is the largest datagram that may be sent, in bytes; the reply is no larger than
// that, nor than what the client takes, which is 512 bytes unless the query has EDNS (RFC
// 6891 §6.2.3). A reply that does not fit has TC set and the records that do, as from
// ServeDNS. A maxSize of 0, or of 65,535 and more, stands for a stream, where neither
// matters; no reply is longer than the 65,535 bytes that the length before it can express
// (RFC 1035 §4.2.2).
func (r *Resolver) AppendHit(dst, query []byte, maxSize int) ([]byte, bool) {
	q, ok := hitQuery(query, maxSize)
	if !ok || !r.config.cacheDecides() || r.env.base.Err() != nil {
		return dst, false
	}
	q.MaxAliases = r.config.limits.Aliases - 1 // as long a chain makes a question fail
	q.Turn, q.Admit = r.config.Rotate, r.admitHit
	reply, hit, ok := r.routes.currentRoutes().iteration.cache.AppendReply(dst, r.config.Now(), q)
	if !ok {
		return dst, false
	}
	r.env.counts.asked(true, false, nil)
	if hit.Due != "" && q.RD {
		r.mesh.prefetch(question{hit.Due, q.Type})
	}
	return reply, true
}

// cacheDecides reports whether an answer in the cache can be sent as it stands there. Every
// feature that changes, hides or replaces answers must make it false, or cacheDecidesFor
// for some names; otherwise the clients of AppendHit bypass it. Special-use names need not:
// the cache never has them.
func (c *config) cacheDecides() bool { return c.Hooks.none() && c.filter == nil }

// cacheDecidesFor reports whether what iteration put into the cache is the answer for a
// name: no route, negative trust anchor or local zone applies to it.
func (r *Resolver) cacheDecidesFor(name dnsname.Name, rrtype uint16) bool {
	if r.iterate.localData.Load().zones.Has(name) {
		return false
	}
	rt := r.routes.currentRoutes()
	if len(rt.routes) == 0 && len(rt.negativeAnchors) == 0 {
		return true
	}
	return rt.viewOf(r.config.Now(), question{name, rrtype}) == rt.iteration
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
		RD: flags&wire.RD != 0, CD: flags&wire.CD != 0, AD: flags&wire.AD != 0, UDPSize: udpSize,
	}
	if isMeta(q.Type) || q.Type == dns.TypeANY || q.Type == dns.TypeRRSIG || binary.BigEndian.Uint16(query[end+2:]) != dns.ClassINET {
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
