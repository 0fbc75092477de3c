package main

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

const (
	topLevels   = 20
	rootServers = 3
	// tldServers is how many addresses each top-level domain has.
	tldServers = 2
	// hosters is how many addresses the zones of names share, and deadOneIn how many of them are
	// silent.
	hosters   = 400
	deadOneIn = 50
	ttl       = 3600
)

// kind is what there is at a name.
type kind uint8

const (
	hasAddress kind = iota
	hasNothing      // the zone is there, and has no address at its apex
	isMissing
)

// kindOf returns what there is at the n-th name.
func kindOf(n int) kind {
	switch n % 20 {
	case 7:
		return isMissing
	case 13:
		return hasNothing
	}
	return hasAddress
}

// nameOf returns the n-th name, which is a zone.
func nameOf(n int) string { return fmt.Sprintf("d%d.t%d.", n, n%topLevels) }

// numberOf returns n of a name at or below nameOf(n).
func numberOf(name string) (n int, ok bool) {
	labels := dns.SplitDomainName(name)
	if len(labels) < 2 {
		return 0, false
	}
	tld, ok := topLevelOf(labels[len(labels)-1])
	digits, isZone := strings.CutPrefix(labels[len(labels)-2], "d")
	n, err := strconv.Atoi(digits)
	return n, ok && isZone && err == nil && n >= 0 && n%topLevels == tld && strconv.Itoa(n) == digits
}

func topLevelOf(label string) (int, bool) {
	digits, ok := strings.CutPrefix(label, "t")
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil && n >= 0 && n < topLevels && strconv.Itoa(n) == digits
}

// hostersOf returns the numbers of the two addresses that serve the n-th zone.
func hostersOf(n int) [2]int {
	h := fnv.New32a()
	fmt.Fprintf(h, "%d", n)
	sum := int(h.Sum32())
	first := sum % hosters
	return [2]int{first, (first + 1 + sum/hosters%(hosters-1)) % hosters}
}

func isDead(hoster int) bool { return hoster%deadOneIn == 17 }

// isReachable reports whether a server of the n-th zone is alive. A name that does not exist has none.
func isReachable(n int) bool {
	of := hostersOf(n)
	return kindOf(n) == isMissing || !isDead(of[0]) || !isDead(of[1])
}

func isSignedZone(n int) bool { return n%2 == 0 }

// level is what a server serves.
type level uint8

const (
	rootLevel level = iota
	tldLevel
	hosterLevel
)

// place is one server address.
type place struct {
	level  level
	number int // of the top-level domain, or of the hoster
	addr   netip.Addr
}

// places lists all servers.
func places() []place {
	var all []place
	for i := range rootServers {
		all = append(all, place{rootLevel, 0, rootAddr(i)})
	}
	for t := range topLevels {
		for i := range tldServers {
			all = append(all, place{tldLevel, t, tldAddr(t, i)})
		}
	}
	for h := range hosters {
		all = append(all, place{hosterLevel, h, hosterAddr(h)})
	}
	return all
}

func rootAddr(i int) netip.Addr   { return netip.AddrFrom4([4]byte{127, 90, 0, byte(1 + i)}) }
func tldAddr(t, i int) netip.Addr { return netip.AddrFrom4([4]byte{127, 91, byte(t), byte(1 + i)}) }
func hosterAddr(h int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 92, byte(h / 200), byte(1 + h%200)})
}

// hints is the root's servers as a zone file.
func hints() string {
	var b strings.Builder
	for i := range rootServers {
		fmt.Fprintf(&b, ". 3600 IN NS r%d.root.\nr%d.root. 3600 IN A %s\n", i, i, rootAddr(i))
	}
	return b.String()
}

// world makes the replies.
type world struct {
	signer *signer // nil: nothing is signed
}

