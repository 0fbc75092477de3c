package cache

import (
	"encoding/binary"
	"time"

	"github.com/miekg/dns"
)

// commonTypes is how many types isCommon knows. They are not counted one by one: real
// names have few others, so that nothing has to be counted at all.
const commonTypes = 24

// isCommon reports whether a type is one that real names have.
func isCommon(rrtype uint16) bool {
	switch rrtype {
	case dns.TypeA, dns.TypeNS, dns.TypeCNAME, dns.TypeSOA, dns.TypePTR, dns.TypeMX, dns.TypeTXT, dns.TypeAAAA,
		dns.TypeSRV, dns.TypeNAPTR, dns.TypeDNAME, dns.TypeDS, dns.TypeSSHFP, dns.TypeRRSIG, dns.TypeNSEC,
		dns.TypeDNSKEY, dns.TypeNSEC3, dns.TypeNSEC3PARAM, dns.TypeTLSA, dns.TypeCDS, dns.TypeCDNSKEY,
		dns.TypeSVCB, dns.TypeHTTPS, dns.TypeCAA:
		return true
	}
	return false
}

// The list of a name's rare types is an entry of its own, of places with the type and
// when it ends, by the wall clock in milliseconds.
const rarePlace = 2 + 8

// admitType reports whether one more RRset, which lives for d, may be kept for the
// name, and if so counts its type.
func (v *View) admitType(i instant, k key, d time.Duration) bool {
	if isCommon(k.rrtype) {
		return true
	}
	list := k
	list.rrtype, list.kind = 0, KindTypes
	for {
		old, _, found := v.entry(list, true)
		var body []byte
		longest := d
		if found {
			body = []byte(old.body())
			longest = max(longest, time.Duration(old.span().left(i))*time.Millisecond)
		}
		body, ok := withType(body, v.cache.options.MaxTypes-commonTypes, k.rrtype, i.wall, i.wall+d.Milliseconds())
		if !ok {
			return false
		}
		b := append(appendHead(make([]byte, 0, entryHeader+len(list.name)+len(body)), head{list, standing{}, spanOf(i, longest), 0}), body...)
		lost := false
		hash := v.cache.hasher.hash(list)
		v.cache.storeOf(list).shard(hash).put(hash, entry(b), func(now entry) bool {
			lost = now.is(&list) && (!found || now != old)
			return !lost
		})
		if !lost {
			return true
		}
	}
}

// withType puts a type that lives until end into the list, in the place it has, or one
// that is dead, or a new one. It fails when the list is full of live types.
func withType(list []byte, limit int, rrtype uint16, now, end int64) ([]byte, bool) {
	free := -1
	for at := 0; at+rarePlace <= len(list); at += rarePlace {
		if binary.BigEndian.Uint16(list[at:]) == rrtype {
			free = at
			break
		}
		if int64(binary.BigEndian.Uint64(list[at+2:])) <= now {
			free = at
		}
	}
	if free < 0 {
		if len(list) >= limit*rarePlace {
			return list, false
		}
		free = len(list)
		list = append(list, make([]byte, rarePlace)...)
	}
	binary.BigEndian.PutUint16(list[free:], rrtype)
	binary.BigEndian.PutUint64(list[free+2:], uint64(end))
	return list, true
}
