package cache

import (
	"encoding/binary"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
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
// Without a hit dst comes back as it was, and nothing is counted. What comes with an extended
// DNS error (Meta.Extended) is none for a query with EDNS, as this writes no options.
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
	q      ReplyTo
	buf    []byte
	start  int       // of the message in bytes
	room   int       // bytes for all but the OPT record
	full   bool      // a record had no room, and what follows is left out too
	ttl    uint32    // of all together, which that of a denial cannot be above
	counts [3]uint16 // of answer, authority and additional section

	plain bool // the question is in lower case
	// Names to point to, as places[:placed].
	places [maxPlaces]place
	placed int
}

// Sections of a message that have records.
const (
	answerSection = iota
	authoritySection
	additionalSection
)

// reply appends the reply made of p; false: it is for a stream, and too long.
func (q ReplyTo) reply(dst []byte, i instant, p *parts) ([]byte, Hit, bool) {
	hit := Hit{Name: q.Name, Status: p.status, TTL: p.ttl, Due: p.due}
	m := message{q: q, buf: dst, start: len(dst), room: wire.MaxLen, ttl: p.ttl}
	datagram := q.MaxSize > 0 && q.MaxSize < wire.MaxLen
	if datagram {
		m.room = q.MaxSize
	}
	if q.EDNS {
		m.room -= optSize
	}
	m.buf = append(m.buf, make([]byte, wire.HeaderLen)...)
	m.question()
	for _, e := range p.entries[:p.count] {
		hit.Rcode = m.part(i, e)
	}
	if m.full && !datagram {
		return dst, Hit{}, false
	}
	hit.Truncated = m.full
	m.opt(hit.Rcode)
	m.header(hit)
	return m.buf, hit, true
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
		m.set(answerSection, &item.Set)
	}
	return dns.RcodeSuccess
}

func (m *message) header(hit Hit) {
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
	b := m.buf[m.start:]
	binary.BigEndian.PutUint16(b, m.q.ID)
	binary.BigEndian.PutUint16(b[2:], flags)
	binary.BigEndian.PutUint16(b[4:], 1)
	for section, count := range m.counts {
		binary.BigEndian.PutUint16(b[6+2*section:], count)
	}
}

func (m *message) question() {
	m.plain = len(m.q.QNAME) != len(m.q.Name) || string(m.q.QNAME) == string(m.q.Name)
	if len(m.q.QNAME) == len(m.q.Name) {
		m.buf = append(m.buf, m.q.QNAME...)
	} else {
		m.buf = append(m.buf, m.q.Name...)
	}
	m.buf = binary.BigEndian.AppendUint16(m.buf, m.q.Type)
	m.buf = binary.BigEndian.AppendUint16(m.buf, dns.ClassINET)
}

// denial writes the authority section of a negative answer.
func (m *message) denial(e entry) {
	_, body := cutPrefixed(e.body())
	m.sets(authoritySection, int(body[0]), body[1:], m.ttl)
}

func (m *message) chain(i instant, e entry) (rcode int) {
	rcode, answers, authorities, body := e.chainParts()
	own := e.span().seconds(i)
	body = m.sets(answerSection, answers, body, own)
	m.sets(authoritySection, authorities, body, m.ttl)
	return rcode
}

// sets writes count sets from the front of body with this TTL and returns the rest.
func (m *message) sets(section, count int, body string, ttl uint32) string {
	for range count {
		var set dnssec.RRset
		body = readWhole(&set, body, ttl)
		if section == authoritySection && !m.q.DO && (set.Type == dns.TypeNSEC || set.Type == dns.TypeNSEC3) {
			continue // proofs are for clients that validate, RFC 4035 §3.2.1
		}
		m.set(section, &set)
	}
	return body
}

// set writes an RRset, rotated in the answer section, with its signatures for a client that
// wants them.
func (m *message) set(section int, set *dnssec.RRset) {
	first := uint(0)
	if section == answerSection {
		first = m.q.turn(set)
	}
	at := uint(0)
	for rdata := range set.Records.All() {
		if at >= first {
			m.record(section, set, set.Type, rdata)
		}
		at++
	}
	at = 0
	for rdata := range set.Records.All() {
		if at >= first {
			break
		}
		m.record(section, set, set.Type, rdata)
		at++
	}
	if m.q.DO {
		for rdata := range set.Signatures.All() {
			m.record(section, set, dns.TypeRRSIG, rdata)
		}
	}
}

// turn returns which record of an RRset goes first.
func (q *ReplyTo) turn(set *dnssec.RRset) uint {
	if q.Turn == nil {
		return 0
	}
	n := set.Len()
	if n < 2 {
		return 0
	}
	return uint((q.Turn(n)%n + n) % n)
}

// record writes one record, unless it or one before it has no room.
func (m *message) record(section int, set *dnssec.RRset, rrtype uint16, rdata string) {
	if m.full {
		return
	}
	b := m.name(m.buf, set.Owner)
	b = binary.BigEndian.AppendUint16(b, rrtype)
	b = binary.BigEndian.AppendUint16(b, dns.ClassINET)
	b = binary.BigEndian.AppendUint32(b, set.TTL)
	at := len(b)
	if _, names := compressible(rrtype); names == 0 && at+2+len(rdata)-m.start > m.room {
		m.full = true // seen before the buffer is made larger for it
		return
	}
	b = m.rdata(binary.BigEndian.AppendUint16(b, 0), rrtype, rdata)
	binary.BigEndian.PutUint16(b[at:], uint16(len(b)-at-2))
	if m.full = len(b)-m.start > m.room; m.full {
		return
	}
	m.buf = b
	m.counts[section]++
}

// optSize is the length of an OPT record without options. RFC 6891 §6.1.2.
const optSize = 11

// opt writes the OPT record. RFC 6891 §6.1.2, RFC 3225 §3.
func (m *message) opt(rcode int) {
	if !m.q.EDNS {
		return
	}
	var do uint16
	if m.q.DO {
		do = 1 << 15
	}
	b := append(m.buf, 0) // owned by the root
	b = binary.BigEndian.AppendUint16(b, dns.TypeOPT)
	b = binary.BigEndian.AppendUint16(b, m.q.UDPSize)
	b = append(b, byte(rcode>>4), 0)
	b = binary.BigEndian.AppendUint16(b, do)
	m.buf = append(b, 0, 0)
	m.counts[additionalSection]++
}
