package resolver_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// simZone is a zone of a simulated Internet as it is for a while. It is immutable: a
// changed zone is a new one.
type simZone struct {
	origin  string
	addrs   []string
	host    string   // the zone that its name servers' names are in; "": itself
	records []dns.RR // all but the delegations of zones below
	signing simSigning
	revoked bool // the parent has taken the delegation away; the servers go on
	// hostile: its servers say anything, about other zones too.
	hostile bool
	// ghost is the address of servers that the zone has left and that go on answering.
	ghost string
	// lasting: the truth before the change that made this one may be believed for as long
	// as delegations live, not only as long as data does.
	lasting bool
	since   time.Time
}

// simSigning says how a zone is signed.
type simSigning struct {
	on      bool
	words   string          // of the zone's header, those of the keys apart
	optOut  bool            // denials may be of no security
	noDS    bool            // no DS vouches for it
	broken  bool            // nothing in it validates
	sets    map[string]bool // "owner TYPE" of RRsets that do not validate
	ksk     int             // generations of the keys
	zsk     int
	rolling int // which step of a rollover it is in
}

// compact reports whether denials are made for each question (RFC 9824).
func (s *simSigning) compact() bool { return strings.Contains(s.words, "compact") }

// header returns the words for a zone's header.
func (s *simSigning) header() string {
	if !s.on {
		return ""
	}
	keys := ""
	switch s.rolling {
	case 0: // none
		keys = fmt.Sprintf("ksk=%d zsk=%d sign=%[2]d ds=%[1]d", s.ksk, s.zsk)
	case 1: // the next ZSK is published (RFC 6781 §4.1.1.1)
		keys = fmt.Sprintf("ksk=%d zsk=%d,%d sign=%[2]d ds=%[1]d", s.ksk, s.zsk, s.zsk+1)
	case 2: // and signs
		keys = fmt.Sprintf("ksk=%d zsk=%d,%d sign=%[3]d ds=%[1]d", s.ksk, s.zsk, s.zsk+1)
	case 3: // two KSKs with two DS records (RFC 6781 §4.1.2)
		keys = fmt.Sprintf("ksk=%d,%d zsk=%d sign=%[3]d ds=%[1]d,%[2]d", s.ksk, s.ksk+1, s.zsk+1)
	}
	words := s.words + " signed " + keys
	if s.noDS {
		words += " no-ds"
	}
	return words
}

// maxGeneration is the last generation of keys that resolvertest has.
const maxGeneration = 9

// mayRoll reports whether there is a next generation of keys.
func (s *simSigning) mayRoll() bool { return s.on && s.ksk < maxGeneration && s.zsk < maxGeneration }

// otherKeys returns a generation of keys without relation to the recent ones: they must not
// match what is cached of the zone.
func otherKeys(generation int) int {
	const further, cycle = 3, maxGeneration - 1 // the last one leaves room for a rollover
	return (generation-1+further)%cycle + 1
}

// roll takes the next step of a rollover.
func (s *simSigning) roll() {
	if s.rolling++; s.rolling > 3 {
		s.rolling, s.ksk, s.zsk = 0, s.ksk+1, s.zsk+1
	}
}

// section writes the zone for resolvertest.
func (z *simZone) section() string {
	var b strings.Builder
	fmt.Fprintf(&b, "-- zone %s at %s %s", z.origin, strings.Join(z.addrs, " "), z.signing.header())
	if z.revoked {
		b.WriteString(" undelegated")
	}
	b.WriteString(" --\n")
	for _, rr := range z.records {
		b.WriteString(rr.String() + "\n")
	}
	return b.String()
}

// simVersion is the whole Internet for a while.
type simVersion struct {
	from  time.Time
	zones map[string]*simZone
}

// zoneOf finds the zone that a name is in.
func (v *simVersion) zoneOf(name string) *simZone {
	for at := name; ; at = above(at) {
		if z := v.zones[at]; z != nil && !z.revoked {
			return z
		}
	}
}

// hosted returns the last zone whose name servers have their names elsewhere; nil if there is
// none.
func (v *simVersion) hosted() *simZone {
	var found *simZone
	for _, z := range v.zones {
		if z.host != "" && !z.revoked && (found == nil || z.origin > found.origin) {
			found = z
		}
	}
	return found
}

// above takes one label off a name that is not the root.
func above(name string) string {
	if _, rest, ok := strings.Cut(name, "."); ok && rest != "" {
		return rest
	}
	return "."
}

