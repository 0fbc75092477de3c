package resolver_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
)

// simStep is the truth about one name and type: the records, the alias that leads on, or
// that there is nothing. It is computed from the data of the zones alone.
type simStep struct {
	zone     *simZone
	records  []string // lines as brief has them; of an alias its record
	alias    string   // where it leads
	redirect string   // owner of the DNAME that redirects the name
	rcode    int      // where there are no records
	ttl      uint32   // of the records or of the denial, as the zone has it
	status   dnssec.Status
	weak     bool // may be insecure as well: a denial that rests on opt-out
	unsigned bool // is insecure to a resolver that has an older delegation, and cannot be checked then
	signed   bool // is secure to a resolver that has an older delegation
	covered  bool // the name is not there, and may be a delegation for all that opt-out says
	spoilt   bool // the RRset does not validate
	free     bool // the zone's servers may say anything
	until    time.Time
}

// status returns the DNSSEC status of a zone's data.
func (v *simVersion) status(z *simZone) dnssec.Status {
	if z.origin == "." {
		return dnssec.Secure
	}
	if above := v.status(v.zoneOf(above(z.origin))); above != dnssec.Secure {
		return above
	}
	switch s := &z.signing; {
	case !s.on || s.noDS:
		return dnssec.Insecure
	case s.broken:
		return dnssec.Bogus
	}
	return dnssec.Secure
}

// step answers a question from the zones' data, as RFC 1034 §4.3.2 says.
func (v *simVersion) step(name string, qtype uint16) simStep {
	z := v.zoneOf(name)
	// Data in one response with a wildcard that rests on opt-out is kept as insecure too.
	s := simStep{zone: z, status: v.status(z), free: z.hostile, weak: z.signing.optOut, ttl: simDataTTL}
	for at := name; at != z.origin; {
		at = above(at)
		if dname := z.at(at, dns.TypeDNAME); dname != nil {
			return s.redirected(name, at, dname[0].(*dns.DNAME))
		}
	}
	source, encloser := name, name
	for !v.exists(z, encloser) {
		encloser = above(encloser)
	}
	if encloser != name {
		s.weak, s.covered = z.signing.optOut, z.signing.optOut
		source = "*." + encloser
		if encloser == "." {
			source = "*."
		}
		if !v.exists(z, source) {
			s.rcode = dns.RcodeNameError
			return s
		}
	}
	return s.fromNode(z, source, name, qtype)
}

func (s simStep) redirected(name, owner string, dname *dns.DNAME) simStep {
	s.records = lowered(brief([]dns.RR{dname}))
	s.redirect, s.ttl = owner, dname.Hdr.Ttl
	s.alias = strings.TrimSuffix(name, owner) + dname.Target
	return s
}

// fromNode answers from the records at source for the name.
func (s simStep) fromNode(z *simZone, source, name string, qtype uint16) simStep {
	set := z.at(source, qtype)
	if set == nil {
		if set = z.at(source, dns.TypeCNAME); set != nil {
			s.alias = strings.ToLower(set[0].(*dns.CNAME).Target)
		}
	}
	s.weak = s.weak || set == nil && z.signing.optOut
	if set == nil {
		return s
	}
	s.spoilt = z.signing.sets[source+" "+dns.TypeToString[set[0].Header().Rrtype]]
	if s.spoilt && s.status == dnssec.Secure {
		s.status = dnssec.Bogus
	}
	var rrs []dns.RR
	for _, rr := range set {
		rr = dns.Copy(rr)
		rr.Header().Name = name
		rrs = append(rrs, rr)
	}
	s.records, s.ttl = lowered(brief(rrs)), set[0].Header().Ttl
	return s
}

// at returns the records of a type at a name; nil if there are none.
func (z *simZone) at(name string, rrtype uint16) []dns.RR {
	var set []dns.RR
	for _, rr := range z.records {
		if h := rr.Header(); h.Name == name && h.Rrtype == rrtype {
			set = append(set, rr)
		}
	}
	return set
}

// exists reports whether a zone has the name: it or one below it owns records, or is
// delegated.
func (v *simVersion) exists(z *simZone, name string) bool {
	if name == z.origin {
		return true
	}
	for _, rr := range z.records {
		if dns.IsSubDomain(name, rr.Header().Name) {
			return true
		}
	}
	for origin, other := range v.zones {
		if !other.revoked && origin != z.origin && dns.IsSubDomain(name, origin) {
			return true
		}
	}
	return false
}

