package resolver

import (
	"encoding/binary"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

// AppendHit answers a query, as it came from the network, out of the cache, without
// decoding either: it appends the reply to dst, and allocates nothing when dst has room.
// It is for servers that write octets, and is safe for concurrent use.
//
// The reply says what Exchange would say. Whatever takes more than a look into the cache
// gives false, and dst as it was (its spare capacity may have been written to): the query
// is then one for Exchange or ServeDNS. That is the case when the answer is not in the
// cache, or not as the RRsets of a chain of CNAMEs, a denial of the name itself, or an
// answer expanded from a wildcard; when something else than the cache has a say, or an
// extended DNS error goes with the answer; for queries with EDNS options, with another opcode, class or version of EDNS, for types that
// are no data, and for all that is malformed; and after Close.
//
// maxSize is the largest datagram that may be sent, in bytes; the reply is no larger than
// that nor than what the client takes, which is 512 bytes unless the query has EDNS (RFC
// 6891 §6.2.3). One that does not fit has TC set and the records that do, as one of ServeDNS.
// 0, and 65,535 or more, stand for a stream, where neither matters; no reply is longer than
// the 65,535 bytes whose length can be written before it there (RFC 1035 §4.2.2).
func (r *Resolver) AppendHit(dst, query []byte, maxSize int) ([]byte, bool) {
	q, ok := hitQuery(query, maxSize)
	if !ok || !r.config.cacheDecides() || r.base.Err() != nil {
		return dst, false
	}
	q.MaxAliases = r.config.limits.Aliases - 1 // as long a chain makes a question fail
	q.Turn, q.Admit = r.config.Rotate, r.admitHit
	reply, hit, ok := r.current().iteration.cache.AppendReply(dst, r.config.Now(), q)
	if !ok {
		return dst, false
	}
	r.counts.asked(true, false, nil)
	if hit.Due != "" && q.RD {
		r.prefetch(question{hit.Due, q.Type})
	}
	return reply, true
}

// cacheDecides reports whether an answer in the cache is the answer, as it stands there.
// Whatever changes, hides or replaces answers on their way to clients must make it false,
// or cacheDecidesFor for some names, or the clients of AppendHit see nothing of it. The
// special-use names need not: what the cache has is none of them.
func (c *config) cacheDecides() bool { return c.Hooks.none() && c.filter == nil }

// cacheDecidesFor reports whether what the cache has from iteration is the answer for a
// name: no route and no negative trust anchor has it, and no local zone a say.
func (r *Resolver) cacheDecidesFor(name dnsname.Name, rrtype uint16) bool {
	if len(r.ours.Load().zones) > 0 && r.ours.Load().has(name) {
		return false
	}
	rt := r.current()
	if len(rt.routes) == 0 && len(rt.negative) == 0 {
		return true
	}
	return rt.viewOf(r.config.Now(), question{name, rrtype}) == rt.iteration
}

// hitQuery takes a query apart; false when it is not of the plain sort that AppendHit
// answers. What it gives shares the octets of the query.
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
func nameEnd(octets []byte, off int) (end int, ok bool) {
	const maxLabel = 63
	for at := off; at < len(octets) && at-off < dnsname.MaxWire; at += int(octets[at]) + 1 {
		if octets[at] == 0 {
			return at + 1, true
		}
		if octets[at] > maxLabel {
			return 0, false
		}
	}
	return 0, false
}

// plainOPT reads an OPT record of version 0, without options and flags other than DO, that
// is all there is. RFC 6891 §6.1.2.
func plainOPT(octets []byte) (size int, do, ok bool) {
	const doBit = 1 << 15
	if len(octets) != 11 || octets[0] != 0 || binary.BigEndian.Uint16(octets[1:]) != dns.TypeOPT || binary.BigEndian.Uint16(octets[9:]) != 0 {
		return 0, false, false
	}
	flags := binary.BigEndian.Uint32(octets[5:])
	return int(binary.BigEndian.Uint16(octets[3:])), flags == doBit, flags&^doBit == 0
}
