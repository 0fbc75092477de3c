package resolver_test

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// simFault is a kind of fault in a simulated Internet.
type simFault int

const (
	faultLoss simFault = iota
	faultDelay
	faultReorder
	faultDuplicate
	faultTruncate
	faultCorrupt
	faultReset
	faultPartial
	faultDrip
	faultForged
	faultFragment
	faultStray
	faultForgery
	faultServfail
	faultRefused
	faultRestart
	faultHostile
	faultGhost
	faultZoneChange
	faultKeyRoll
	faultMove
	faultRevoke
	faultClock
	faultCancel
	simFaults // how many there are
)

func (f simFault) String() string {
	return [simFaults]string{
		"loss", "delay", "reorder", "duplicate", "truncate", "corrupt", "TCP reset", "partial TCP", "TCP drip", "forged packets", "forged fragments", "stray records", "changed replies",
		"SERVFAIL", "REFUSED", "server restarts", "hostile replies", "ghost replies", "zone changes", "key roll steps", "moves", "revocations", "clock jumps", "cancelled callers",
	}[f]
}

// simTally counts how often each kind has happened.
type simTally [simFaults]atomic.Int64

// simNet decides what happens to each packet. Its decisions are a function of the seed, of
// the question, of the server, and of how often that has been asked before, so that they do
// not depend on the order in which goroutines run.
type simNet struct {
	seed  uint64
	world *simWorld
	tally *simTally
	rates [simFaults]float64

	mu     sync.Mutex
	quiet  bool
	asked  map[string]uint64       // how often
	latest map[string]time.Time    // when a name was last asked for
	drawn  map[string]simDecisions // likewise
	last   map[string][]byte       // the last reply of each server
	down   map[string]time.Time    // until when a server is down

	// ask puts a query to a server for a forger.
	ask func(server string, query *dns.Msg) *dns.Msg
}

// simDecisions is what happens to one query.
type simDecisions struct {
	latency time.Duration
	faults  [simFaults]bool
	dice    uint64 // for the details
}

// newSimNet makes a network with its own rates of faults.
func newSimNet(seed uint64, world *simWorld, tally *simTally) *simNet {
	n := &simNet{
		seed: seed, world: world, tally: tally,
		asked: make(map[string]uint64), latest: make(map[string]time.Time), drawn: make(map[string]simDecisions),
		last: make(map[string][]byte), down: make(map[string]time.Time),
	}
	for f, most := range map[simFault]float64{
		faultLoss: 0.3, faultDelay: 0.2, faultReorder: 0.1, faultDuplicate: 0.2, faultTruncate: 0.3, faultCorrupt: 0.1, faultReset: 0.4,
		faultPartial: 0.4, faultDrip: 0.4, faultForged: 0.2, faultFragment: 0.1, faultStray: 0.1, faultForgery: 0.4, faultServfail: 0.1, faultRefused: 0.1,
	} {
		if p := rand.New(rand.NewPCG(seed, uint64(f))).Float64(); p > 0.2 {
			n.rates[f] = most * p
		}
	}
	return n
}

// decide draws what happens to a query, once.
func (n *simNet) decide(q resolvertest.Query) simDecisions {
	n.mu.Lock()
	defer n.mu.Unlock()
	this := fmt.Sprintf("%s %s %s %d %d", q.Server, q.Network, q.Name, q.Type, q.ID)
	if d, ok := n.drawn[this]; ok && !q.Unconnected {
		return d
	}
	what := fmt.Sprintf("%s %s %s %d", q.Server, q.Network, strings.ToLower(q.Name), q.Type)
	n.asked[what]++
	n.latest[strings.ToLower(q.Name)] = time.Now()
	h := fnv.New64a()
	h.Write([]byte(what))
	rng := rand.New(rand.NewPCG(n.seed^h.Sum64(), n.asked[what]))
	// No two events fall on the same instant: Go would run such timers in any order.
	d := simDecisions{latency: 10*time.Millisecond + time.Duration(rng.Int64N(int64(40*time.Millisecond)))}
	d.dice = rng.Uint64()
	for f := range simFaults {
		d.faults[f] = rng.Float64() < n.rates[f] && !n.quiet
	}
	if d.faults[faultDelay] {
		d.latency += time.Duration(rng.Int64N(int64(1500 * time.Millisecond)))
	}
	d.faults[faultRestart] = time.Now().Before(n.down[q.Server.String()])
	n.drawn[this] = d
	return d
}

// lastAsked is when a server was last asked for a name.
func (n *simNet) lastAsked(name string) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.latest[strings.ToLower(name)]
}

