package cache

import (
	"encoding/binary"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
)

// Chain is an answer of several RRsets: the aliases that a name leads through, and
// what is, or is not, at their end. Answers of one RRset are that RRset's entry, and
// denials without aliases are a Negative.
//
// One of type CNAME holds aliases that are known for its name only, each where the one
// before leads to, and not what is at their end, whatever type is asked for.
type Chain struct {
	Name dnssec.Name // asked
	Type uint16      // asked
	// Rcode is that of the last name (RFC 6604 §2).
	Rcode int
	// Answer is the chain in order and the RRset asked for, Authority the denial of
	// the last name or the proof of wildcards.
	Answer, Authority []*dnssec.RRset
	Status            dnssec.Status // the worst of all parts
	// TTL is what is left in seconds: of the part that has least. It is ignored when
	// storing, which looks at the parts.
	TTL uint32
	// Prefetch is as Item.Prefetch.
	Prefetch bool
	// Stale: it has expired, and came from GetStaleChain.
	Stale bool
	// Extended is as Meta.Extended, which counts when storing.
	Extended uint16
}

// setTTL sets the TTL of the chain and all its parts.
func (c *Chain) setTTL(ttl uint32) {
	c.TTL = ttl
	for _, section := range [...][]*dnssec.RRset{c.Answer, c.Authority} {
		for _, set := range section {
			set.TTL = ttl
		}
	}
}

// maxChain is how many RRsets the parts of a chain can be: 11 aliases, each with the
// DNAME it may come from and with what proves a wildcard, stay below it.
const maxChain = 254

// GetChain looks for a chain that is alive at now and counts as a use of it. For
// Unchecked it returns Checked data if there is some.
func (v *View) GetChain(now time.Time, name dnssec.Name, rrtype uint16, trust Trust) (Chain, bool) {
	return v.chainAt(v.cache.at(now), v.spot(name), name, rrtype, trust)
}

func (v *View) chainAt(i instant, s spot, name dnssec.Name, rrtype uint16, trust Trust) (Chain, bool) {
	for t := Checked; t <= trust; t++ {
		k := key{name: name, rrtype: rrtype, kind: KindChain, trust: t}
		if e, hot, ok := v.entryAt(s, k, true); ok && e.span().left(i) > 0 {
			v.count(k, hitChain)
			c := e.chain(i)
			c.Prefetch = hot && dueForPrefetch(e.span(), i)
			return c, true
		}
	}
	return Chain{}, false
}

// PutChain keeps a chain and reports whether it did. It lives as long as its
// shortest-lived part, and a denial at its end as long as a Negative would. What has
// a TTL of 0 is not kept, nor what is too large or no answer at all. A chain that
// is kept ends a failure of its name and type, and what it contradicts unless that has
// better standing.
func (v *View) PutChain(now time.Time, c Chain, m Meta) bool {
	m.Status = c.Status
	k := key{name: c.Name, view: v.id, rrtype: c.Type, kind: KindChain, trust: m.Trust}
	d, size := v.chainLife(now, &c, m)
	if d <= 0 || size > v.cache.options.MaxEntry || !m.plausible() || len(c.Answer) == 0 || isMeta(c.Type) {
		return v.refuse(k)
	}
	i, s := v.cache.at(now), v.spot(c.Name)
	if !v.displaceOthers(i, s, k, m.standing()) {
		return v.refuse(k)
	}
	if !v.place(i, s, k, c.packed(head{k, m.standing(), spanOf(i, d), m.note()}, size)) {
		return v.refuse(k)
	}
	v.forget(s, KindFailure, k)
	return true
}

// packed makes the entry of a chain whose parts have this size.
func (c *Chain) packed(h head, size int) entry {
	b := appendHead(make([]byte, 0, entryHeader+size+64), h)
	b = binary.BigEndian.AppendUint16(b, uint16(c.Rcode))
	b = append(b, byte(len(c.Answer)), byte(len(c.Authority)))
	for _, section := range [...][]*dnssec.RRset{c.Answer, c.Authority} {
		for _, set := range section {
			b = appendWhole(b, set)
		}
	}
	return entry(b)
}

// ChainTTL returns for how many seconds a chain is kept, if it is, as View.TTL does of an RRset.
func (v *View) ChainTTL(now time.Time, c Chain, m Meta) uint32 {
	d, _ := v.chainLife(now, &c, m)
	return ttlOf(d)
}

// chainLife returns how long a chain lives, not positive for what cannot be kept, and its size.
func (v *View) chainLife(now time.Time, c *Chain, m Meta) (life time.Duration, size int) {
	ttl, size := c.lowest()
	longest := v.cache.options.MaxTTL
	if len(c.Authority) > 0 {
		longest = min(longest, v.cache.options.MaxNegativeTTL)
	}
	return lifetime(now, ttl, longest, m.NotAfter), size
}

// lowest returns the lowest TTL of the parts in seconds, 0 for what cannot be an entry, and how
// large they are together.
func (c *Chain) lowest() (ttl uint32, size int) {
	parts := len(c.Answer) + len(c.Authority)
	if parts == 0 || parts > maxChain || c.Rcode < 0 || c.Rcode > 0xFFF {
		return 0, 0
	}
	ttl, size = 1<<32-1, len(c.Name)
	for _, section := range [...][]*dnssec.RRset{c.Answer, c.Authority} {
		for _, set := range section {
			if set.Class != dns.ClassINET {
				return 0, 0
			}
			ttl, size = min(ttl, set.TTL), size+set.Size()
		}
	}
	return ttl, size
}

// chainParts takes apart what follows the head of a chain.
func (e entry) chainParts() (rcode, answers, authorities int, sets string) {
	body := e.body()
	return int(be16(body)), int(body[2]), int(body[3]), body[4:]
}

// chain reads what PutChain wrote.
func (e entry) chain(i instant) Chain {
	rcode, answers, authorities, body := e.chainParts()
	ttl := e.span().seconds(i)
	sets := make([]dnssec.RRset, answers+authorities)
	parts := make([]*dnssec.RRset, len(sets))
	for at := range sets {
		body = readWhole(&sets[at], body, ttl)
		parts[at] = &sets[at]
	}
	return Chain{
		Name: e.name(), Type: e.rrtype(), Rcode: rcode, Status: e.standing().status, TTL: ttl, Extended: e.note().code(),
		Answer: parts[:answers:answers], Authority: parts[answers:],
	}
}
