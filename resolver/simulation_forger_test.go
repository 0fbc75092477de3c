package resolver_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// forge changes a reply on its way, as an attacker can that sees the query and has asked
// the servers itself before. Only signatures help, so that it is done only to data that
// cannot pass for unsigned, and not to the addresses of name servers, which no signature
// protects on the way to them.
func (n *simNet) forge(query, reply *dns.Msg) {
	q := query.Question[0]
	name := strings.ToLower(q.Name)
	z := n.world.surelySecure(name)
	if z == nil || strings.HasPrefix(name, "ns") {
		return
	}
	rng := n.dice(query, reply)
	switch {
	case !reply.Authoritative && !isReferral(reply):
		return
	case !reply.Authoritative && rng.IntN(2) == 0:
		n.downgrade(rng, z, name, reply)
	case !reply.Authoritative || rng.IntN(2) == 0:
		n.deny(rng, z, name, reply)
	case besideWildcard(name) && rng.IntN(4) > 0:
		n.expand(rng, z, q, reply)
	default:
		n.alter(rng, z, q, reply)
	}
	n.tally[faultForgery].Add(1)
}

// alter changes an answer without records of other answers, or replaces it by a whole other
// answer.
func (n *simNet) alter(rng *rand.Rand, z *simZone, q dns.Question, reply *dns.Msg) {
	name := strings.ToLower(q.Name)
	poison := func() dns.RR { return parsed(name + " 86400 IN A " + poisonAddr) }
	switch rng.IntN(6) {
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
		reply.Rcode, reply.Answer = []int{dns.RcodeNameError, dns.RcodeSuccess}[rng.IntN(2)], nil
		reply.Ns = slices.DeleteFunc(slices.Clone(reply.Ns), func(rr dns.RR) bool { return rr.Header().Rrtype != dns.TypeSOA })
	case 4: // what is true of another name or type of the zone
		other := []string{"h9.", "x.h0.", "ent.", "x.w.", "h0.", ""}[rng.IntN(6)] + strings.TrimPrefix(z.origin, ".")
		if seen := n.spy(z, dns.Fqdn(other), []uint16{dns.TypeHINFO, q.Qtype}[rng.IntN(2)]); seen != nil {
			reply.Rcode, reply.Answer, reply.Ns = seen.Rcode, seen.Answer, seen.Ns
		}
	case 5: // a signature that ends later, or another signer
		for _, rr := range slices.Concat(reply.Answer, reply.Ns) {
			if sig, ok := rr.(*dns.RRSIG); ok && rng.IntN(2) == 0 {
				sig.Expiration += 86400
			} else if ok {
				sig.SignerName = "example."
			}
		}
	}
}

// expand answers for a name with the records that a wildcard has for others.
func (n *simNet) expand(rng *rand.Rand, z *simZone, q dns.Question, reply *dns.Msg) {
	other := fmt.Sprintf("x%d.%s", rng.IntN(10), above(strings.ToLower(q.Name)))
	seen := n.spy(z, other, q.Qtype)
	if seen == nil || !isExpanded(seen) {
		return
	}
	reply.Rcode, reply.Answer, reply.Ns = dns.RcodeSuccess, seen.Answer[:2], seen.Ns
	for _, rr := range reply.Answer {
		rr.Header().Name = q.Name
	}
}

// deny makes up a denial from signed records of the zone, of one above it or of another
// one.
func (n *simNet) deny(rng *rand.Rand, z *simZone, name string, reply *dns.Msg) {
	soa, proof := n.evidence(n.denier(rng, z), name)
	reply.Rcode = []int{dns.RcodeNameError, dns.RcodeSuccess}[rng.IntN(2)]
	reply.Authoritative, reply.Answer = true, nil
	reply.Ns = append(soa, some(rng, proof)...)
	reply.Extra = slices.DeleteFunc(slices.Clone(reply.Extra), func(rr dns.RR) bool { return rr.Header().Rrtype != dns.TypeOPT })
}

// downgrade removes the DS from a referral, and puts signed records in its place that are
// to prove that there is none.
func (n *simNet) downgrade(rng *rand.Rand, z *simZone, name string, reply *dns.Msg) {
	_, proof := n.evidence(n.denier(rng, z), name)
	reply.Ns = slices.DeleteFunc(slices.Clone(reply.Ns), func(rr dns.RR) bool { return rr.Header().Rrtype != dns.TypeNS })
	reply.Ns = append(reply.Ns, some(rng, proof)...)
}

// isExpanded reports whether the answer is one RRset made from a wildcard, with its
// signature.
func isExpanded(m *dns.Msg) bool {
	if len(m.Answer) != 2 {
		return false
	}
	sig, ok := m.Answer[1].(*dns.RRSIG)
	return ok && int(sig.Labels) < dns.CountLabel(sig.Hdr.Name)
}

// forges is the filter for forge: every other question for a name about which signed
// records are at hand to lie with, of which there are few.
func (n *simNet) forges(q resolvertest.Query) bool {
	if q.Unconnected || n.rates[faultForgery] == 0 || !n.notQuiet(q) {
		return false
	}
	d := n.decide(q)
	return d.faults[faultForgery] || isTempting(strings.ToLower(q.Name)) && d.dice%2 == 0
}

// isTempting reports whether a zone may have the name beside or out of a wildcard, or may
// redirect it.
func isTempting(name string) bool {
	return strings.Contains(name, ".w.") || strings.Contains(name, ".d0.")
}

// besideWildcard reports whether a zone may have this name beside a wildcard.
func besideWildcard(name string) bool { return strings.HasPrefix(name, "e.w.") }

// parsed reads a record.
func parsed(text string) dns.RR {
	rr, err := dns.NewRR(text)
	if err != nil {
		panic(err)
	}
	return rr
}

// surelySecure returns the zone that a name is in, if that is the same one, signed, vouched
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
