package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// Names and links that every zone has, so that aliases lead anywhere.
const (
	webDepth   = 6  // of the chains of aliases through all zones
	bigStrings = 12 // of 200 bytes, in a TXT record that no UDP reply can hold
	crooked    = 10 // of 100 aliases: lead into zones that cannot be resolved
	chainMax   = 16 // aliases in the longest chain
	longLabel  = 60 // bytes; four of them make a name to which nothing can be added
)

// dataAddr is an address that records may give.
func (b *builder) dataAddr() string { return fmt.Sprintf("203.0.113.%d", 1+b.rand.IntN(250)) }

// other picks a zone that an alias may lead to: mostly one that works.
func (b *builder) other(leaves []*zone) *zone {
	mayFail := b.rand.IntN(100) < crooked
	for {
		z := leaves[b.rand.IntN(len(leaves))]
		if (z.sound || mayFail) && !slices.Contains(z.tags, slow) {
			return z
		}
	}
}

// furnish fills a zone.
func (b *builder) furnish(z *zone, index int, leaves []*zone) {
	b.plainData(z)
	b.oddTTLs(z)
	b.trees(z)
	b.aliases(z, leaves)
	b.dnames(z, leaves)
	b.crookedSignatures(z, index)
	b.subZone(z)
}

func (b *builder) plainData(z *zone) {
	for _, qtype := range []uint16{dns.TypeSOA, dns.TypeNS, dns.TypeDNSKEY, dns.TypeDS, dns.TypeA} {
		if qtype == dns.TypeDNSKEY && slices.Contains(z.tags, "two-operators") {
			continue // each operator has keys of its own: either answer is right
		}
		b.item(z, z.origin, qtype)
	}
	www := "www." + z.origin
	for range 1 + b.rand.IntN(3) {
		b.add(z, "www", 300, "A", b.dataAddr())
	}
	b.add(z, "www", 600, "AAAA", fmt.Sprintf("2001:db8::%x", 1+b.rand.IntN(1000)))
	b.add(z, "@", 3600, "MX", "10 www")
	b.add(z, "www", 300, "TYPE65280", fmt.Sprintf(`\# 4 %08x`, b.rand.Uint32()))
	b.add(z, "www", 300, "HTTPS", "1 . alpn=h2")
	b.add(z, "_sip._tcp", 300, "SRV", "0 0 5060 www")
	b.add(z, "big", 300, "TXT", strings.Repeat(` "`+strings.Repeat("x", 200)+`"`, bigStrings))
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeMX, 65280, dns.TypeHTTPS} {
		b.item(z, www, qtype)
	}
	b.item(z, z.origin, dns.TypeMX)
	b.item(z, "WwW."+z.origin, dns.TypeA)
	b.item(z, "_sip._tcp."+z.origin, dns.TypeSRV)
	b.item(z, "big."+z.origin, dns.TypeTXT, "big")
	for range 3 {
		b.item(z, fmt.Sprintf("missing%d.%s", b.rand.IntN(1000), z.origin), dns.TypeA, "nxdomain")
		b.item(z, fmt.Sprintf("a.b.missing%d.%s", b.rand.IntN(1000), z.origin), dns.TypeTXT, "nxdomain")
	}
}

// oddTTLs: none, the largest, with the top bit set, and RRsets of several.
func (b *builder) oddTTLs(z *zone) {
	for _, odd := range []struct {
		name string
		ttl  uint32
	}{{"ttl-0", 0}, {"ttl-1", 1}, {"ttl-max", 1<<31 - 1}, {"ttl-top", 1 << 31}, {"ttl-all", 1<<32 - 1}} {
		b.add(z, odd.name, odd.ttl, "A", b.dataAddr())
		b.item(z, odd.name+"."+z.origin, dns.TypeA, odd.name)
		b.item(z, odd.name+"."+z.origin, dns.TypeAAAA, odd.name)
	}
	if len(z.words) == 0 { // a signed RRset has one TTL, or its signature is not for it
		b.add(z, "ttl-mixed", 1000, "A", "203.0.113.1")
		b.add(z, "ttl-mixed", 10, "A", "203.0.113.2")
		b.item(z, "ttl-mixed."+z.origin, dns.TypeA, "ttl-mixed")
	}
}