// isExpanded reports whether a name's records come from a wildcard, in any version.
func (w *simWorld) isExpanded(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.versions, func(v *simVersion) bool { return !v.exists(v.zoneOf(name), name) })
}

// denier returns the zone that a record of a denial is of.
func (v *simVersion) denier(rr dns.RR) *simZone {
	owner := strings.ToLower(rr.Header().Name)
	if sig, ok := rr.(*dns.RRSIG); ok && v.zones[strings.ToLower(sig.SignerName)] != nil {
		return v.zones[strings.ToLower(sig.SignerName)]
	}
	if z := v.zoneOf(owner); z.origin != owner || owner == "." {
		return z
	}
	nsec, ok := rr.(*dns.NSEC)
	if ok && !slices.Contains(nsec.TypeBitMap, dns.TypeSOA) { // of a delegation
		return v.zoneOf(above(owner))
	}
	return v.zones[owner]
}

func lowered(lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = strings.ToLower(line)
	}
	return out
}

// slack is how much later than it was sent a reply may be accepted.
const slack = 30 * time.Second

// steps returns all that may be believed about a name by a question asked at from and
// answered at to: what is true then, and what was until its TTL has run out since.
func (w *simWorld) steps(name string, qtype uint16, from, to time.Time) []simStep {
	w.mu.Lock()
	defer w.mu.Unlock()
	var steps []simStep
	known := w.versions // those whose delegations may be known still
	for len(known) > 1 && from.After(known[1].from.Add(w.lease())) {
		known = known[1:]
	}
	for i, v := range w.versions {
		if v.from.After(to) {
			break
		}
		s := v.step(name, qtype)
		s.until = w.until(i, s.zone)
		s.unsigned = slices.ContainsFunc(known, func(v *simVersion) bool { return v.leavesUnsigned(s.zone) })
		s.signed = !s.spoilt && slices.ContainsFunc(known, func(v *simVersion) bool { return v.vouchesFor(s.zone) })
		if !s.until.IsZero() && from.After(s.until) {
			continue
		}
		steps = append(steps, s)
		if z := s.zone; z.ghost != "" && (s.status != dnssec.Secure || s.unsigned || s.covered) && from.Before(z.since.Add(w.lease())) {
			s.free, s.until = true, z.since.Add(w.lease())
			if s.status == dnssec.Secure {
				s.status, s.signed = dnssec.Insecure, false
			}
			steps = append(steps, s)
		}
	}
	takenBack(steps)
	return steps
}

// leavesUnsigned reports whether a zone is insecure to a resolver that has its delegation
// of this version.
func (v *simVersion) leavesUnsigned(z *simZone) bool {
	then := v.zones[z.origin]
	return v.status(then) == dnssec.Insecure || v.hidden(then)
}

// vouchesFor reports whether a zone is secure to a resolver that has its delegation of this
// version: the DS of then is that of the keys it has.
func (v *simVersion) vouchesFor(z *simZone) bool {
	then := v.zones[z.origin]
	same := then.signing.ksk <= z.signing.ksk && z.signing.ksk <= then.signing.ksk+1
	return v.status(then) == dnssec.Secure && z.signing.on && !z.signing.broken && same
}

// hidden reports whether a zone's delegation has been removed and the denial that is there
// now rests on opt-out: to a resolver that still has the delegation, that is the proof that
// it has no DS (RFC 5155 §8.9).
func (v *simVersion) hidden(z *simZone) bool {
	parent := v.zoneOf(above(z.origin))
	return z.revoked && parent.signing.optOut && v.status(parent) == dnssec.Secure
}

// takenBack allows for a parent's answers about names in a zone that it has taken back, at
// a resolver that still has the delegation: they stand in place of that zone's answers,
// which need no signature of its keys where it is not signed, or where the name lies in an
// opt-out range of it.
func takenBack(steps []simStep) {
	for i := range steps {
		s := &steps[i]
		s.weak = s.weak || slices.ContainsFunc(steps[:i], func(before simStep) bool {
			below := before.zone.origin != s.zone.origin && dns.IsSubDomain(s.zone.origin, before.zone.origin)
			return below && (before.weak || before.unsigned || before.status == dnssec.Insecure)
		})
	}
}

