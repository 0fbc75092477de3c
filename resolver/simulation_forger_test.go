package resolver_test

import (
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// simReply is a genuine reply that a forger has seen, and the data of the zone then.
type simReply struct {
	name  string
	qtype uint16
	zone  *simZone
	msg   *dns.Msg
}

// simForgeries is how many kinds of forgeries there are.
const simForgeries = 8

// forge changes a reply on its way, as somebody can who sees the query. Only signatures
// help, so that it is done only to what nobody can hold to be unsigned, and not to the
// addresses of name servers, which no signature protects on the way to them.
func (n *simNet) forge(query, reply *dns.Msg) {
	q := query.Question[0]
	name := strings.ToLower(q.Name)
	z := n.world.surelySecure(name)
	if z == nil || !reply.Authoritative || strings.HasPrefix(name, "ns") {
		return
	}
	rng := n.dice(query, reply)
	poison := func() dns.RR { return parsed(name + " 86400 IN A " + poisonAddr) }
	nothing := func(rcode int) {
		reply.Rcode, reply.Answer = rcode, nil
		reply.Ns = slices.DeleteFunc(slices.Clone(reply.Ns), func(rr dns.RR) bool { return rr.Header().Rrtype != dns.TypeSOA })
	}
	n.tally[faultForgery].Add(1)
	kind := rng.IntN(simForgeries)
	if besideWildcard(name) {
		kind = 6
	}
	switch kind {
	case 0: // another address, unsigned
		reply.Rcode, reply.Answer, reply.Ns = dns.RcodeSuccess, []dns.RR{poison()}, nil
	case 1: // another address under the signature of the right one
		for i, rr := range reply.Answer {
			if a, ok := rr.(*dns.A); ok {
				forged := poison()
				forged.Header().Ttl = a.Hdr.Ttl
				reply.Answer[i] = forged
			}
		}
	case 2: // no signatures
		isSignature := func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG }
		reply.Answer = slices.DeleteFunc(slices.Clone(reply.Answer), isSignature)
		reply.Ns = slices.DeleteFunc(slices.Clone(reply.Ns), isSignature)
	case 3: // a denial without proof
		nothing([]int{dns.RcodeNameError, dns.RcodeSuccess}[rng.IntN(2)])
	case 4, 5: // a denial with the proof for another name or type, of this zone or another one
		isOther := func(r simReply) bool { return r.name != name || r.qtype != q.Qtype }
		if seen := n.seen(rng.IntN(1<<16), func(r simReply) bool { return len(r.msg.Answer) == 0 && (kind == 5 || r.zone == z) && isOther(r) }); seen != nil {
			reply.Rcode, reply.Answer, reply.Ns = seen.msg.Rcode, nil, copies(seen.msg.Ns)
			if kind == 5 {
				soa := parsed(z.origin + " 300 IN SOA ns. h. 1 1 1 1 300")
				reply.Ns = append([]dns.RR{soa}, slices.DeleteFunc(reply.Ns, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeSOA })...)
			}
		}
	case 6: // what a wildcard gives, for a name that it is not for
		if seen := n.seen(rng.IntN(1<<16), func(r simReply) bool { return r.zone == z && r.name != name && isExpanded(r.msg, q.Qtype) }); seen != nil {
			reply.Rcode, reply.Answer, reply.Ns = dns.RcodeSuccess, copies(seen.msg.Answer[:2]), copies(seen.msg.Ns)
			for _, rr := range reply.Answer {
				rr.Header().Name = q.Name
			}
		}
	case 7: // a signature that ends later, or another signer
		for _, rr := range slices.Concat(reply.Answer, reply.Ns) {
			if sig, ok := rr.(*dns.RRSIG); ok && rng.IntN(2) == 0 {
				sig.Expiration += 86400
			} else if ok {
				sig.SignerName = "example."
			}
		}
	}
}

// isExpanded reports whether the answer is one RRset that a wildcard gave, with its
// signature.
func isExpanded(m *dns.Msg, qtype uint16) bool {
	if len(m.Answer) != 2 || m.Answer[0].Header().Rrtype != qtype {
		return false
	}
	sig, ok := m.Answer[1].(*dns.RRSIG)
	return ok && int(sig.Labels) < dns.CountLabel(sig.Hdr.Name)
}

// learn keeps genuine replies of signed zones for forge: proofs, and what wildcards give.
// A zone's are forgotten with the next change of it: until then they are true of the names
// they were given for.
func (n *simNet) learn(query, reply *dns.Msg) {
	name := strings.ToLower(query.Question[0].Name)
	z := n.world.surelySecure(name)
	if z == nil || !reply.Authoritative || len(reply.Answer) > 0 && !isExpanded(reply, query.Question[0].Qtype) {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.replies = append(n.replies, simReply{name: name, qtype: query.Question[0].Qtype, zone: z, msg: reply.Copy()})
}

// seen chooses among the replies that forge may use.
func (n *simNet) seen(dice int, fit func(simReply) bool) *simReply {
	v := n.world.now()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.replies = slices.DeleteFunc(n.replies, func(r simReply) bool { return v.zones[r.zone.origin] != r.zone })
	var of []simReply
	for _, r := range n.replies {
		if fit(r) {
			of = append(of, r)
		}
	}
	if len(of) == 0 {
		return nil
	}
	return &of[dice%len(of)]
}

// forges is the filter for forge: for every other question for a name beside a wildcard,
// which there are few of.
func (n *simNet) forges(q resolvertest.Query) bool {
	if q.Unconnected || n.rates[faultForgery] == 0 || !n.notQuiet(q) {
		return false
	}
	d := n.decide(q)
	return d.faults[faultForgery] || besideWildcard(strings.ToLower(q.Name)) && d.dice%2 == 0
}

// besideWildcard reports whether a zone may have this name beside a wildcard.
func besideWildcard(name string) bool { return strings.HasPrefix(name, "e.w.") }

func copies(rrs []dns.RR) []dns.RR {
	out := make([]dns.RR, len(rrs))
	for i, rr := range rrs {
		out[i] = dns.Copy(rr)
	}
	return out
}

// parsed reads a record.
func parsed(text string) dns.RR {
	rr, err := dns.NewRR(text)
	if err != nil {
		panic(err)
	}
	return rr
}

// surelySecure gives the zone that a name is in, if that is the same one, signed, vouched
// for and without opt-out, in all versions of the world that a resolver may remember
// delegations from; nil otherwise.
func (w *simWorld) surelySecure(name string) *simZone {
	w.mu.Lock()
	defer w.mu.Unlock()
	var z *simZone
	for i, v := range w.versions {
		if next := i + 1; next < len(w.versions) && time.Now().After(w.versions[next].from.Add(w.lease())) {
			continue
		}
		now := v.zoneOf(name)
		if v.status(now) != dnssec.Secure || z != nil && z.origin != now.origin {
			return nil
		}
		for at := now; ; at = v.zoneOf(above(at.origin)) {
			if at.signing.optOut {
				return nil
			}
			if at.origin == "." {
				break
			}
		}
		z = now
	}
	return z
}