// trees: wildcards, what blocks them, and empty non-terminals. Compact denial has no
// wildcards.
func (b *builder) trees(z *zone) {
	b.add(z, "leaf.ent", 300, "A", b.dataAddr())
	b.item(z, "leaf.ent."+z.origin, dns.TypeA)
	b.item(z, "ent."+z.origin, dns.TypeA, "ent")
	b.item(z, "ent."+z.origin, dns.TypeTXT, "ent")
	b.item(z, "x.ent."+z.origin, dns.TypeA, "nxdomain")
	b.item(z, "x.leaf.ent."+z.origin, dns.TypeA, "nxdomain")
	if slices.Contains(z.words, "compact") {
		return
	}
	b.add(z, "*.wild", 300, "A", b.dataAddr())
	b.add(z, "a.blocked.wild", 300, "TXT", "x")
	b.item(z, fmt.Sprintf("x%d.wild.%s", b.rand.IntN(100), z.origin), dns.TypeA, "wildcard")
	b.item(z, fmt.Sprintf("x.y%d.wild.%s", b.rand.IntN(100), z.origin), dns.TypeA, "wildcard")
	b.item(z, fmt.Sprintf("x%d.wild.%s", b.rand.IntN(100), z.origin), dns.TypeMX, "wildcard", "wildcard-nodata")
	b.item(z, "wild."+z.origin, dns.TypeA, "ent")
	b.item(z, "*.wild."+z.origin, dns.TypeA, "asterisk")
	b.item(z, "blocked.wild."+z.origin, dns.TypeA, "ent")
	b.item(z, "x.blocked.wild."+z.origin, dns.TypeA, "nxdomain")
}

// aliases: CNAME records into other zones, each link one nearer to an end.
func (b *builder) aliases(z *zone, leaves []*zone) {
	ends := []string{"www", "ent", "leaf.ent", "missing", "big", "ttl-0"}
	for _, end := range ends {
		to := end + "." + b.other(leaves).origin
		b.alias(z, "to-"+strings.ReplaceAll(end, ".", "-"), to)
	}
	b.alias(z, "web1", "www."+b.other(leaves).origin)
	for i := 2; i <= webDepth; i++ {
		b.alias(z, fmt.Sprintf("web%d", i), fmt.Sprintf("web%d.%s", i-1, b.other(leaves).origin))
	}
	b.alias(z, "loop1", "loop1."+z.origin).tags = []string{"loop"}
	b.alias(z, "loop2", "loop3."+z.origin).tags = []string{"loop"}
	b.alias(z, "loop3", "loop2."+z.origin).tags = []string{"loop"}
	if !slices.Contains(z.words, "compact") {
		to := "www." + b.other(leaves).origin
		b.add(z, "*.wildalias", 300, "CNAME", to)
		b.item(z, fmt.Sprintf("x%d.wildalias.%s", b.rand.IntN(100), z.origin), dns.TypeA, "wildcard", "alias").target = to
	}
}

// alias adds a CNAME record to a name. What it leads to is a name that questions are
// about, so that its tags are known.
func (b *builder) alias(z *zone, label, to string) *item {
	b.add(z, label, 300, "CNAME", to)
	it := b.item(z, label+"."+z.origin, dns.TypeA, "alias")
	it.types = append(it.types, dns.TypeAAAA, dns.TypeTXT, dns.TypeCNAME)
	it.target = to
	if strings.HasPrefix(to, "missing.") || strings.HasPrefix(to, "leaf.ent.") || strings.HasPrefix(to, "big.") {
		it.tags = append(it.tags, "to-"+to[:strings.Index(to, ".")])
	}
	return it
}