func (w *simWorld) lease() time.Duration {
	return (simLeaseTTL+simDataTTL)*time.Second + slack + w.backward
}

// until says how long the zone of the ith version may be believed; the zero time: it is
// still true.
func (w *simWorld) until(i int, z *simZone) time.Time {
	for _, v := range w.versions[i+1:] {
		switch next := v.zones[z.origin]; {
		case next == z:
		case next.lasting:
			return v.from.Add(w.lease())
		default:
			return v.from.Add(simDataTTL*time.Second + slack + w.backward)
		}
	}
	return time.Time{}
}

// judge reports what is wrong with an answer; "" if nothing is.
func (w *simWorld) judge(r *resolver.Result, from, to time.Time) string {
	rest := groups(r.Answer)
	status := []dnssec.Status{dnssec.Secure}
	cur, qtype := r.Question.Name, r.Question.Qtype
	var given []string // DNAME records that the answer has had so far
	var zones []*simZone
	for {
		var group []string
		if len(rest) > 0 {
			group = rest[0]
		}
		possible := w.steps(cur, qtype, from, to)
		for i := range possible {
			possible[i].shorten(cur, given)
			zones = append(zones, possible[i].zone)
		}
		i := slices.IndexFunc(possible, func(s simStep) bool { return s.allows(group, cur, r.Rcode) })
		if i < 0 {
			return fmt.Sprintf("%s: got %q (%s), want one of %s", cur, group, dns.RcodeToString[r.Rcode], describe(possible))
		}
		var states []dnssec.Status
		last, longest := time.Time{}, uint32(0)
		for _, s := range possible[i:] {
			if s.allows(group, cur, r.Rcode) {
				longest = max(longest, s.ttl)
				if s.free {
					longest = maxSimTTL
				}
				if group == nil {
					longest = min(longest, maxSimDenialTTL)
				}
				states = append(states, s.states()...)
				if last = later(last, s.until); s.until.IsZero() {
					last = to.Add(24 * time.Hour)
				}
			}
		}
		if r.FromCache && to.Add(r.TTL).After(last.Add(time.Second)) {
			return fmt.Sprintf("%s: got TTL %v, want %v at most, when it is no longer true", cur, r.TTL, last.Sub(to))
		}
		if most := time.Duration(longest) * time.Second; r.TTL > most {
			return fmt.Sprintf("%s: got TTL %v, want %v at most, which is what the zone says", cur, r.TTL, most)
		}
		status = worst(status, states)
		next, used := follow(rest, cur, qtype)
		if next == "" {
			if len(rest) > used {
				return fmt.Sprintf("%s: got %q behind the answer", cur, rest[used:])
			}
			break
		}
		if strings.Contains(group[0], " dname ") {
			given = append(given, group[0])
		}
		cur, rest = next, rest[used:]
	}
	if !slices.Contains(status, r.Status) {
		return fmt.Sprintf("%s: got %v, want one of %v", r.Question.Name, r.Status, status)
	}
	return w.now().strangers(r.Authority, zones)
}

// maxSimTTL is what the TTLs of hostile servers may come to: a day (attacks.md §4).
const maxSimTTL = 86400

// maxSimDenialTTL is the same of denials: an hour.
const maxSimDenialTTL = 3600

// strangers returns a record in the proof of an answer that none of the zones may speak
// for; "" if there is none. A zone above may have been asked, whose servers know the zone
// too, and may have added what they deny.
func (v *simVersion) strangers(proof []dns.RR, zones []*simZone) string {
	for _, rr := range proof {
		owner := strings.ToLower(rr.Header().Name)
		mine := func(z *simZone) bool {
			nsec, ok := rr.(*dns.NSEC)
			switch rrtype := rr.Header().Rrtype; {
			case ok && z.hostile && !dns.IsSubDomain(z.origin, nsec.NextDomain):
				return false
			case z.hostile, dns.IsSubDomain(z.origin, owner) && rrtype != dns.TypeSOA:
				return dns.IsSubDomain(z.origin, owner)
			case rrtype == dns.TypeSOA:
				return owner == z.origin
			}
			return dns.IsSubDomain(v.denier(rr).origin, z.origin)
		}
		if !slices.ContainsFunc(zones, mine) {
			return fmt.Sprintf("got %q in the proof, want none of another zone", brief([]dns.RR{rr}))
		}
	}
	return ""
}