// on returns the filter for a kind of fault, which counts what it lets through.
func (n *simNet) on(f simFault, network string) resolvertest.Filter {
	return func(q resolvertest.Query) bool {
		if bySpy(q) || q.Unconnected && f != faultRestart || network != "" && q.Network != network || !n.decide(q).faults[f] {
			return false
		}
		n.tally[f].Add(1)
		return true
	}
}

// same is the filter for the other effects of a kind of fault, which on has counted.
func (n *simNet) same(f simFault) resolvertest.Filter {
	return func(q resolvertest.Query) bool { return !bySpy(q) && !q.Unconnected && n.decide(q).faults[f] }
}

// nearMisses are the mistakes in forged packets, one in each: everything else was guessed
// right.
var nearMisses = []resolvertest.Fault{
	resolvertest.WrongID(),
	resolvertest.Hook(func(_, reply *dns.Msg) {
		reply.Question = []dns.Question{{Name: reply.Question[0].Name, Qtype: dns.TypeLOC, Qclass: dns.ClassINET}}
	}),
	resolvertest.NotAResponse(),
	resolvertest.WrongOpcode(dns.OpcodeStatus),
	resolvertest.NoQuestion(),
}

// failing adds records to an error for every other name: an error says nothing of the name.
func failing(query, reply *dns.Msg) {
	q := query.Question[0]
	if hash(strings.ToLower(q.Name))%2 == 0 {
		reply.Rcode = []int{dns.RcodeServerFailure, dns.RcodeNXRrset, 12}[hash(strings.ToLower(q.Name))/2%3] // 12 is not assigned
		reply.Answer = []dns.RR{parsed(q.Name + " 9999 IN A " + poisonAddr)}
	}
}

// stray adds records that were not asked for: one of another class, and one of another name
// in each section.
func stray(query, reply *dns.Msg) {
	name := query.Question[0].Name
	other := "stray." + strings.TrimPrefix(name, ".")
	reply.Answer = append([]dns.RR{parsed(name + " 9999 CH A " + poisonAddr)}, reply.Answer...)
	reply.Answer = append(reply.Answer, parsed(other+" 9999 IN A "+poisonAddr))
	reply.Ns = append(reply.Ns, parsed(other+" 9999 IN A "+poisonAddr))
	reply.Extra = append(reply.Extra, parsed(other+" 9999 IN A "+poisonAddr))
}

// redirected changes addresses in the second fragment of a datagram: a reply larger than
// offered may have been put together from the packets of two senders.
func redirected(_, reply *dns.Msg) {
	for i, rr := range reply.Answer {
		if rr.Header().Rrtype == dns.TypeA {
			reply.Answer[i] = parsed(fmt.Sprintf("%s %d IN A %s", rr.Header().Name, rr.Header().Ttl, poisonAddr))
		}
	}
}

// install sets the faults of all servers.
func (n *simNet) install(in *resolvertest.Internet) {
	n.ask = zoneQuery(in)
	in.Fault("*",
		resolvertest.LatencyFunc(func(q resolvertest.Query) time.Duration {
			if bySpy(q) {
				return 0
			}
			d := n.decide(q)
			if d.faults[faultDelay] {
				n.tally[faultDelay].Add(1)
			}
			return d.latency
		}),
		resolvertest.Dead().When(n.on(faultRestart, "")),
		resolvertest.Drop().When(n.on(faultLoss, "udp")),
		resolvertest.Rcode(dns.RcodeServerFailure).When(n.on(faultServfail, "")),
		resolvertest.Hook(failing).When(n.same(faultServfail)),
		resolvertest.Rcode(dns.RcodeRefused).When(n.on(faultRefused, "")),
		resolvertest.Truncated().When(n.on(faultTruncate, "udp")),
		resolvertest.Forged(1).When(n.on(faultDuplicate, "udp")),
		resolvertest.Forged(1, resolvertest.RawHook(n.earlier)).When(n.on(faultReorder, "udp")),
		resolvertest.Hook(stray).When(n.on(faultStray, "")),
		resolvertest.Hook(redirected).When(n.on(faultFragment, "udp")),
		resolvertest.Oversize(1500).When(n.same(faultFragment), resolvertest.Over("udp")),
		resolvertest.Hook(n.forge).When(n.forges),
		resolvertest.RawHook(n.corrupted).When(n.on(faultCorrupt, "")),
		resolvertest.ResetInstead().When(n.on(faultReset, "tcp")),
		resolvertest.Partial(20).When(n.on(faultPartial, "tcp")),
		resolvertest.Drip(7*time.Millisecond).When(n.on(faultDrip, "tcp")),
		resolvertest.RawHook(n.remember).When(resolvertest.Not(bySpy)),
	)
	for i, wrong := range nearMisses {
		mine := func(q resolvertest.Query) bool { return n.decide(q).dice%uint64(len(nearMisses)) == uint64(i) }
		in.Fault("*", resolvertest.Forged(2, resolvertest.Replace(dns.RcodeSuccess, "@ 9999 IN A "+poisonAddr), wrong).
			When(resolvertest.Not(bySpy), resolvertest.Over("udp"), mine, n.on(faultForged, "udp")))
	}
	in.Fault(poisonAddr, resolvertest.Replace(dns.RcodeSuccess, "@ 9999 IN A "+poisonAddr))
	for _, z := range n.world.now().zones {
		if !z.hostile {
			continue
		}
		for _, addr := range z.addrs {
			in.Fault(addr, resolvertest.Hook(n.lie).When(n.notQuiet))
		}
	}
}