// dnames: trees that are somewhere else, also twice over, and one that makes names too
// long.
func (b *builder) dnames(z *zone, leaves []*zone) {
	to := b.other(leaves).origin
	b.add(z, "tree", 300, "DNAME", to)
	for _, end := range []string{"www", "ent", "leaf.ent", "web2", "nothing"} {
		it := b.item(z, end+".tree."+z.origin, dns.TypeA, "dname")
		it.target = end + "." + to
	}
	b.item(z, "tree."+z.origin, dns.TypeDNAME, "dname-owner")
	b.item(z, "tree."+z.origin, dns.TypeA, "dname-owner")
	second := b.other(leaves).origin
	b.add(z, "twice", 300, "DNAME", "tree."+second)
	b.item(z, "www.twice."+z.origin, dns.TypeA, "dname").target = "www.tree." + second
	long := strings.Repeat(strings.Repeat("l", longLabel)+".", 3)
	b.add(z, "long", 300, "DNAME", long+z.origin)
	b.item(z, strings.Repeat("m", longLabel)+".long."+z.origin, dns.TypeA, "dname", "dname-too-long")
}

// crookedSignatures: single names whose signatures are wrong, two kinds a zone. A zone
// that is spoilt already has none.
func (b *builder) crookedSignatures(z *zone, index int) {
	if len(z.words) == 0 || strings.Contains(strings.Join(z.words, " "), "break=") || slices.Contains(z.words, "compact") {
		return
	}
	kinds := []string{"expired", "future", "inverted", "corrupt", "unsigned", "signer", "tag", "labels", "algorithm"}
	for i := range 2 {
		kind := kinds[(index+i)%len(kinds)]
		label := "bad-" + kind
		b.add(z, label, 300, "A", b.dataAddr())
		z.words = append(z.words, fmt.Sprintf("break=%s:%s/A", kind, label))
		it := b.item(z, label+"."+z.origin, dns.TypeA, "bad", label)
		switch kind {
		case "signer":
			it.tags = append(it.tags, wrongSigner)
		case "labels":
			it.tags = append(it.tags, wrongLabels)
		case "expired", "future":
			it.tags = append(it.tags, skewed)
		}
		b.item(z, label+"."+z.origin, dns.TypeMX)
	}
}

// subZone delegates an unsigned zone below one in three, on the same servers.
func (b *builder) subZone(z *zone) {
	if b.rand.IntN(3) > 0 || len(z.addrs) == 0 || strings.Contains(strings.Join(z.words, " "), "break=") {
		return
	}
	sub := &zone{origin: "sub." + z.origin, addrs: z.addrs, sound: z.sound, tags: slices.Concat(z.tags, []string{"sub", insecure})}
	b.zones = append(b.zones, sub)
	b.add(sub, "www", 300, "A", b.dataAddr())
	b.item(z, sub.origin, dns.TypeDS, "sub")
	b.item(z, sub.origin, dns.TypeNS, "sub", insecure)
	b.item(z, "www."+sub.origin, dns.TypeA, "sub", insecure)
	b.item(z, "missing."+sub.origin, dns.TypeA, "sub", "nxdomain", insecure)
}

// longChain makes one chain that is longer than resolvers follow, in a zone of its own.
func (b *builder) longChain() {
	z := &zone{origin: "chain.plain.example.", addrs: b.newAddrs(1), tags: []string{"chain-zone", insecure}}
	b.zones = append(b.zones, z)
	b.add(z, "c0", 300, "A", b.dataAddr())
	b.item(z, "c0."+z.origin, dns.TypeA)
	for i := 1; i <= chainMax; i++ {
		label := fmt.Sprintf("c%d", i)
		b.add(z, label, 300, "CNAME", fmt.Sprintf("c%d.%s", i-1, z.origin))
		b.item(z, label+"."+z.origin, dns.TypeA, fmt.Sprintf("chain=%d", i))
	}
}