// simWorld is a simulated Internet with its history.
type simWorld struct {
	rng     *rand.Rand
	origins []string // in the order in which they were made
	nextV4  int
	serial  int    // of the data; goes up with each change
	moved   string // the last zone that went to other servers
	hostile string // the hostile zone; "": there is none

	mu       sync.Mutex
	versions []*simVersion // the last is now; guarded by mu
	backward time.Duration // how far the clock has been put back in all; guarded by mu
}

// TTLs in a simulated Internet, in seconds.
const (
	simLeaseTTL = 3600 // delegations, and addresses of name servers
	simDataTTL  = 300  // at most; and denials
)

// Addresses with a meaning of their own.
const (
	poisonAddr = "203.0.113.66" // where hostile servers want everybody to go
	ghostAddr  = "203.0.113.77" // the answer of a zone's former servers for every name

	privateAddr = "192.168.0.1" // where no query may go
)

func newSimWorld(rng *rand.Rand) *simWorld {
	w := &simWorld{rng: rng}
	v := &simVersion{from: time.Now(), zones: make(map[string]*simZone)}
	w.versions = append(w.versions, v)
	for _, origin := range []string{".", "example.", "test."} {
		w.make(v, origin, simSigning{on: true, ksk: 1, zsk: 1, words: w.oneOf("", "", "", "", "nsec3", "nsec3", "nsec3", "nsec3 opt-out")})
	}
	for i := range 5 + rng.IntN(4) {
		parent := w.origins[1+rng.IntN(len(w.origins)-1)]
		label := fmt.Sprintf("z%d.", i)
		if w.chance(0.2) {
			label += "deep."
		}
		w.make(v, label+parent, w.signing(label+parent))
	}
	for _, origin := range w.origins {
		v.zones[origin].records = append(w.servers(v.zones[origin]), w.contents(v, v.zones[origin])...)
	}
	if w.chance(0.6) {
		w.makeHostile(v)
	}
	return w
}

func (w *simWorld) chance(p float64) bool { return w.rng.Float64() < p }

func (w *simWorld) oneOf(words ...string) string { return words[w.rng.IntN(len(words))] }

// make adds a zone without records.
func (w *simWorld) make(v *simVersion, origin string, s simSigning) {
	z := &simZone{origin: origin, signing: s, since: v.from}
	if w.chance(0.25) && len(w.origins) > 3 { // on the servers of another zone
		host := v.zones[w.origins[len(w.origins)-1]]
		z.addrs = host.addrs
		if w.chance(0.7) { // and by their names there, which the delegation has no glue for
			z.host = host.nameHost()
		}
	} else {
		z.addrs = w.newAddrs()
	}
	z.signing.optOut = strings.Contains(s.words, "opt-out")
	v.zones[origin] = z
	w.origins = append(w.origins, origin)
}

func (w *simWorld) newAddrs() []string {
	var addrs []string
	for range 1 + w.rng.IntN(3) {
		w.nextV4++
		if w.chance(0.25) {
			addrs = append(addrs, fmt.Sprintf("2001:db8::%x", w.nextV4))
		} else {
			addrs = append(addrs, fmt.Sprintf("198.51.100.%d", w.nextV4))
		}
	}
	return addrs
}

// signing chooses how a zone is signed, and what is wrong with it.
func (w *simWorld) signing(origin string) simSigning {
	if w.chance(0.4) {
		return simSigning{}
	}
	s := simSigning{on: true, ksk: 1, zsk: 1, noDS: w.chance(0.1)}
	s.words = w.oneOf("", "", "algorithm=13", "nsec3", "nsec3 salt=aabb iterations=3", "nsec3 opt-out", "compact")
	kind := w.oneOf("expired", "future", "corrupt", "unsigned", "tag")
	switch {
	case w.chance(0.15):
		host := fmt.Sprintf("h%d", w.rng.IntN(3))
		s.words += " break=" + kind + ":" + host + "/A"
		s.sets = map[string]bool{host + "." + origin + " A": true}
	case w.chance(0.15):
		s.words += " break=" + w.oneOf(kind, kind, "zone-key", "ds-digest")
		s.broken = true
	}
	return s
}

// simRecord makes a record of a zone; owner is relative, or "@".
func simRecord(z *simZone, owner string, ttl int, rest string) dns.RR {
	name := z.origin
	switch {
	case owner == "@":
	case z.origin == ".":
		name = owner + "."
	default:
		name = owner + "." + z.origin
	}
	rr, err := dns.NewRR(fmt.Sprintf("%s %d IN %s", name, ttl, rest))
	if err != nil {
		panic(err)
	}
	return rr
}

