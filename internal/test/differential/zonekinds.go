package main

import (
	"fmt"
	"slices"
	"strings"
)

// zoneKind is a way of signing or serving a zone. Its name is a tag.
type zoneKind struct {
	name   string
	words  string // how it is signed
	parent string // where it has to be; "": anywhere
	sound  bool   // its names resolve like those of any zone
	setUp  func(b *builder, z, parent *zone)
}

// Tags that sum up what can be proven about a zone.
const (
	insecure     = "insecure"      // there is no chain of trust to it
	spoilt       = "spoilt"        // there ought to be, or signatures are wrong
	spoiltDenial = "spoilt-denial" // the records that prove what is not there are wrong
	wrongSigner  = "wrong-signer"  // names in it are signed by the zone above
	wrongLabels  = "wrong-labels"  // signatures count one label too many
	hashedOften  = "hashed-often"  // NSEC3 with more iterations than some resolvers do
	skewed       = "skewed"        // signatures ended an hour ago, or begin in a day
)

// trust returns the tags of a zone by how it is signed.
func (z *zone) trust() []string {
	all := strings.Join(z.words, " ")
	var tags []string
	if all == "" || slices.ContainsFunc([]string{"no-ds", "algorithm=16", "algorithm=200", "digest=200", "ds-algorithm"}, func(word string) bool {
		return strings.Contains(all, word)
	}) || strings.HasSuffix(z.origin, ".plain.example.") || z.origin == "plain.example." {
		tags = append(tags, insecure)
	}
	if strings.Contains(all, "iterations=100") || strings.Contains(all, "iterations=500") {
		tags = append(tags, hashedOften)
	}
	if !strings.Contains(all, "break=") {
		return tags
	}
	tags = append(tags, spoilt)
	if strings.Contains(all, "NSEC") {
		tags = append(tags, spoiltDenial)
	}
	if strings.Contains(all, "break=signer") {
		tags = append(tags, wrongSigner)
	}
	if strings.Contains(all, "break=labels") {
		tags = append(tags, wrongLabels)
	}
	if strings.Contains(all, "break=expired") || strings.Contains(all, "break=future") {
		tags = append(tags, skewed)
	}
	return tags
}

// zoneKinds lists all kinds. Each world has every kind once at least.
func zoneKinds() []zoneKind {
	var all []zoneKind
	all = append(all, signedKinds()...)
	all = append(all, spoiltKinds()...)
	all = append(all, servedKinds()...)
	return append(all, delegatedKinds()...)
}

// signedKinds: all ways of signing rightly, or not at all.
func signedKinds() []zoneKind {
	var all []zoneKind
	for _, k := range [][2]string{
		{"unsigned", ""}, {"ed25519", "algorithm=15"}, {"p256", "algorithm=13"}, {"p384", "algorithm=14"},
		{"rsa-sha256", "algorithm=8"}, {"rsa-sha512", "algorithm=10"}, {"rsa-sha1", "algorithm=5"},
		{"rsa-sha1-nsec3", "algorithm=7 nsec3"},
		{"two-algorithms", "algorithm=8,13 ksk=1,2 zsk=1,2 sign=1,2 ds=1,2"},
		{"one-ds-of-two", "algorithm=13,15 ksk=1,2 zsk=1,2 sign=1,2 ds=1"},
		{"csk", "csk algorithm=13"}, {"digest-sha1", "digest=1"}, {"digest-sha384", "digest=4"},
		{"digest-unknown", "digest=200"},
		{"two-operators", "operators=2 algorithm=13"}, {"new-zsk", "zsk=1,2 sign=2"},
		{"nsec3", "nsec3"}, {"nsec3-salt", "nsec3 iterations=5 salt=aabb"}, {"opt-out", "opt-out"},
		{"iterations-50", "nsec3 iterations=50"}, {"iterations-100", "nsec3 iterations=100"},
		{"iterations-500", "nsec3 iterations=500"},
		{"compact", "compact"}, {"no-ds", "no-ds"}, {"no-ds-nsec3", "no-ds nsec3"},
		{"ed448", "algorithm=16"}, {"algorithm-unknown", "algorithm=200"},
	} {
		all = append(all, zoneKind{name: k[0], words: k[1], sound: true})
	}
	for _, parent := range []string{"nsec.example.", "nsec3.example.", "optout.example."} {
		under := strings.TrimSuffix(parent, ".example.")
		all = append(all, zoneKind{name: "insecure-in-" + under, parent: parent, sound: true},
			zoneKind{name: "secure-in-" + under, parent: parent, words: "algorithm=13", sound: true})
	}
	return all
}

// spoiltKinds: what can be wrong with a whole zone. Single names that are signed wrongly
// are in every signed zone.
func spoiltKinds() []zoneKind {
	var all []zoneKind
	for _, word := range []string{
		"ds-digest", "ds-tag", "ds-algorithm", "zone-key", "expired", "future", "inverted", "corrupt", "unsigned",
		"signer", "tag", "labels", "algorithm", "expired:@/DNSKEY", "unsigned:@/DNSKEY", "corrupt:@/DNSKEY",
		"expired:@/SOA", "unsigned:@/SOA", "corrupt:NSEC", "unsigned:NSEC", "absent:www/NSEC",
	} {
		all = append(all, zoneKind{name: "break=" + word, words: "algorithm=13 break=" + word, parent: "nsec.example."})
	}
	for _, word := range []string{"corrupt:NSEC3", "unsigned:NSEC3", "absent:@/NSEC3", "absent:www/NSEC3"} {
		all = append(all, zoneKind{name: "break=" + word, words: "algorithm=15 nsec3 break=" + word, parent: "nsec3.example."})
	}
	return all
}

