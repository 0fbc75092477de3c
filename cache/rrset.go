package cache

import (
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// Item is a cached RRset.
type Item struct {
	// Set is the RRset. Its strings are the cache's own bytes, which never change.
	// Set.TTL is the TTL left.
	Set    dnssec.RRset
	Rank   Rank
	Status dnssec.Status
	Trust  Trust
	// TTL is what is left in seconds, at least 1.
	TTL uint32
	// Prefetch: the set is asked for again and again and about to expire, so it is
	// worth being fetched now, by the caller for which View.ClaimRefresh is true.
	Prefetch bool
	// Stale: the set has expired, and came from GetStale.
	Stale bool
	// Extended is as Meta.Extended.
	Extended uint16
}

// Meta says what data is worth and for how long.
type Meta struct {
	Rank   Rank
	Status dnssec.Status
	Trust  Trust
	// NotAfter ends the data's life whatever its TTL says: the lease of the zone cut
	// it came through, or the end of its signatures. Zero: only the TTL does.
	NotAfter time.Time
	// Extended is the extended DNS error that says why data of a signed zone is Insecure:
	// that its algorithms (1), its digests (2) or its NSEC3 iterations (27) are not
	// supported (RFC 8914 §4, RFC 9276 §3.2). It costs no memory. 0 is nothing, and so are
	// all others.
	Extended uint16
	// Vouched: the reply cannot have been forged without seeing the query, since it came over a
	// connection or with a right cookie. Only PutCut uses it.
	Vouched bool
}

func (m Meta) standing() standing { return standing{m.Rank, m.Status} }

func (m Meta) note() note { return noteOf(m.Status, m.Extended) }

// Get looks for an RRset of at least the given rank that is alive at now, and counts
// as a use of it. For Unchecked it returns Checked data if there is some.
func (v *View) Get(now time.Time, name dnssec.Name, rrtype uint16, trust Trust, least Rank) (Item, bool) {
	i, s := v.cache.at(now), v.hashed(name)
	if trust != Checked { // which are two places, mostly of name servers, and for little
		s = v.look(s)
	}
	e, hot, ok := v.live(i, s, name, rrtype, trust, least)
	if !ok {
		return Item{}, false
	}
	item := e.item(i)
	item.Prefetch = hot && dueForPrefetch(e.span(), i)
	return item, true
}

// live is Get at the spot of the name, and returns the entry.
func (v *View) live(i instant, s spot, name dnsname.Name, rrtype uint16, trust Trust, least Rank) (e entry, hot, ok bool) {
	k, missed := key{name: name, rrtype: rrtype}, missAbsent
	for k.trust = Checked; k.trust <= trust; k.trust++ {
		e, hot, ok = v.entryAt(s, k, true)
		switch {
		case !ok:
		case e.span().left(i) <= 0:
			missed = missExpired
		case e.standing().rank < least:
			missed = missRank
		default:
			v.count(k, hitRRset)
			return e, hot, true
		}
	}
	v.count(k, missed)
	return "", false, false
}

// entry returns the entry of k in this view, alive or not. hot tells whether it had
// been used before. Unchecked data gains nothing by being used, so that questions with
// CD=1, however often they are asked, push out nothing that was validated.
func (v *View) entry(k key, use bool) (e entry, hot, ok bool) {
	return v.entryAt(v.spot(k.name), k, use)
}

// entryAt is entry at the spot of its name.
func (v *View) entryAt(s spot, k key, use bool) (e entry, hot, ok bool) {
	if !s.may(k.mark()) {
		return "", false, false
	}
	k.view = v.id
	hash := v.cache.hasher.at(s, &k)
	e, hot, ok = v.cache.storeOf(k).shard(hash).get(hash, use && k.trust == Checked)
	return e, hot, ok && e.is(&k)
}

// storeOf keeps the keys and DS records of validation apart from answers.
func (c *Cache) storeOf(k key) *store[entry] {
	if k.rrtype == dns.TypeDNSKEY || k.rrtype == dns.TypeDS {
		return &c.keys
	}
	return &c.answers
}

// item reads an RRset entry. TTL is 0 when it is no longer alive.
func (e entry) item(i instant) Item {
	records, signatures := setBody(e.body())
	st, ttl := e.standing(), e.span().seconds(i)
	return Item{
		Set: dnssec.RRset{
			Owner: e.name(), Type: e.rrtype(), Class: dns.ClassINET, TTL: ttl,
			Records: records, Signatures: signatures,
		},
		Rank: st.rank, Status: st.status, Trust: e.trust(), TTL: ttl, Extended: e.note().code(),
	}
}

// Put keeps a copy of the set, or returns why it does not: a *LimitError or ErrNotKept. The
// set can be used all the same. It does not keep sets with a TTL of 0, of another
// class than IN, of types that are no data (OPT, ANY and the like), over a limit of
// Options, or Bogus yet said to be Checked; nor sets that may not replace what is there. A
// set that is kept ends a failure of its name and type, and denials that it contradicts
// unless their standing is better.
func (v *View) Put(now time.Time, set *dnssec.RRset, m Meta) error {
	if set == nil {
		return ErrNotKept
	}
	k := key{name: set.Owner, view: v.id, rrtype: set.Type, kind: KindRRset, trust: m.Trust}
	err := v.store(now, k, set, m)
	if err != nil {
		v.refuse(k)
	}
	return err
}

// TTL returns for how many seconds an RRset is kept, if it is: its own TTL, Options.MaxTTL or
// the time until m.NotAfter, whichever is shortest. The first answer has that TTL too, so that
// no cache behind this one keeps the set for longer.
func (v *View) TTL(now time.Time, set *dnssec.RRset, m Meta) uint32 {
	return ttlOf(v.life(now, set, m))
}

func (v *View) life(now time.Time, set *dnssec.RRset, m Meta) time.Duration {
	return lifetime(now, set.TTL, v.cache.options.MaxTTL, m.NotAfter)
}

func (v *View) store(now time.Time, k key, set *dnssec.RRset, m Meta) error {
	d := v.life(now, set, m)
	if d <= 0 || !m.plausible() || set.Owner == "" || set.Class != dns.ClassINET || isMeta(set.Type) || set.Records == "" {
		return ErrNotKept
	}
	if err := v.cache.options.admit(set); err != nil {
		return err
	}
	i, s := v.cache.at(now), v.spot(k.name)
	if !v.admitType(i, k, d) {
		v.count(k, refusedTypes)
		return &LimitError{"MaxTypes", v.cache.options.MaxTypes}
	}
	if !v.displaceOthers(i, s, k, m.standing()) {
		return ErrNotKept
	}
	var scratch [512]byte // most sets fit, so that only the entry itself is allocated
	b := appendSet(appendHead(scratch[:0], head{k, m.standing(), spanOf(i, d), m.note()}), set)
	if !v.place(i, s, k, entry(b)) {
		return ErrNotKept
	}
	v.learnWildcard(i, set, m, d)
	v.forget(s, KindFailure, k)
	for k.name = k.name.Parent(); !k.name.IsRoot(); k.name = k.name.Parent() {
		v.retract(v.spot(k.name), KindNameError, k, m.standing()) // a name exists if one below it does
	}
	return nil
}

// isMeta reports whether a type belongs to queries or messages and not to zones. RFC
// 6895 §3.1.
func isMeta(rrtype uint16) bool {
	return rrtype == 0 || rrtype == dns.TypeOPT || 128 <= rrtype && rrtype <= 255
}