// reply answers a query to a server.
func (w *world) reply(at place, query *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(query)
	m.Authoritative = true
	opt := query.IsEdns0()
	do := opt != nil && opt.Do() && w.signer != nil
	name, qtype := strings.ToLower(query.Question[0].Name), query.Question[0].Qtype
	switch at.level {
	case rootLevel:
		w.parent(m, ".", name, qtype, rootTarget(name))
	case tldLevel:
		zone := fmt.Sprintf("t%d.", at.number)
		if !dns.IsSubDomain(zone, name) {
			m.Rcode, m.Authoritative = dns.RcodeRefused, false
			break
		}
		w.parent(m, zone, name, qtype, tldTarget(name))
	case hosterLevel:
		n, ok := numberOf(name)
		of := hostersOf(n)
		if !ok || kindOf(n) == isMissing || of[0] != at.number && of[1] != at.number {
			m.Rcode, m.Authoritative = dns.RcodeRefused, false
			break
		}
		w.leaf(m, n, name, qtype)
	}
	if do {
		w.signer.sign(m)
	} else {
		dropProofs(m)
	}
	if opt != nil {
		m.SetEdns0(1232, opt.Do())
	}
	return m
}

// target is the delegation that a name is at or below.
type target struct {
	zone   string // "": there is none
	ns     []dns.RR
	glue   []dns.RR
	signed bool
}

func rootTarget(name string) target {
	labels := dns.SplitDomainName(name)
	if len(labels) == 0 {
		return target{}
	}
	tld, ok := topLevelOf(labels[len(labels)-1])
	if !ok {
		return target{}
	}
	t := target{zone: fmt.Sprintf("t%d.", tld), signed: true}
	for i := range tldServers {
		t.add(fmt.Sprintf("ns%d.t%d.", i, tld), tldAddr(tld, i))
	}
	return t
}

func tldTarget(name string) target {
	n, ok := numberOf(name)
	if !ok || kindOf(n) == isMissing {
		return target{}
	}
	t := target{zone: nameOf(n), signed: isSignedZone(n)}
	for i, h := range hostersOf(n) {
		t.add(fmt.Sprintf("ns%d.%s", i, nameOf(n)), hosterAddr(h))
	}
	return t
}

func (t *target) add(host string, addr netip.Addr) {
	t.ns = append(t.ns, &dns.NS{Hdr: header(t.zone, dns.TypeNS), Ns: host})
	t.glue = append(t.glue, address(host, addr))
}

func header(name string, rrtype uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: ttl}
}

func address(name string, addr netip.Addr) dns.RR {
	return &dns.A{Hdr: header(name, dns.TypeA), A: addr.AsSlice()}
}

func soa(zone string) dns.RR {
	primary := "ns0." + zone
	if zone == "." {
		primary = "r0.root."
	}
	return &dns.SOA{Hdr: header(zone, dns.TypeSOA), Ns: primary, Mbox: "hostmaster.test.", Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: 300}
}

// parent answers for a zone that holds delegations.
func (w *world) parent(m *dns.Msg, zone, name string, qtype uint16, to target) {
	switch {
	case name == zone:
		w.apex(m, zone, qtype)
	case to.zone == "" && isServerOf(zone, name):
		w.serverAddress(m, zone, name, qtype)
	case to.zone == "":
		m.Rcode = dns.RcodeNameError
		m.Ns = append([]dns.RR{soa(zone)}, denials(zone, name)...)
	case name == to.zone && qtype == dns.TypeDS:
		if ds := w.ds(to); ds != nil {
			m.Answer = ds
			return
		}
		m.Ns = []dns.RR{soa(zone), nsec(to.zone, dns.TypeNS)}
	default:
		m.Authoritative = false
		m.Ns, m.Extra = to.ns, to.glue
		if ds := w.ds(to); ds != nil {
			m.Ns = append(m.Ns, ds...)
		} else {
			m.Ns = append(m.Ns, nsec(to.zone, dns.TypeNS))
		}
	}
}

// ds returns the DS records of a delegation; nil: there are none.
func (w *world) ds(to target) []dns.RR {
	if w.signer == nil || !to.signed {
		return nil
	}
	return []dns.RR{w.signer.ds(to.zone)}
}

// leaf answers for the zone of the n-th name.
func (w *world) leaf(m *dns.Msg, n int, name string, qtype uint16) {
	zone := nameOf(n)
	switch {
	case name == zone && qtype == dns.TypeA && kindOf(n) == hasAddress:
		m.Answer = []dns.RR{address(zone, addressOf(n))}
	case name == zone && qtype == dns.TypeNS:
		m.Answer = tldTarget(zone).ns
	case name == zone:
		w.apex(m, zone, qtype)
	case isServerOf(zone, name):
		w.serverAddress(m, zone, name, qtype)
	default:
		m.Rcode = dns.RcodeNameError
		m.Ns = append([]dns.RR{soa(zone)}, denials(zone, name)...)
	}
	if w.signer != nil && !isSignedZone(n) {
		m.Ns = withoutProofs(m.Ns)
	}
}