// nameHost returns the zone that the names of a zone's servers are in.
func (z *simZone) nameHost() string {
	if z.host != "" {
		return z.host
	}
	return z.origin
}

// server names the ith server of a zone, from 1.
func (z *simZone) server(i int) string {
	return fmt.Sprintf("ns%d.%s", i, strings.TrimPrefix(z.nameHost(), "."))
}

// servers makes the records at the top of a zone and the addresses of its servers.
func (w *simWorld) servers(z *simZone) []dns.RR {
	rrs := []dns.RR{simRecord(z, "@", simLeaseTTL, fmt.Sprintf("SOA %s hostmaster.example. 1 3600 600 604800 %d", z.server(1), simDataTTL))}
	for i, addr := range z.addrs {
		rrs = append(rrs, simRecord(z, "@", simLeaseTTL, "NS "+z.server(i+1)))
		if z.host == "" {
			rrs = append(rrs, simRecord(z, fmt.Sprintf("ns%d", i+1), simLeaseTTL, addressType(addr)+" "+addr))
		}
	}
	return rrs
}

func addressType(addr string) string {
	if strings.Contains(addr, ":") {
		return "AAAA"
	}
	return "A"
}

// contents makes the data of a zone: hosts, empty non-terminals, wildcards, and aliases
// into any zone.
func (w *simWorld) contents(v *simVersion, z *simZone) []dns.RR {
	w.serial++
	n := 0
	address := func() string {
		n++
		return fmt.Sprintf("A 198.18.%d.%d", w.serial%256, n)
	}
	add := func(rrs *[]dns.RR, owner, rest string) {
		ttls := []int{0, 10, 60, simDataTTL}
		*rrs = append(*rrs, simRecord(z, owner, ttls[w.rng.IntN(len(ttls))], rest))
	}
	var rrs []dns.RR
	for i := range 3 {
		host := fmt.Sprintf("h%d", i)
		add(&rrs, host, address())
		if i == 0 {
			add(&rrs, host, fmt.Sprintf("MX 10 mail%d.%s", w.serial, strings.TrimPrefix(z.origin, ".")))
		}
		if w.chance(0.5) {
			add(&rrs, host, fmt.Sprintf("TXT \"serial %d\"", w.serial))
		}
	}
	if w.chance(0.7) {
		add(&rrs, "a.ent", address())
	}
	if !z.signing.compact() && w.chance(0.7) {
		if w.chance(0.7) {
			add(&rrs, "*.w", address())
		} else {
			add(&rrs, "*.w", "CNAME "+w.target(v))
		}
		if w.chance(0.7) {
			add(&rrs, "e.w", address()) // the wildcard is not for it
		}
	}
	for i := range 3 {
		add(&rrs, fmt.Sprintf("c%d", i), "CNAME "+w.target(v))
	}
	if w.chance(0.5) {
		add(&rrs, "d0", "DNAME "+w.origins[1+w.rng.IntN(len(w.origins)-1)])
	}
	return rrs
}

// target chooses where an alias leads.
func (w *simWorld) target(v *simVersion) string {
	return w.label() + w.origins[1+w.rng.IntN(len(w.origins)-1)]
}

// label chooses a name within a zone, with its dot.
func (w *simWorld) label() string {
	return w.oneOf("h0.", "h0.", "h1.", "h2.", "h9.", "x.h0.", "ent.", "a.ent.", "b.ent.", "x.w.", "y.w.", "x.y.w.", "e.w.", "e.w.",
		"c0.", "c1.", "c2.", "d0.", "h0.d0.", "h1.d0.", "c0.d0.", "ns1.", "", fmt.Sprintf("n%d.", w.rng.IntN(20)))
}

// question chooses what is asked.
func (w *simWorld) question() (name string, qtype uint16) {
	origin := w.origins[w.rng.IntN(len(w.origins))]
	if w.moved != "" && w.chance(0.3) {
		origin = w.moved // where there is most to get wrong
	}
	if w.hostile != "" && w.chance(0.1) {
		origin = w.hostile // likewise
	}
	name = w.label() + origin
	name = strings.ReplaceAll(name, "..", ".")
	types := []uint16{dns.TypeA, dns.TypeA, dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeMX, dns.TypeNS, dns.TypeCNAME, dns.TypeSOA}
	return name, types[w.rng.IntN(len(types))]
}

