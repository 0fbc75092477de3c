package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// world is a mock Internet and what to ask about it. Equal seeds and numbers of
// questions give equal worlds.
type world struct {
	text      string // for package resolvertest
	questions []question
	ttls      map[rrsetKey]uint32 // the lowest TTL written for an RRset
}

type rrsetKey struct {
	owner  string
	rrtype uint16
}

// question is one question to all resolvers.
type question struct {
	name   string
	qtype  uint16
	do, cd bool
	// tags say what there is about the names on the way: the ways the zones are signed
	// and served, and what is special about the records. They are sorted.
	tags []string
}

func (q question) String() string {
	var flags string
	if q.do {
		flags += " +do"
	}
	if q.cd {
		flags += " +cd"
	}
	return fmt.Sprintf("%s %s%s [%s]", q.name, dns.Type(q.qtype), flags, strings.Join(q.tags, " "))
}

// tagged reports whether the question has a tag. Beside those of the names there are
// "do", "cd", and "type=T".
func (q question) tagged(tag string) bool {
	switch {
	case tag == "do":
		return q.do
	case tag == "cd":
		return q.cd
	case strings.HasPrefix(tag, "type="):
		return tag == "type="+dns.Type(q.qtype).String()
	}
	_, found := slices.BinarySearch(q.tags, tag)
	return found
}

// zone is one zone of the world while it is made.
type zone struct {
	origin  string
	words   []string // how it is signed
	addrs   []string // of its servers; none: those of the hosts of its NS records
	records []string
	faults  []string // sections for its servers
	tags    []string // that each question about it gets
	sound   bool     // everything in it can be resolved, signed or not
}

// item is a name that questions are about.
type item struct {
	name   string
	types  []uint16
	tags   []string
	target string // the item that it is an alias of, or ""
	zone   *zone
}

// builder makes a world.
type builder struct {
	rand  *rand.Rand
	zones []*zone
	items map[string]*item
	order []string // the items' names as they were made
	addr  int      // how many addresses have been given out
	ttls  map[rrsetKey]uint32
}

const (
	// zonesFor is how many questions there are to a zone.
	zonesFor = 50
	// maxZones is as many as there are documentation addresses for.
	maxZones = 180
	// withDO and withCD are how many questions in a hundred have the flags.
	withDO, withCD = 60, 10
)

// newWorld makes the world of a seed with a number of questions.
func newWorld(seed uint64, questions int) *world {
	b := &builder{
		rand:  rand.New(rand.NewPCG(seed, uint64(questions))),
		items: make(map[string]*item),
		ttls:  make(map[rrsetKey]uint32),
	}
	parents := b.parents()
	kinds := zoneKinds()
	count := min(max(questions/zonesFor, len(kinds)), maxZones)
	var leaves []*zone
	for i := range count {
		leaves = append(leaves, b.leaf(i, kinds[i%len(kinds)], parents))
	}
	for i, z := range leaves {
		b.furnish(z, i, leaves)
	}
	b.longChain()
	return &world{text: b.text(), questions: b.ask(questions), ttls: b.ttls}
}

// newAddrs returns addresses that no server has.
func (b *builder) newAddrs(n int) []string {
	var addrs []string
	for range n {
		addrs = append(addrs, fmt.Sprintf("%s.%d", []string{"192.0.2", "198.51.100"}[b.addr/254%2], 1+b.addr%254))
		b.addr++
	}
	return addrs
}

// parents makes the zones that others are delegated from, one for each way of denying
// that a delegation has a DS record.
func (b *builder) parents() []*zone {
	var all []*zone
	for _, p := range []struct{ origin, words string }{
		{"example.", "signed"},
		{"nsec.example.", "algorithm=13"},
		{"nsec3.example.", "algorithm=13 nsec3 iterations=1 salt=ab"},
		{"optout.example.", "algorithm=8 opt-out"},
		{"plain.example.", ""},
	} {
		z := &zone{origin: p.origin, words: strings.Fields(p.words), addrs: b.newAddrs(2), sound: true}
		z.tags = append([]string{"parent"}, z.trust()...)
		b.zones = append(b.zones, z)
		all = append(all, z)
		for _, rrtype := range []uint16{dns.TypeSOA, dns.TypeNS, dns.TypeDNSKEY, dns.TypeDS} {
			b.item(z, z.origin, rrtype)
		}
		b.item(z, "missing."+z.origin, dns.TypeA)
	}
	return all[1:]
}