func (n *simNet) notQuiet(q resolvertest.Query) bool {
	if bySpy(q) {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.quiet
}

// calm ends all faults of the network.
func (n *simNet) calm() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.quiet = true
	clear(n.down)
}

// restart takes a server down for a while.
func (n *simNet) restart(server string, d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down[server] = time.Now().Add(d)
}

// earlier returns the last reply to another query.
func (n *simNet) earlier(query, _ []byte) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last[questionOf(query)]
}

// remember keeps a reply for earlier.
func (n *simNet) remember(query, reply []byte) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last[questionOf(query)] = reply
	return reply
}

// questionOf returns the question of a query in lower case.
func questionOf(query []byte) string {
	const header = 12
	return strings.ToLower(string(query[min(header, len(query)):]))
}

// corrupted flips bits of a reply at places that depend on the question. Anything may
// change in data that signatures protect. Elsewhere no resolver could tell, and checksums
// protect the data; there only the parts change that make the packet a reply to the query.
func (n *simNet) corrupted(query, reply []byte) []byte {
	const flags, aa, header = 2, 0x04, 12
	reply = bytes.Clone(reply)
	name, end, err := dns.UnpackDomainName(query, header)
	if err != nil || len(reply) < end {
		return reply
	}
	name = strings.ToLower(name)
	h := fnv.New64a()
	h.Write([]byte(name))
	rng := rand.New(rand.NewPCG(n.seed, h.Sum64()+uint64(len(reply))))
	v := n.world.now()
	signed := reply[flags]&aa != 0 && v.status(v.zoneOf(name)) == dnssec.Secure
	for range 1 + rng.IntN(3) {
		at := rng.IntN(len(reply))
		if !signed {
			if at = rng.IntN(end - header + flags + 1); at > flags {
				at += header - flags - 1
			}
		}
		reply[at] ^= 1 << rng.IntN(8)
	}
	return reply
}

// simLies is how many kinds of lies there are.
const simLies = 14