// makeHostile turns an unsigned zone hostile that has its servers for itself and no
// zone below it.
func (w *simWorld) makeHostile(v *simVersion) {
	for _, origin := range w.origins[3:] {
		z := v.zones[origin]
		if z.signing.on || !w.lonely(v, z) {
			continue
		}
		z.hostile, w.hostile = true, origin
		return
	}
}

// lonely reports whether a zone shares its servers with none and has none below it.
func (w *simWorld) lonely(v *simVersion, z *simZone) bool {
	for _, other := range v.zones {
		if other == z {
			continue
		}
		if dns.IsSubDomain(z.origin, other.origin) || slices.ContainsFunc(other.addrs, func(a string) bool { return slices.Contains(z.addrs, a) }) {
			return false
		}
	}
	return true
}

// now returns the current version.
func (w *simWorld) now() *simVersion {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.versions[len(w.versions)-1]
}

// change makes the next version, with these zones in the place of others of the same name,
// and returns the text that updates resolvertest.
func (w *simWorld) change(changed ...*simZone) string {
	old := w.now()
	v := &simVersion{from: time.Now(), zones: maps.Clone(old.zones)}
	var b strings.Builder
	for _, z := range changed {
		z.since = v.from
		v.zones[z.origin] = z
		b.WriteString(z.section())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.versions = append(w.versions, v)
	return b.String()
}

// pick chooses a zone to change: any below the top-level ones that is neither hostile nor
// removed.
func (w *simWorld) pick(v *simVersion, want func(*simZone) bool) *simZone {
	var fit []*simZone
	for _, origin := range w.origins[1:] {
		if z := v.zones[origin]; !z.hostile && !z.revoked && want(z) {
			fit = append(fit, z)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	return fit[w.rng.IntN(len(fit))]
}

// newContents changes the data of a zone.
func (w *simWorld) newContents() string {
	v := w.now()
	z := *w.pick(v, func(*simZone) bool { return true })
	z.lasting = false
	z.records = append(w.servers(&z), w.contents(v, &z)...)
	return w.change(&z)
}

// rollKeys takes the next step of the rollover of a zone's keys.
func (w *simWorld) rollKeys() string {
	old := w.pick(w.now(), func(z *simZone) bool { return z.signing.mayRoll() })
	if old == nil {
		return w.newContents()
	}
	z := *old
	z.lasting = false
	z.signing.roll()
	return w.change(&z)
}

// resign changes how a zone is signed, which changes the status of the zones below it.
func (w *simWorld) resign() string {
	v := w.now()
	old := w.pick(v, func(z *simZone) bool { return len(z.origin) > len("example.") })
	if old == nil {
		return w.newContents()
	}
	var changed []*simZone
	for _, origin := range w.origins {
		if dns.IsSubDomain(old.origin, origin) {
			z := *v.zones[origin]
			z.lasting = true
			changed = append(changed, &z)
		}
	}
	z := changed[0]
	z.signing = w.signing(z.origin)
	z.signing.optOut = strings.Contains(z.signing.words, "opt-out")
	z.signing.ksk, z.signing.zsk = otherKeys(old.signing.ksk), otherKeys(old.signing.zsk)
	z.records = append(w.servers(z), w.contents(v, z)...)
	return w.change(changed...)
}

// move changes a zone's servers; the old ones go on answering, with data of their own.
func (w *simWorld) move() (string, *simZone) {
	v := w.now()
	old := w.pick(v, func(z *simZone) bool { return len(z.origin) > len("example.") && w.lonely(v, z) && z.ghost == "" })
	if old == nil {
		return w.newContents(), nil
	}
	z := *old
	z.lasting = true
	z.ghost = z.addrs[0]
	z.addrs = w.newAddrs()
	z.records = append(w.servers(&z), w.contents(v, &z)...)
	w.moved = z.origin
	return w.change(&z), &z
}

// putBack records that the clock goes backwards, which makes things live longer.
func (w *simWorld) putBack(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.backward += d
}

// setBack is how far the clock has been put back in all.
func (w *simWorld) setBack() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.backward
}

// revoke removes a zone's delegation; its servers go on.
func (w *simWorld) revoke() string {
	v := w.now()
	old := w.pick(v, func(z *simZone) bool { return len(z.origin) > len("example.") && w.lonely(v, z) })
	if old == nil {
		return w.newContents()
	}
	z := *old
	z.revoked, z.lasting = true, true
	parent := *v.zoneOf(above(z.origin)) // whose denials now hold there
	parent.lasting = false
	return w.change(&z, &parent)
}