// leaf makes a zone of a kind, with its servers.
func (b *builder) leaf(i int, kind zoneKind, parents []*zone) *zone {
	parent := parents[b.rand.IntN(len(parents))]
	if kind.parent != "" {
		parent = parents[slices.IndexFunc(parents, func(z *zone) bool { return z.origin == kind.parent })]
	}
	z := &zone{
		origin: fmt.Sprintf("z%d.%s", i, parent.origin),
		words:  strings.Fields(kind.words),
		sound:  kind.sound,
		tags:   []string{kind.name, "under=" + strings.TrimSuffix(parent.origin, ".example.")},
	}
	z.addrs = b.newAddrs(2)
	if kind.setUp != nil {
		kind.setUp(b, z, parent)
	}
	z.tags = append(z.tags, z.trust()...)
	b.zones = append(b.zones, z)
	return z
}

// text writes the world for package resolvertest.
func (b *builder) text() string {
	var s strings.Builder
	for _, z := range b.zones {
		fmt.Fprintf(&s, "-- zone %s", z.origin)
		if len(z.addrs) > 0 {
			s.WriteString(" at " + strings.Join(z.addrs, " "))
		}
		if len(z.words) > 0 {
			s.WriteString(" " + strings.Join(z.words, " "))
		}
		s.WriteString(" --\n" + strings.Join(z.records, "\n") + "\n")
	}
	for _, z := range b.zones {
		for _, fault := range z.faults {
			s.WriteString(fault)
		}
	}
	return s.String()
}

// item notes a name that may be asked about.
func (b *builder) item(z *zone, name string, qtype uint16, tags ...string) *item {
	it := b.items[name]
	if it == nil {
		it = &item{name: name, zone: z}
		b.items[name] = it
		b.order = append(b.order, name)
	}
	if !slices.Contains(it.types, qtype) {
		it.types = append(it.types, qtype)
	}
	it.tags = append(it.tags, tags...)
	return it
}

// add writes a record with an owner relative to the zone.
func (b *builder) add(z *zone, owner string, ttl uint32, rrtype, data string) {
	z.records = append(z.records, fmt.Sprintf("%s %d IN %s %s", owner, ttl, rrtype, data))
	name := z.origin
	if owner != "@" {
		name = owner + "." + z.origin
	}
	key := rrsetKey{name, dns.StringToType[rrtype]}
	if known, ok := b.ttls[key]; !ok || ttl < known {
		b.ttls[key] = ttl
	}
}

// fault writes faults of one of the zone's servers.
func (z *zone) fault(server int, lines ...string) {
	z.faults = append(z.faults, fmt.Sprintf("-- fault %s --\n%s\n", z.addrs[server], strings.Join(lines, "\n")))
}

// ask chooses questions: of the zones each as often as the others, of a zone any.
func (b *builder) ask(n int) []question {
	byZone := make(map[*zone][]*item)
	for _, name := range b.order {
		it := b.items[name]
		byZone[it.zone] = append(byZone[it.zone], it)
	}
	var questions []question
	for i := range n {
		z := b.zones[i%len(b.zones)]
		items := byZone[z]
		if slices.Contains(z.tags, slow) && i >= slowRounds*len(b.zones) || len(items) == 0 {
			items = byZone[b.zones[0]]
		}
		it := items[b.rand.IntN(len(items))]
		questions = append(questions, question{
			name:  it.name,
			qtype: it.types[b.rand.IntN(len(it.types))],
			do:    b.rand.IntN(100) < withDO,
			cd:    b.rand.IntN(100) < withCD,
			tags:  b.tagsOf(it),
		})
	}
	return questions
}

// zoneOf finds the zone that a name is in, or nil.
func (b *builder) zoneOf(name string) *zone {
	var deepest *zone
	for _, z := range b.zones {
		if dns.IsSubDomain(z.origin, name) && (deepest == nil || len(z.origin) > len(deepest.origin)) {
			deepest = z
		}
	}
	return deepest
}

// slow tags zones whose questions take as long as a resolver is patient; few of them
// are asked.
const (
	slow       = "slow"
	slowRounds = 4
)

// tagsOf collects the tags on the way from an item along its aliases.
func (b *builder) tagsOf(it *item) []string {
	var tags []string
	seen := make(map[*item]bool)
	for it != nil && !seen[it] {
		seen[it] = true
		tags = append(tags, it.tags...)
		tags = append(tags, it.zone.tags...)
		if next := b.items[it.target]; next != nil || it.target == "" {
			it = next
			continue
		}
		// Nobody asks about the target itself, but what its zone is counts all the same.
		if z := b.zoneOf(it.target); z != nil {
			tags = append(tags, z.tags...)
		}
		break
	}
	slices.Sort(tags)
	return slices.Compact(tags)
}
