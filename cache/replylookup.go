package cache

import (
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// maxReplyAliases is how many aliases AppendReply follows at most, whatever
// ReplyTo.MaxAliases says: what it finds has a place on the stack.
const maxReplyAliases = 12

// parts is what a reply is made of: the RRset of each alias on the way, and the entry at
// the end.
type parts struct {
	entries [maxReplyAliases + 1]entry
	count   int

	ttl    uint32 // of what has least left
	status dnssec.Status
	noted  bool         // some entry has an extended DNS error
	due    dnsname.Name // a name on the way whose entry is worth being fetched again
}

func (p *parts) add(i instant, e entry, hot bool) {
	p.entries[p.count] = e
	p.count++
	p.ttl = min(p.ttl, e.span().seconds(i))
	p.status = p.status.Worst(e.standing().status)
	p.noted = p.noted || e.note() != 0
	if hot && dueForPrefetch(e.span(), i) && p.due == "" {
		p.due = e.name()
	}
}

// parts finds all that a reply to q consists of; false when something is missing.
func (v *View) parts(i instant, q ReplyTo) (p parts, ok bool) {
	var scratch [dnsname.MaxWire]byte
	name := append(scratch[:0], q.Name...)
	if q.Name == "" && len(q.QNAME) <= len(scratch) {
		name = appendLower(name, q.QNAME)
	}
	p = parts{ttl: 1<<32 - 1, status: dnssec.Secure}
	for aliases := 0; ; {
		e, hot, ok := v.replyEntry(i, name, q)
		if !ok {
			return p, false
		}
		if q.Admit != nil && !q.Admit(e.name(), q.Type) {
			return p, false
		}
		p.add(i, e, hot)
		if !e.leadsOn(q.Type) {
			return p, true
		}
		target, steps := e.follow(&q)
		if aliases += steps; steps == 0 || aliases > min(q.MaxAliases, maxReplyAliases) {
			return p, false
		}
		name = appendLower(scratch[:0], target)
	}
}

// leadsOn reports whether an entry has aliases to what is asked for, and not that itself.
func (e entry) leadsOn(rrtype uint16) bool {
	return e.rrtype() == dns.TypeCNAME && rrtype != dns.TypeCNAME && (e.kind() == KindRRset || e.kind() == KindChain)
}

// follow returns where the aliases of an entry lead, and how many there are; none when they
// are not all CNAMEs, or take a proof, or a name on the way is not admitted. Of several
// records the first counts.
func (e entry) follow(q *ReplyTo) (target string, steps int) {
	if e.kind() == KindRRset {
		records, _ := setBody(e.body())
		return firstOf(records), 1
	}
	_, answers, proofs, body := e.chainParts()
	if proofs > 0 {
		return "", 0 // which would stand before the answer's other records
	}
	for steps = range answers {
		var set dnssec.RRset
		body = readWhole(&set, body, 0)
		if set.Type != dns.TypeCNAME || steps > 0 && q.Admit != nil && !q.Admit(set.Owner, q.Type) {
			return "", 0
		}
		target = firstOf(set.Records)
	}
	return target, answers
}

func firstOf(records dnssec.Packed) string {
	for rdata := range records.All() {
		return rdata
	}
	return ""
}

// isOneAlias reports whether a chain of aliases is the answer to a question for the alias.
func (e entry) isOneAlias() bool {
	_, answers, _, body := e.chainParts()
	var set dnssec.RRset
	readWhole(&set, body, 0)
	return answers == 1 && set.Type == dns.TypeCNAME
}

// replyEntry finds what the reply says of one name: its RRset, else where it is an alias
// to, else that it does not exist, else an answer, or aliases, kept whole. An RRset made from a
// wildcard is no answer without its proof, which it has in a chain only.
func (v *View) replyEntry(i instant, name []byte, q ReplyTo) (e entry, hot, ok bool) {
	s := spot{v.cache.hasher.bytes(name), anything}
	if e, hot, ok = v.replySet(i, s, name, q.Type, q.CD); !ok {
		s = v.look(s)
		if q.Type != dns.TypeCNAME && q.MaxAliases > 0 {
			e, hot, ok = v.replySet(i, s, name, dns.TypeCNAME, q.CD)
		}
	}
	expanded := ok && e.expanded()
	if ok && !expanded {
		return e, hot, true
	}
	for t := Checked; t <= q.trust(); t++ {
		for _, kind := range [...]Kind{KindNoData, KindNameError, KindChain} {
			if expanded && kind != KindChain {
				continue
			}
			k := key{rrtype: q.Type, kind: kind, trust: t}
			if kind == KindNameError {
				k.rrtype = 0
			}
			if e, hot, ok := v.named(s, name, k); ok && e.span().left(i) > 0 {
				return e, hot, kind != KindChain || q.Type != dns.TypeCNAME || e.isOneAlias()
			}
		}
	}
	if expanded || q.MaxAliases == 0 {
		return "", false, false
	}
	return v.replyAliases(i, s, name, q)
}

// replyAliases finds aliases that are kept whole.
func (v *View) replyAliases(i instant, s spot, name []byte, q ReplyTo) (e entry, hot, ok bool) {
	for t := Checked; t <= q.trust(); t++ {
		e, hot, ok = v.named(s, name, key{rrtype: dns.TypeCNAME, kind: KindChain, trust: t})
		if ok && e.span().left(i) > 0 && e.leadsOn(q.Type) {
			return e, hot, true
		}
	}
	return "", false, false
}

// replySet finds an RRset that may be an answer.
func (v *View) replySet(i instant, s spot, name []byte, rrtype uint16, cd bool) (e entry, hot, ok bool) {
	for t := Checked; t <= (ReplyTo{CD: cd}).trust(); t++ {
		e, hot, ok = v.named(s, name, key{rrtype: rrtype, kind: KindRRset, trust: t})
		if ok && e.span().left(i) > 0 && e.standing().rank >= RankNonAuthoritative {
			return e, hot, true
		}
	}
	return "", false, false
}

// named is entryAt with use set, for a name in a byte slice; it allocates no string.
func (v *View) named(s spot, name []byte, k key) (e entry, hot, ok bool) {
	if !s.may(k.mark()) {
		return "", false, false
	}
	k.view = v.id
	hash := v.cache.hasher.at(s, &k)
	e, hot, ok = v.cache.storeOf(k).shard(hash).get(hash, k.trust == Checked)
	if !ok || string(e.name()) != string(name) {
		return e, hot, false
	}
	k.name = e.name()
	return e, hot, e.is(&k)
}

// expanded reports whether an RRset was made from a wildcard: its signatures count fewer
// labels than its owner has (RFC 4034 §3.1.3).
func (e entry) expanded() bool {
	_, signatures := setBody(e.body())
	for sig := range signatures.All() {
		const labels = 3 // where the count stands
		return len(sig) > labels && int(sig[labels]) < e.name().Labels() && !e.name().IsWildcard()
	}
	return false
}

// appendLower appends a name in canonical letter case. Bytes of length are below 'A'.
func appendLower[T string | []byte](dst []byte, name T) []byte {
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}
