// Package rootsigner signs small root zones for tests, with NSEC and ZONEMD, as the real one is.
// It shares no code with the library, so that each checks the other.
package rootsigner

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Options say how a root zone is signed. The zero value is as it should be.
type Options struct {
	Serial  uint32 // 0: 2026010100
	Signed  time.Time
	Valid   time.Duration // 0: 13 days
	Refresh uint32        // of the SOA, in seconds; 0: 1800
	Retry   uint32        // 0: 900
	Expire  uint32        // 0: 604800
	Also    []*dns.ZONEMD // further records, whose header is set; serial 0: that of the SOA; digest "": the right one

	// What may be wrong.
	Scheme, Hash uint8 // of ZONEMD; 0: SIMPLE, SHA-384
	NoZONEMD     bool
	Digest       string // in its place
	ZONEMDSerial uint32 // 0: that of the SOA
	Unsigned     bool   // no DNSSEC at all
	Seed         byte   // of the key
	ZeroTimers   bool   // refresh, retry and expire are 0
}

// Key returns the key that zones are signed with, as a DS.
func Key(seed byte) *dns.DS { key, _ := keyOf(seed); return key.ToDS(dns.SHA256) }

func keyOf(seed byte) (*dns.DNSKEY, crypto.Signer) {
	private := ed25519.NewKeyFromSeed(slices.Repeat([]byte{seed + 1}, ed25519.SeedSize))
	key := &dns.DNSKEY{Hdr: header(".", dns.TypeDNSKEY, 172800), Flags: 257, Protocol: 3, Algorithm: dns.ED25519}
	key.PublicKey = base64.StdEncoding.EncodeToString(private.Public().(ed25519.PublicKey))
	return key, private
}

func header(owner string, rrtype uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: owner, Rrtype: rrtype, Class: dns.ClassINET, Ttl: ttl}
}

