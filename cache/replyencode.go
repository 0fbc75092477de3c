package cache

import (
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

// ReplyTo is a query to be answered from the cache, and how.
type ReplyTo struct {
	ID   uint16
	Name dnssec.Name
	Type uint16
	// QNAME is the name on the wire as the client wrote it, whose letter case is
	// repeated. It has the length of Name. Nil: as Name is. With QNAME, Name may be left
	// empty, and so need not be made; it must then be one well-formed name without
	// compression.
	QNAME []byte
	// MaxAliases is how many CNAMEs may lead to the answer, each an RRset of its own; what
	// is above 12 is 12. 0: none.
	MaxAliases int
	// RD, CD and AD are the query's bits. CD also opens Unchecked data.
	RD, CD, AD bool
	// EDNS: the query had an OPT record, so the reply gets one, which offers UDPSize
	// and repeats DO. Without DO the reply has no signatures and no proofs.
	EDNS    bool
	DO      bool
	UDPSize uint16
	// MaxSize is the largest datagram the client takes, in bytes; a reply that is larger
	// has TC set and as many of its records as fit: a client without TCP has to
	// use those. 0, and 65,535 or more, stand for a stream, for which no reply is longer than
	// 65,535 (RFC 1035 §4.2.2): one that would be is no hit, as it may fit when it is
	// compressed better.
	MaxSize int
	// Admit is asked about each name on the way, the one asked for first; false makes it no
	// hit. Nil: all will do.
	Admit func(name dnssec.Name, rrtype uint16) bool
	// Turn, if not nil, says by how many places, which may be any number, the n records of an
	// RRset of the answer are turned, and is called for each that has several.
	Turn func(n int) int
}

// Hit is what a reply from the cache was made of.
type Hit struct {
	Name      dnssec.Name // that was asked for
	Rcode     int
	Status    dnssec.Status // the worst of all parts
	TTL       uint32        // seconds left, of the part that has least
	Truncated bool
	// Due is a name, the one asked for or one that it is an alias of, at which the type
	// asked for is worth being fetched again, as Item.Prefetch says of an RRset; "": none.
	Due dnssec.Name
}

// AppendReply appends the whole reply to a query if the cache holds it: one RRset, with
// the aliases that lead to it; a chain; or a denial, as bytes that were never decoded.
// Names are compressed (RFC 1035 §4.1.4), so that as much fits into a datagram as when the
// message was made from its records. It allocates nothing when dst has room.
// Without a hit it returns dst unchanged, and counts nothing. Data with an extended
// DNS error (Meta.Extended) is no hit for a query with EDNS, as AppendReply writes no options.
func (v *View) AppendReply(dst []byte, now time.Time, q ReplyTo) ([]byte, Hit, bool) {
	i := v.cache.at(now)
	p, ok := v.parts(i, q)
	if !ok || p.noted && q.EDNS {
		return dst, Hit{}, false
	}
	if q.Name == "" {
		q.Name = p.entries[0].name()
	}
	reply, hit, ok := q.reply(dst, i, &p)
	if !ok {
		return dst, Hit{}, false
	}
	for _, e := range p.entries[:p.count] {
		v.count(key{name: e.name()}, hitOf(e.kind()))
	}
	return reply, hit, true
}

func (q ReplyTo) trust() Trust {
	if q.CD {
		return Unchecked
	}
	return Checked
}

func hitOf(kind Kind) counter {
	switch kind {
	case KindChain:
		return hitChain
	case KindNoData, KindNameError:
		return hitNegative
	case KindRRset, KindFailure, KindWildcard, KindClaim, KindTypes, KindRange, KindCut, KindGlue:
		return hitRRset
	}
	return hitRRset
}

// message is a reply being written.
type message struct {
	q   ReplyTo
	out wire.Reply
	ttl uint32 // of all together, which that of a denial cannot be above
}

// reply appends the reply made of p; false: it is for a stream, and too long.
func (q ReplyTo) reply(dst []byte, i instant, p *parts) ([]byte, Hit, bool) {
	hit := Hit{Name: q.Name, Status: p.status, TTL: p.ttl, Due: p.due}
	m := message{q: q, ttl: p.ttl}
	room := wire.MaxLen
	datagram := q.MaxSize > 0 && q.MaxSize < wire.MaxLen
	if datagram {
		room = q.MaxSize
	}
	if q.EDNS {
		room -= wire.OPTSize
	}
	m.out.Begin(dst, room)
	m.question()
	for _, e := range p.entries[:p.count] {
		hit.Rcode = m.part(i, e)
	}
	if m.out.Full() && !datagram {
		return dst, Hit{}, false
	}
	hit.Truncated = m.out.Full()
	if q.EDNS {
		m.out.OPT(q.UDPSize, hit.Rcode, q.DO, nil)
	}
	return m.out.End(q.ID, m.flags(hit)), hit, true
}

// part writes what one entry says, and returns the RCODE that goes with it.
func (m *message) part(i instant, e entry) (rcode int) {
	switch e.kind() {
	case KindNameError:
		m.denial(e)
		return dns.RcodeNameError
	case KindNoData:
		m.denial(e)
		// To a validator the proof is one of NODATA, which NXDOMAIN would not go with (RFC
		// 9824 §5).
		if !m.q.DO && e.deniesName() {
			return dns.RcodeNameError
		}
	case KindChain:
		return m.chain(i, e)
	case KindRRset, KindFailure, KindWildcard, KindClaim, KindTypes, KindRange, KindCut, KindGlue:
		item := e.item(i)
		m.set(wire.SectionAnswer, &item.Set)
	}
	return dns.RcodeSuccess
}

// flags returns the second word of the header.
func (m *message) flags(hit Hit) uint16 {
	flags := wire.QR | wire.RA | uint16(hit.Rcode&0xF)
	if m.q.RD {
		flags |= wire.RD
	}
	if m.q.CD {
		flags |= wire.CD
	}
	if hit.Status == dnssec.Secure && (m.q.AD || m.q.DO) {
		flags |= wire.AD // RFC 6840 §5.7, §5.8
	}
	if hit.Truncated {
		flags |= wire.TC
	}
	return flags
}

func (m *message) question() {
	if len(m.q.QNAME) == len(m.q.Name) {
		m.out.Question(m.q.Name, m.q.QNAME, m.q.Type, dns.ClassINET)
		return
	}
	var asked [dnsname.MaxWire]byte
	m.out.Question(m.q.Name, append(asked[:0], m.q.Name...), m.q.Type, dns.ClassINET)
}

// denial writes the authority section of a negative answer.
func (m *message) denial(e entry) {
	_, body := cutPrefixed(e.body())
	m.sets(wire.SectionAuthority, int(body[0]), body[1:], m.ttl)
}

func (m *message) chain(i instant, e entry) (rcode int) {
	rcode, answers, authorities, body := e.chainParts()
	own := e.span().seconds(i)
	body = m.sets(wire.SectionAnswer, answers, body, own)
	m.sets(wire.SectionAuthority, authorities, body, m.ttl)
	return rcode
}

// sets writes count sets from the front of body with this TTL and returns the rest.
func (m *message) sets(section wire.Section, count int, body string, ttl uint32) string {
	for range count {
		var set dnssec.RRset
		body = readWhole(&set, body, ttl)
		if section == wire.SectionAuthority && !m.q.DO && (set.Type == dns.TypeNSEC || set.Type == dns.TypeNSEC3) {
			continue // proofs are for clients that validate, RFC 4035 §3.2.1
		}
		m.set(section, &set)
	}
	return body
}

// set writes an RRset, rotated in the answer section, with its signatures for a client that
// wants them.
func (m *message) set(section wire.Section, set *dnssec.RRset) {
	last := 0
	if section == wire.SectionAnswer {
		last = m.q.turn(set)
	}
	head := wire.RRset{Owner: set.Owner, Type: set.Type, Class: dns.ClassINET, TTL: set.TTL}
	m.out.Set(section, head, string(set.Records), last)
	if m.q.DO {
		head.Type = dns.TypeRRSIG
		m.out.Set(section, head, string(set.Signatures), 0)
	}
}

// turn returns how many records of an RRset go from its front to its end.
func (q *ReplyTo) turn(set *dnssec.RRset) int {
	if q.Turn == nil {
		return 0
	}
	n := set.Len()
	if n < 2 {
		return 0
	}
	return (q.Turn(n)%n + n) % n
}