// allows reports whether an RRset of an answer, or its end where group is nil, is as the
// step says.
func (s simStep) allows(group []string, cur string, rcode int) bool {
	switch {
	case s.status == dnssec.Bogus && !s.unsigned && !s.signed:
		return false
	case s.free && group != nil:
		owner, _, _ := strings.Cut(group[0], " ")
		return owner == cur || dns.IsSubDomain(s.zone.origin, owner)
	case s.free:
		return true
	case group == nil && s.redirect != "":
		return rcode == dns.RcodeYXDomain
	case group == nil && s.records == nil && s.zone.signing.compact():
		return rcode == dns.RcodeSuccess || rcode == s.rcode // RFC 9824 denies a name as if it had no records
	case group == nil:
		return s.records == nil && s.rcode == rcode
	}
	return slices.Equal(s.records, group)
}

// shorten makes the step of a DNAME that the answer has had already what it is the second
// time: the CNAME that it stands for, alone.
func (s *simStep) shorten(cur string, given []string) {
	if s.redirect != "" && slices.Contains(given, s.records[0]) {
		s.records, s.redirect = []string{fmt.Sprintf("%s cname %s", cur, s.alias)}, ""
	}
}

// states returns the statuses that an answer of the step may have.
func (s simStep) states() []dnssec.Status {
	var states []dnssec.Status
	if s.status == dnssec.Secure || s.signed {
		states = append(states, dnssec.Secure)
	}
	if s.status == dnssec.Insecure || s.unsigned || len(states) > 0 && s.weak {
		states = append(states, dnssec.Insecure)
	}
	return states
}

// worst combines the statuses that two parts of an answer may have to those of the whole.
func worst(a, b []dnssec.Status) []dnssec.Status {
	var out []dnssec.Status
	for _, x := range a {
		for _, y := range b {
			if s := x.Worst(y); !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// follow finds where the first of the RRsets leads, and how many it takes: "" where the
// chain ends.
func follow(rest [][]string, cur string, qtype uint16) (next string, used int) {
	if len(rest) == 0 {
		return "", 0
	}
	fields := strings.Fields(rest[0][0])
	switch owner, rrtype, data := fields[0], fields[1], fields[2]; {
	case rrtype == "dname" && owner != cur:
		next = strings.TrimSuffix(cur, owner) + data
		want := fmt.Sprintf("%s cname %s", cur, next)
		if len(rest) < 2 || !slices.Equal(rest[1], []string{want}) {
			return "", 1 // the check for what is behind finds it
		}
		if qtype == dns.TypeCNAME {
			return "", 2 // the CNAME that the DNAME stands for is the answer
		}
		return next, 2
	case rrtype == "cname" && qtype != dns.TypeCNAME:
		return data, 1
	}
	return "", 1
}

// groups returns the RRsets of an answer as lines in lower case, without signatures.
func groups(rrs []dns.RR) [][]string {
	rrs = slices.DeleteFunc(slices.Clone(rrs), func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG })
	var out [][]string
	for _, line := range lowered(brief(rrs)) {
		if n := len(out); n > 0 && sameSet(out[n-1][0], line) {
			out[n-1] = append(out[n-1], line)
		} else {
			out = append(out, []string{line})
		}
	}
	return out
}

func describe(steps []simStep) string {
	var b strings.Builder
	for _, s := range steps {
		fmt.Fprintf(&b, "\n\t%q %s %v of zone %s", s.records, dns.RcodeToString[s.rcode], s.status, s.zone.origin)
		if s.free {
			b.WriteString(", or anything")
		}
		if !s.until.IsZero() {
			fmt.Fprintf(&b, ", until %v", s.until.Format(time.TimeOnly))
		}
	}
	return b.String()
}

// outcome returns how a question must end when all is well: "answer", "bogus", "anything"
// where a hostile zone is involved, or "long" for chains of aliases that may be given up.
func (w *simWorld) outcome(name string, qtype uint16) string {
	const longest = 8
	for range longest {
		w.mu.Lock()
		s := w.versions[len(w.versions)-1].step(name, qtype)
		w.mu.Unlock()
		switch {
		case s.status == dnssec.Bogus:
			return "bogus"
		case s.free:
			return "anything"
		case s.alias == "":
			return "answer"
		}
		name = s.alias
	}
	return "long"
}
