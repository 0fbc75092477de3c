package cache

import (
	"encoding/binary"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

// ReplyTo is a query to be answered from the cache, and how.
type ReplyTo struct {
	ID   uint16
	Name dnsname.Name
	Type uint16
	// QNAME is the name on the wire as the client wrote it, whose letter case is
	// repeated. It has the length of Name. Nil: as Name is.
	QNAME []byte
	// RD, CD and AD are the query's bits. CD also opens Unchecked data.
	RD, CD, AD bool
	// EDNS: the query had an OPT record, so the reply gets one, which offers UDPSize
	// and repeats DO. Without DO the reply has no signatures and no proofs.
	EDNS    bool
	DO      bool
	UDPSize uint16
	// MaxSize is the largest message the client takes, in octets; a reply that is
	// larger is cut down to its question with TC set. 0: any.
	MaxSize int
	// Rotate puts another record of the answer first, the next one for each step.
	Rotate uint
}

// Hit is what a reply from the cache was made of.
type Hit struct {
	Rcode     int
	Status    dnssec.Status
	TTL       uint32 // seconds left
	Prefetch  bool   // as Item.Prefetch
	Truncated bool
}

// AppendReply appends the whole reply to a query if the cache holds it: one RRset, a
// chain, or a denial, as octets that were never decoded. Owner names are compressed
// against the question. It allocates nothing when dst has room.
func (v *View) AppendReply(dst []byte, now time.Time, q ReplyTo) ([]byte, Hit, bool) {
	i := v.cache.at(now)
	trust := Checked
	if q.CD {
		trust = Unchecked
	}
	for t := Checked; t <= trust; t++ {
		for _, kind := range [...]Kind{KindRRset, KindChain, KindNoData, KindNameError} {
			k := key{name: q.Name, rrtype: q.Type, kind: kind, trust: t}
			if kind == KindNameError {
				k.rrtype = 0
			}
			e, hot, ok := v.entry(k, true)
			if !ok || e.span().left(i) <= 0 || kind == KindRRset && e.standing().rank < RankNonAuthoritative {
				continue
			}
			v.cache.count(k, hitOf(kind))
			dst, hit := q.reply(dst, i, e)
			hit.Prefetch = hot && dueForPrefetch(e.span(), i)
			return dst, hit, true
		}
	}
	return dst, Hit{}, false
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
	octets []byte
	start  int // of the message in octets
	ttl    uint32
	counts [3]uint16 // of answer, authority and additional section
}

// Sections of a message that have records.
const (
	answerSection = iota
	authoritySection
	additionalSection
)

func (q ReplyTo) reply(dst []byte, i instant, e entry) ([]byte, Hit) {
	hit := Hit{Status: e.standing().status, TTL: e.span().seconds(i)}
	m := message{q: q, octets: dst, start: len(dst), ttl: hit.TTL}
	m.octets = append(m.octets, make([]byte, wire.HeaderLen)...)
	m.question()
	questionEnd := len(m.octets)
	switch e.kind() {
	case KindNameError:
		hit.Rcode = dns.RcodeNameError
		m.denial(e)
	case KindNoData:
		m.denial(e)
	case KindChain:
		hit.Rcode = m.chain(e)
	case KindRRset, KindFailure, KindWildcard, KindClaim, KindTypes, KindRange, KindCut, KindGlue:
		item := e.item(i)
		m.set(answerSection, &item.Set)
	}
	m.opt(hit.Rcode)
	if q.MaxSize > 0 && len(m.octets)-m.start > q.MaxSize {
		m.octets, m.counts, hit.Truncated = m.octets[:questionEnd], [3]uint16{}, true
		m.opt(hit.Rcode)
	}
	m.header(hit)
	return m.octets, hit
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
	b := m.octets[m.start:]
	binary.BigEndian.PutUint16(b, m.q.ID)
	binary.BigEndian.PutUint16(b[2:], flags)
	binary.BigEndian.PutUint16(b[4:], 1)
	for section, count := range m.counts {
		binary.BigEndian.PutUint16(b[6+2*section:], count)
	}
}

func (m *message) question() {
	if len(m.q.QNAME) == len(m.q.Name) {
		m.octets = append(m.octets, m.q.QNAME...)
	} else {
		m.octets = append(m.octets, m.q.Name...)
	}
	m.octets = binary.BigEndian.AppendUint16(m.octets, m.q.Type)
	m.octets = binary.BigEndian.AppendUint16(m.octets, dns.ClassINET)
}

// denial writes the authority section of a negative answer.
func (m *message) denial(e entry) {
	_, body := cutPrefixed(e.body())
	m.sets(authoritySection, int(body[0]), body[1:])
}

func (m *message) chain(e entry) (rcode int) {
	rcode, answers, authorities, body := e.chainParts()
	body = m.sets(answerSection, answers, body)
	m.sets(authoritySection, authorities, body)
	return rcode
}

// sets writes count sets from the front of body and gives the rest.
func (m *message) sets(section, count int, body string) string {
	for range count {
		var set dnssec.RRset
		body = readWhole(&set, body, m.ttl)
		if section == authoritySection && !m.q.DO && (set.Type == dns.TypeNSEC || set.Type == dns.TypeNSEC3) {
			continue // proofs are for who validates, RFC 4035 §3.2.1
		}
		m.set(section, &set)
	}
	return body
}

// set writes an RRset, rotated in the answer section, with its signatures for who
// wants them.
func (m *message) set(section int, set *dnssec.RRset) {
	first := uint(0)
	if section == answerSection && m.q.Rotate > 0 {
		first = m.q.Rotate % uint(max(set.Len(), 1))
	}
	at := uint(0)
	for rdata := range set.Records.All() {
		if at >= first {
			m.record(section, set.Owner, set.Type, rdata)
		}
		at++
	}
	at = 0
	for rdata := range set.Records.All() {
		if at >= first {
			break
		}
		m.record(section, set.Owner, set.Type, rdata)
		at++
	}
	if m.q.DO {
		for rdata := range set.Signatures.All() {
			m.record(section, set.Owner, dns.TypeRRSIG, rdata)
		}
	}
}

func (m *message) record(section int, owner dnsname.Name, rrtype uint16, rdata string) {
	b := m.owner(owner)
	b = binary.BigEndian.AppendUint16(b, rrtype)
	b = binary.BigEndian.AppendUint16(b, dns.ClassINET)
	b = binary.BigEndian.AppendUint32(b, m.ttl)
	b = binary.BigEndian.AppendUint16(b, uint16(len(rdata)))
	m.octets = append(b, rdata...)
	m.counts[section]++
}

// owner writes a name, with a pointer to the part of it that the question has too.
func (m *message) owner(name dnsname.Name) []byte {
	for rest := name; !rest.IsRoot(); rest = rest.Parent() {
		if m.q.Name.IsAtOrBelow(rest) {
			at := wire.HeaderLen + len(m.q.Name) - len(rest)
			b := append(m.octets, name[:len(name)-len(rest)]...)
			return binary.BigEndian.AppendUint16(b, 0xC000|uint16(at))
		}
	}
	return append(m.octets, name...)
}

// opt writes the OPT record. RFC 6891 §6.1.2, RFC 3225 §3.
func (m *message) opt(rcode int) {
	if !m.q.EDNS {
		return
	}
	var do uint16
	if m.q.DO {
		do = 1 << 15
	}
	b := append(m.octets, 0) // owned by the root
	b = binary.BigEndian.AppendUint16(b, dns.TypeOPT)
	b = binary.BigEndian.AppendUint16(b, m.q.UDPSize)
	b = append(b, byte(rcode>>4), 0)
	b = binary.BigEndian.AppendUint16(b, do)
	m.octets = append(b, 0, 0)
	m.counts[additionalSection]++
}