// lie changes a reply of a hostile server: it speaks for other zones, or with TTLs that are
// too long.
func (n *simNet) lie(query, reply *dns.Msg) {
	v := n.world.now()
	name := strings.ToLower(query.Question[0].Name)
	rng := n.dice(query, reply)
	own := v.zoneOf(name)
	victim := v.zones[n.world.origins[rng.IntN(len(n.world.origins))]]
	kind := rng.IntN(simLies)
	if hosted := v.hosted(); hosted != nil && rng.IntN(4) == 0 {
		victim, kind = hosted, 9 // a zone without glue of its own is the most likely to take it from others
	}
	if victim.hostile || !own.hostile {
		return
	}
	n.tally[faultHostile].Add(1)
	host, server := "h0."+strings.TrimPrefix(victim.origin, "."), victim.server(1)
	evil := "ns." + own.origin
	// rr makes a record that is to live long.
	rr := func(owner, rest string) dns.RR {
		r, err := dns.NewRR(owner + " 86400 IN " + rest)
		if err != nil {
			panic(err)
		}
		return r
	}
	poison := func(owner string) dns.RR { return rr(owner, "A "+poisonAddr) }
	empty := func(aa bool) {
		reply.Rcode, reply.Authoritative, reply.Answer, reply.Ns = dns.RcodeSuccess, aa, nil, nil
	}
	extra := func(rrs ...dns.RR) { reply.Extra = append(rrs, reply.Extra...) }
	switch kind {
	case 0: // unasked
		reply.Answer = append(reply.Answer, poison(host))
	case 1: // somebody else's servers, beside an answer
		reply.Ns = append(reply.Ns, rr(victim.origin, "NS "+evil))
		extra(poison(evil), poison(server))
	case 2: // somebody else's address
		extra(poison(server), poison(host))
	case 3: // what an alias leads to
		empty(true)
		reply.Answer = []dns.RR{rr(name, "CNAME "+host), poison(host)}
	case 4: // its own servers, for longer than the parent says
		reply.Ns = append(reply.Ns, rr(own.origin, "NS ns1."+own.origin))
		extra(rr("ns1."+own.origin, addressType(own.addrs[0])+" "+own.addrs[0]))
	case 5: // a denial by another zone, or by records that lead into it
		either := func() string { return []string{victim.origin, own.origin}[rng.IntN(2)] }
		empty(true)
		reply.Rcode = dns.RcodeNameError
		reply.Ns = []dns.RR{
			rr(either(), "SOA "+server+" "+server+" 1 3600 600 604800 86400"),
			rr(either(), "NSEC "+either()+" SOA NS NSEC RRSIG"),
		}
	case 6: // an upward referral
		empty(false)
		reply.Ns = []dns.RR{rr(above(own.origin), "NS "+evil)}
		extra(poison(evil))
	case 7: // a redirection of more than its own
		empty(true)
		up := above(own.origin)
		reply.Answer = []dns.RR{rr(up, "DNAME "+victim.origin)}
	case 8: // keys and delegations of another zone
		reply.Ns = append(reply.Ns, rr(victim.origin, "DS 4711 13 2 "+strings.Repeat("ab", 32)))
		reply.Answer = append(reply.Answer, rr(victim.origin, "DNSKEY 257 3 13 "+strings.Repeat("A", 88)))
	case 9: // a referral with glue for somebody else's server
		empty(false)
		reply.Ns = []dns.RR{rr(name, "NS "+server)}
		extra(poison(server))
	case 10: // a wildcard of the zone above
		reply.Answer = append(reply.Answer, poison("*."+strings.TrimPrefix(above(own.origin), ".")))
	case 12: // for ever
		for _, rr := range slices.Concat(reply.Answer, reply.Ns) {
			rr.Header().Ttl = math.MaxInt32
			if soa, ok := rr.(*dns.SOA); ok {
				soa.Minttl = math.MaxInt32
			}
		}
	case 13: // servers at addresses of the resolver
		empty(false)
		reply.Ns = []dns.RR{rr(name, "NS "+evil)}
		extra(rr(evil, "A "+privateAddr))
	case 11: // a sideways referral
		empty(false)
		reply.Ns = []dns.RR{rr(victim.origin, "NS "+evil)}
		extra(poison(evil))
	}
}

// dice are for what is done to a reply: the same for all replies like it.
func (n *simNet) dice(query, reply *dns.Msg) *rand.Rand {
	q := query.Question[0]
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s %d %d", n.seed, strings.ToLower(q.Name), q.Qtype, len(reply.Answer))
	return rand.New(rand.NewPCG(n.seed, h.Sum64()))
}

// haunt makes the former servers of a zone go on answering for it, with other data.
func (n *simNet) haunt(in *resolvertest.Internet, z *simZone) {
	mine := func(q resolvertest.Query) bool {
		v := n.world.now()
		name := strings.ToLower(q.Name)
		return q.Name != "" && !bySpy(q) && v.zoneOf(name).origin == z.origin
	}
	in.Fault(z.ghost, resolvertest.Hook(func(query, reply *dns.Msg) {
		n.tally[faultGhost].Add(1)
		q := query.Question[0]
		reply.Rcode, reply.Authoritative, reply.Answer, reply.Ns = dns.RcodeSuccess, true, nil, nil
		rr := func(owner, rest string) dns.RR {
			r, err := dns.NewRR(owner + " 86400 IN " + rest)
			if err != nil {
				panic(err)
			}
			return r
		}
		ns := rr(z.origin, "NS ns1."+z.origin)
		old := rr("ns1."+z.origin, addressType(z.ghost)+" "+z.ghost)
		switch {
		case q.Qtype == dns.TypeNS && strings.EqualFold(q.Name, z.origin):
			reply.Answer = []dns.RR{ns}
		case strings.EqualFold(q.Name, "ns1."+z.origin) && q.Qtype == old.Header().Rrtype:
			reply.Answer = []dns.RR{old}
		case q.Qtype == dns.TypeA:
			reply.Answer = []dns.RR{rr(strings.ToLower(q.Name), "A "+ghostAddr)}
		default:
			reply.Ns = []dns.RR{rr(z.origin, "SOA ns1."+z.origin+" h."+z.origin+" 1 1 1 1 86400")}
			return
		}
		reply.Ns = []dns.RR{ns}
		reply.Extra = append([]dns.RR{old}, reply.Extra...)
	}).When(mine))
}
