package main

import (
	"crypto"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// signer signs the replies when they are made. All zones have one key: what counts is what it costs
// to check.
type signer struct {
	public  *dns.DNSKEY
	private crypto.Signer
	from    uint32
	until   uint32

	mu   sync.Mutex
	kept map[string]*dns.RRSIG // of records that are asked for often; guarded by mu
}

// mostKept is how many signatures are kept: those of the root and the top-level domains are among the
// first.
const mostKept = 1000

// signatureLife is how long signatures are valid: longer than a run takes.
const signatureLife = 30 * 24 * time.Hour

func newSigner() (*signer, error) {
	key := &dns.DNSKEY{Hdr: header(".", dns.TypeDNSKEY), Flags: dns.ZONE | dns.SEP, Protocol: 3, Algorithm: dns.ECDSAP256SHA256}
	private, err := key.Generate(256)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &signer{
		public: key, private: private.(crypto.Signer), kept: make(map[string]*dns.RRSIG),
		from: uint32(now.Add(-time.Hour).Unix()), until: uint32(now.Add(signatureLife).Unix()),
	}, nil
}

func (s *signer) key(zone string) *dns.DNSKEY {
	key := *s.public
	key.Hdr.Name = zone
	return &key
}

func (s *signer) ds(zone string) dns.RR {
	ds := s.key(zone).ToDS(dns.SHA256)
	ds.Hdr.Ttl = ttl
	return ds
}

// signs reports whether a zone is signed.
func (s *signer) signs(zone string) bool {
	n, ok := numberOf(zone)
	return !ok || isSignedZone(n)
}

// zoneOf returns the zone whose keys sign a record.
func zoneOf(rr dns.RR) string {
	name := rr.Header().Name
	labels := dns.SplitDomainName(name)
	depth := len(labels)
	if rr.Header().Rrtype == dns.TypeDS {
		depth--
	}
	if depth <= 0 {
		return "."
	}
	tld, ok := topLevelOf(labels[len(labels)-1])
	if !ok {
		return "."
	}
	if n, isZone := numberOf(name); isZone && depth >= 2 && kindOf(n) != isMissing {
		return nameOf(n)
	}
	return fmt.Sprintf("t%d.", tld)
}

// sign adds a signature for each RRset of a reply but those of a delegation and glue.
func (s *signer) sign(m *dns.Msg) {
	m.Answer = s.signed(m.Answer, "")
	proof := ""
	if !m.Authoritative {
		for _, rr := range m.Ns {
			if rr.Header().Rrtype == dns.TypeNS {
				proof = rr.Header().Name
			}
		}
	}
	m.Ns = s.signed(m.Ns, proof)
}

// signed returns records with their signatures. cut is the delegated zone of a referral; "": none.
func (s *signer) signed(rrs []dns.RR, cut string) []dns.RR {
	all := slices.Clone(rrs)
	for len(rrs) > 0 {
		h := rrs[0].Header()
		var set, rest []dns.RR
		for _, rr := range rrs {
			if other := rr.Header(); other.Name == h.Name && other.Rrtype == h.Rrtype {
				set = append(set, rr)
			} else {
				rest = append(rest, rr)
			}
		}
		rrs = rest
		zone := zoneOf(set[0])
		if h.Rrtype == dns.TypeNS && cut != "" {
			continue
		}
		if h.Rrtype == dns.TypeNSEC && (cut != "" || isDelegationProof(set[0])) {
			zone = parentOf(h.Name)
		}
		if s.signs(zone) {
			all = append(all, s.signature(zone, set))
		}
	}
	return all
}

// isDelegationProof reports whether an NSEC record is the parent's at a zone cut.
func isDelegationProof(rr dns.RR) bool {
	types := rr.(*dns.NSEC).TypeBitMap
	return slices.Contains(types, dns.TypeNS) && !slices.Contains(types, dns.TypeSOA)
}

// parentOf returns the zone above a zone.
func parentOf(zone string) string {
	if next, end := dns.NextLabel(zone, 0); !end {
		return zone[next:]
	}
	return "."
}

// signature signs an RRset.
func (s *signer) signature(zone string, set []dns.RR) *dns.RRSIG {
	h := set[0].Header()
	_, ofName := numberOf(h.Name)
	key := h.Name + dns.Type(h.Rrtype).String()
	if !ofName {
		s.mu.Lock()
		sig, ok := s.kept[key]
		s.mu.Unlock()
		if ok {
			return sig
		}
	}
	sig := &dns.RRSIG{
		Hdr: header(h.Name, dns.TypeRRSIG), Algorithm: s.public.Algorithm, KeyTag: s.public.KeyTag(),
		SignerName: zone, Inception: s.from, Expiration: s.until,
	}
	if err := sig.Sign(s.private, set); err != nil {
		panic(err) // of records that this program has made
	}
	if !ofName {
		s.mu.Lock()
		if len(s.kept) < mostKept { // denials of missing names are of no further use
			s.kept[key] = sig
		}
		s.mu.Unlock()
	}
	return sig
}

func sortTypes(types []uint16) { slices.Sort(types) }