// servedKinds: what can be wrong with servers. The first of two has the fault, or both.
func servedKinds() []zoneKind {
	var all []zoneKind
	for _, fault := range []string{
		"dead", "lame upward", "lame refused", "rcode SERVFAIL", "rcode NOTIMP",
		"no-edns formerr", "no-edns notimp", "truncate", "udp-size 512", "cookies", "fold-case",
		"no-question", "garbage", "loss 20%", "close", "add additional ns1.@ A 203.0.113.250",
	} {
		all = append(all, zoneKind{name: "one:" + strings.ReplaceAll(fault, " ", "-"), sound: true,
			setUp: func(_ *builder, z, _ *zone) {
				z.fault(0, strings.ReplaceAll(fault, "@", z.origin))
			}})
	}
	for _, fault := range []string{
		"no-edns formerr", "no-edns notimp", "truncate", "udp-size 512", "cookies", "lame refused", "lame upward",
		"rcode SERVFAIL", "dead", "fold-case",
	} {
		all = append(all, zoneKind{name: "all:" + strings.ReplaceAll(fault, " ", "-"),
			sound: !strings.HasPrefix(fault, "lame") && !strings.HasPrefix(fault, "rcode") && fault != "dead",
			setUp: func(_ *builder, z, _ *zone) {
				z.fault(0, fault)
				z.fault(1, fault)
				if fault == "dead" {
					z.tags = append(z.tags, slow)
				}
			}})
	}
	return append(all, zoneKind{name: "signed-big-udp-512", words: "algorithm=8 bits=2048", sound: true,
		setUp: func(_ *builder, z, _ *zone) { z.fault(0, "udp-size 512"); z.fault(1, "udp-size 512") }})
}

// delegatedKinds: ways of delegating.
func delegatedKinds() []zoneKind {
	return []zoneKind{
		{name: "servers-elsewhere", sound: true, setUp: func(b *builder, z, parent *zone) {
			host := b.hostZone(z, parent)
			b.delegate(z, parent, "ns1."+host.origin, "ns2."+host.origin)
		}},
		{name: "servers-elsewhere-signed", words: "algorithm=13", sound: true, setUp: func(b *builder, z, parent *zone) {
			host := b.hostZone(z, parent)
			b.delegate(z, parent, "ns1."+host.origin, "ns2."+host.origin)
		}},
		{name: "one-server-made-up", sound: true, setUp: func(b *builder, z, parent *zone) {
			host := b.hostZone(z, parent)
			b.delegate(z, parent, "ns1."+host.origin, "missing."+host.origin)
		}},
		{name: "servers-made-up", setUp: func(b *builder, z, parent *zone) {
			host := b.hostZone(z, parent)
			b.delegate(z, parent, "missing1."+host.origin, "missing2."+host.origin)
		}},
		{name: "circle", setUp: func(b *builder, z, parent *zone) {
			other := &zone{origin: "other-" + z.origin, tags: []string{"circle"}}
			other.addrs = b.newAddrs(1)
			b.delegate(other, parent, "ns1."+z.origin)
			b.delegate(z, parent, "ns1."+other.origin)
			b.zones = append(b.zones, other)
			z.tags = append(z.tags, slow)
		}},
		{name: "on-the-parents-servers", sound: true, setUp: func(b *builder, z, parent *zone) { z.addrs = parent.addrs }},
		{name: "signed-on-the-parents-servers", words: "algorithm=13", sound: true,
			setUp: func(b *builder, z, parent *zone) { z.addrs = parent.addrs }},
		{name: "deep", sound: true, setUp: func(b *builder, z, parent *zone) { z.origin = "a.b.c." + z.origin }},
		{name: "deep-signed", words: "nsec3 algorithm=13", sound: true,
			setUp: func(b *builder, z, parent *zone) { z.origin = "a.b.c." + z.origin }},
		{name: "one-glue-wrong", sound: true, setUp: func(b *builder, z, parent *zone) {
			wrong := b.newAddrs(1)[0]
			label := strings.TrimSuffix(z.origin, "."+parent.origin)
			parent.records = append(parent.records,
				fmt.Sprintf("%s 3600 IN NS ns1.%s", label, label), fmt.Sprintf("%s 3600 IN NS ns2.%s", label, label),
				fmt.Sprintf("ns1.%s 3600 IN A %s", label, wrong), fmt.Sprintf("ns2.%s 3600 IN A %s", label, z.addrs[1]))
		}},
	}
}

// hostZone makes a zone with the hosts that are the servers of another.
func (b *builder) hostZone(z, parent *zone) *zone {
	host := &zone{origin: "host-" + z.origin, addrs: b.newAddrs(1), tags: []string{"host"}}
	for i, addr := range z.addrs {
		b.add(host, fmt.Sprintf("ns%d", i+1), 3600, "A", addr)
	}
	b.add(host, "@", 3600, "NS", "ns1")
	host.addrs = z.addrs[:1]
	b.zones = append(b.zones, host)
	b.item(host, "ns1."+host.origin, 1)
	b.item(host, host.origin, 2)
	return host
}

// delegate makes hosts the servers of a zone, here and in its parent.
func (b *builder) delegate(z, parent *zone, hosts ...string) {
	label := strings.TrimSuffix(z.origin, "."+parent.origin)
	for _, host := range hosts {
		parent.records = append(parent.records, fmt.Sprintf("%s 3600 IN NS %s", label, host))
		b.add(z, "@", 3600, "NS", host)
	}
}