// addressOf is the address of the n-th name.
func addressOf(n int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, 113, byte(n % 250)}) }

// apex answers for what zones have at their apex.
func (w *world) apex(m *dns.Msg, zone string, qtype uint16) {
	switch {
	case qtype == dns.TypeSOA:
		m.Answer = []dns.RR{soa(zone)}
	case qtype == dns.TypeNS && zone == ".":
		for i := range rootServers {
			host := fmt.Sprintf("r%d.root.", i)
			m.Answer = append(m.Answer, &dns.NS{Hdr: header(".", dns.TypeNS), Ns: host})
			m.Extra = append(m.Extra, address(host, rootAddr(i)))
		}
	case qtype == dns.TypeNS:
		m.Answer = rootTarget(zone).ns
	case qtype == dns.TypeDNSKEY && w.signer != nil && w.signer.signs(zone):
		m.Answer = []dns.RR{w.signer.key(zone)}
	default:
		m.Ns = []dns.RR{soa(zone), nsec(zone, dns.TypeNS, dns.TypeSOA, dns.TypeDNSKEY)}
	}
}

// isServerOf reports whether a name is one of the name servers of a zone.
func isServerOf(zone, name string) bool {
	if zone == "." {
		return strings.HasSuffix(name, ".root.") || name == "root."
	}
	return name == "ns0."+zone || name == "ns1."+zone
}

// serverAddress answers for the name servers of a zone.
func (w *world) serverAddress(m *dns.Msg, zone, name string, qtype uint16) {
	if qtype == dns.TypeA {
		var all []dns.RR
		switch n, ok := numberOf(zone); {
		case zone == ".":
			for i := range rootServers {
				all = append(all, address(fmt.Sprintf("r%d.root.", i), rootAddr(i)))
			}
		case ok:
			all = tldTarget(nameOf(n)).glue
		default:
			all = rootTarget(zone).glue
		}
		for _, rr := range all {
			if rr.Header().Name == name {
				m.Answer = []dns.RR{rr}
				return
			}
		}
	}
	m.Ns = []dns.RR{soa(zone), nsec(name, dns.TypeA)}
}

// nsec proves which types there are at a name, and no more (RFC 4470).
func nsec(owner string, types ...uint16) dns.RR {
	next := `\000.` + owner
	if owner == "." {
		next = `\000.`
	}
	types = append(types, dns.TypeRRSIG, dns.TypeNSEC)
	sortTypes(types)
	return &dns.NSEC{Hdr: header(owner, dns.TypeNSEC), NextDomain: next, TypeBitMap: types}
}

// denials prove that a name right below a zone does not exist, nor a wildcard (RFC 4470 §4).
func denials(zone, name string) []dns.RR {
	labels := dns.SplitDomainName(name)
	label := labels[len(labels)-1-dns.CountLabel(zone)]
	below := zone
	if zone == "." {
		below = ""
	}
	before := label[:len(label)-1] + string(rune(label[len(label)-1]-1)) + "~"
	types := []uint16{dns.TypeRRSIG, dns.TypeNSEC}
	return []dns.RR{
		&dns.NSEC{Hdr: header(before+"."+below, dns.TypeNSEC), NextDomain: label + "!." + below, TypeBitMap: types},
		&dns.NSEC{Hdr: header("!."+below, dns.TypeNSEC), NextDomain: "+." + below, TypeBitMap: types},
	}
}

// dropProofs takes away what only a signed reply has.
func dropProofs(m *dns.Msg) { m.Ns = withoutProofs(m.Ns) }

func withoutProofs(rrs []dns.RR) []dns.RR {
	var rest []dns.RR
	for _, rr := range rrs {
		if t := rr.Header().Rrtype; t != dns.TypeNSEC && t != dns.TypeDS {
			rest = append(rest, rr)
		}
	}
	return rest
}