// Sign returns the text of a root zone with these records, which lack the SOA.
func Sign(t testing.TB, records string, o Options) string {
	t.Helper()
	o.fill()
	zone := []dns.RR{&dns.SOA{
		Hdr: header(".", dns.TypeSOA, 86400), Ns: "a.root-servers.net.", Mbox: "nstld.example.", Serial: o.Serial,
		Refresh: o.Refresh, Retry: o.Retry, Expire: o.Expire, Minttl: 86400,
	}}
	parser := dns.NewZoneParser(strings.NewReader(records), ".", "")
	parser.SetDefaultTTL(172800)
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		zone = append(zone, rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	key, private := keyOf(o.Seed)
	digests := o.digests()
	zone = append(zone, digests...)
	if !o.Unsigned {
		zone = append(zone, key)
		zone = append(zone, chain(zone)...)
		for _, set := range authoritative(zone) {
			zone = append(zone, signature(t, set, key, private, o))
		}
	}
	for _, rr := range digests {
		if md := rr.(*dns.ZONEMD); md.Digest == "" {
			md.Digest = digest(t, zone, md.Hash)
		}
	}
	for i, rr := range zone {
		if sig, ok := rr.(*dns.RRSIG); ok && sig.TypeCovered == dns.TypeZONEMD {
			zone[i] = signature(t, digests, key, private, o)
		}
	}
	var b strings.Builder
	for _, rr := range zone {
		fmt.Fprintln(&b, rr)
	}
	return b.String()
}

func (o *Options) fill() {
	set := func(field *uint32, value uint32) {
		if *field == 0 {
			*field = value
		}
	}
	set(&o.Serial, 2026010100)
	set(&o.Refresh, 1800)
	set(&o.Retry, 900)
	set(&o.Expire, 604800)
	set(&o.ZONEMDSerial, o.Serial)
	if o.ZeroTimers {
		o.Refresh, o.Retry, o.Expire = 0, 0, 0
	}
	if o.Valid == 0 {
		o.Valid = 13 * 24 * time.Hour
	}
	o.Scheme, o.Hash = max(o.Scheme, 1), max(o.Hash, 1)
}

// digests returns the ZONEMD records, those with the right digest still without it.
func (o *Options) digests() []dns.RR {
	if o.NoZONEMD {
		return nil
	}
	records := []dns.RR{&dns.ZONEMD{Serial: o.ZONEMDSerial, Scheme: o.Scheme, Hash: o.Hash, Digest: o.Digest}}
	for _, also := range o.Also {
		md := *also
		if md.Serial == 0 {
			md.Serial = o.Serial
		}
		records = append(records, &md)
	}
	for _, rr := range records {
		*rr.Header() = header(".", dns.TypeZONEMD, 86400)
	}
	return records
}

func signature(t testing.TB, set []dns.RR, key *dns.DNSKEY, private crypto.Signer, o Options) *dns.RRSIG {
	t.Helper()
	h := set[0].Header()
	sig := &dns.RRSIG{
		Hdr: header(h.Name, dns.TypeRRSIG, h.Ttl), Algorithm: key.Algorithm, KeyTag: key.KeyTag(), SignerName: ".",
		Inception: uint32(o.Signed.Add(-time.Hour).Unix()), Expiration: uint32(o.Signed.Add(o.Valid).Unix()),
	}
	if err := sig.Sign(private, set); err != nil {
		t.Fatal(err)
	}
	return sig
}

// cuts are the names that are delegated.
func cuts(zone []dns.RR) map[string]bool {
	cuts := make(map[string]bool)
	for _, rr := range zone {
		if h := rr.Header(); h.Rrtype == dns.TypeNS && h.Name != "." {
			cuts[h.Name] = true
		}
	}
	return cuts
}

// below reports whether a name is below a cut.
func below(name string, cuts map[string]bool) bool {
	for i, end := dns.NextLabel(name, 0); !end; i, end = dns.NextLabel(name, i) {
		if cuts[name[i:]] {
			return true
		}
	}
	return false
}

// authoritative returns the RRsets that are signed.
func authoritative(zone []dns.RR) [][]dns.RR {
	cuts := cuts(zone)
	var sets [][]dns.RR
	at := make(map[string]int)
	for _, rr := range zone {
		h := rr.Header()
		if below(h.Name, cuts) || cuts[h.Name] && h.Rrtype != dns.TypeDS && h.Rrtype != dns.TypeNSEC {
			continue
		}
		key := h.Name + dns.Type(h.Rrtype).String()
		if i, ok := at[key]; ok {
			sets[i] = append(sets[i], rr)
			continue
		}
		at[key] = len(sets)
		sets = append(sets, []dns.RR{rr})
	}
	return sets
}

// chain makes the NSEC records. All names have one label, so that plain order is canonical order.
func chain(zone []dns.RR) []dns.RR {
	cuts := cuts(zone)
	types := make(map[string][]uint16)
	for _, rr := range zone {
		if h := rr.Header(); !below(h.Name, cuts) {
			types[h.Name] = append(types[h.Name], h.Rrtype)
		}
	}
	var names []string
	for name := range types {
		names = append(names, name)
	}
	slices.Sort(names)
	var records []dns.RR
	for i, name := range names {
		all := append(types[name], dns.TypeNSEC, dns.TypeRRSIG)
		slices.Sort(all)
		records = append(records, &dns.NSEC{
			Hdr: header(name, dns.TypeNSEC, 86400), NextDomain: names[(i+1)%len(names)], TypeBitMap: slices.Compact(all),
		})
	}
	return records
}

// digest is RFC 8976 §3.3 for zones whose names have no capitals.
func digest(t testing.TB, zone []dns.RR, algorithm uint8) string {
	t.Helper()
	var rows []string
	for _, rr := range zone {
		if sig, ok := rr.(*dns.RRSIG); rr.Header().Rrtype == dns.TypeZONEMD || ok && sig.TypeCovered == dns.TypeZONEMD {
			continue
		}
		b := make([]byte, 4096)
		n, err := dns.PackRR(rr, b, 0, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, sortKey(rr)+string(b[:n]))
	}
	slices.Sort(rows)
	var sum hash.Hash = sha512.New384()
	if algorithm == dns.ZoneMDHashAlgSHA512 {
		sum = sha512.New()
	}
	for _, row := range rows {
		_, wire, _ := strings.Cut(row, "\xff\xff")
		sum.Write([]byte(wire))
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// sortKey begins with the labels from the last to the first, and ends with the type and RDATA.
func sortKey(rr dns.RR) string {
	labels := dns.SplitDomainName(rr.Header().Name)
	slices.Reverse(labels)
	b := make([]byte, 4096)
	n, _ := dns.PackRR(rr, b, 0, nil, false)
	head := len(b[:n]) - int(rr.Header().Rdlength)
	return strings.Join(labels, "\x00") + "\x00\x00" + string([]byte{byte(rr.Header().Rrtype >> 8), byte(rr.Header().Rrtype)}) + hex.EncodeToString(b[head:n]) + "\xff\xff"
}
