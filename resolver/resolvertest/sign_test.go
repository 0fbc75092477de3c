package resolvertest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// signedText is a signed Internet; %s are words for the header of the shop's zone.
const signedText = `
-- zone shop.example. at 198.51.100.3 signed %s --
www             A       192.0.2.80
a.b.ent         A       192.0.2.81
*.wild          A       192.0.2.82
alias           CNAME   www
old             DNAME   new
www.new         A       192.0.2.83
unsigned        NS      ns.unsigned
ns.unsigned     A       198.51.100.9
x.y.unsigned2   NS      ns.unsigned
below.old       TXT     "occluded by the DNAME"
-- zone child.shop.example. at 198.51.100.4 signed --
-- zone island.shop.example. at 198.51.100.4 no-ds --
`

var signedVariants = []string{
	"", "algorithm=5", "algorithm=7", "algorithm=8", "algorithm=10 bits=1280", "algorithm=13", "algorithm=14", "csk",
	"nsec3", "nsec3 iterations=5 salt=aabb", "opt-out", "algorithm=8,13 ksk=1,2 zsk=1,2 sign=2",
}

// dnskeys returns the keys of a zone by tag.
func dnskeys(in *Internet, zone dnsname.Name) map[uint16]*dns.DNSKEY {
	keys := make(map[uint16]*dns.DNSKEY)
	for _, rr := range in.zones[zone].set(zone, dns.TypeDNSKEY) {
		key := rr.(*dns.DNSKEY)
		keys[key.KeyTag()] = key
	}
	return keys
}

// checkSignatures verifies every RRset of a section with miekg/dns, which is not
// what signed the canonical order and proofs. Sets that have no signature must be
// of the types named.
func checkSignatures(t *testing.T, in *Internet, section []dns.RR, unsigned ...uint16) {
	t.Helper()
	type key struct {
		owner  string
		rrtype uint16
	}
	sets := make(map[key][]dns.RR)
	sigs := make(map[key]*dns.RRSIG)
	for _, rr := range section {
		if sig, ok := rr.(*dns.RRSIG); ok {
			sigs[key{sig.Hdr.Name, sig.TypeCovered}] = sig
			continue
		}
		k := key{rr.Header().Name, rr.Header().Rrtype}
		sets[k] = append(sets[k], rr)
	}
	for k, set := range sets {
		sig, ok := sigs[k]
		if !ok {
			if !slices.Contains(unsigned, k.rrtype) {
				t.Errorf("no signature for %s %s", k.owner, dns.Type(k.rrtype))
			}
			continue
		}
		signer := dnskeys(in, dnsname.MustParse(sig.SignerName))[sig.KeyTag]
		if signer == nil {
			t.Errorf("no key %d of %s", sig.KeyTag, sig.SignerName)
		} else if err := sig.Verify(signer, set); err != nil {
			t.Errorf("signature of %s %s: %v", k.owner, dns.Type(k.rrtype), err)
		} else if !sig.ValidityPeriod(time.Now()) {
			t.Errorf("signature of %s %s is not valid now: %v", k.owner, dns.Type(k.rrtype), sig)
		}
	}
}

func askSigned(t *testing.T, in *Internet, server, name string, qtype uint16) *dns.Msg {
	t.Helper()
	q := query(name, qtype)
	q.IsEdns0().SetDo()
	q.IsEdns0().SetUDPSize(4096)
	return exchangeOver(t, in, "tcp", server, q)
}

// TestSignatures: what a signed zone answers is signed, negative answers and
// referrals too.
func TestSignatures(t *testing.T) {
	tests := []struct {
		name     string
		qtype    uint16
		unsigned []uint16
	}{
		{"www.shop.example.", dns.TypeA, nil},
		{"www.shop.example.", dns.TypeTXT, nil},
		{"shop.example.", dns.TypeDNSKEY, nil},
		{"shop.example.", dns.TypeSOA, nil},
		{"nx.shop.example.", dns.TypeA, nil},
		{"b.ent.shop.example.", dns.TypeA, nil},
		{"x.y.wild.shop.example.", dns.TypeA, nil},
		{"x.y.wild.shop.example.", dns.TypeTXT, nil},
		{"alias.shop.example.", dns.TypeA, nil},
		{"www.old.shop.example.", dns.TypeA, []uint16{dns.TypeCNAME}}, // RFC 6672 §5.3.1
		{"www.unsigned.shop.example.", dns.TypeA, []uint16{dns.TypeNS}},
		{"www.x.y.unsigned2.shop.example.", dns.TypeA, []uint16{dns.TypeNS}},
		{"www.child.shop.example.", dns.TypeA, []uint16{dns.TypeNS}},
		{"child.shop.example.", dns.TypeDS, nil},
		{"unsigned.shop.example.", dns.TypeDS, nil},
	}
	for _, variant := range signedVariants {
		t.Run(variant, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := New(t, fmt.Sprintf(signedText, variant))
				for _, test := range tests {
					reply := askSigned(t, in, "198.51.100.3", test.name, test.qtype)
					if len(reply.Answer)+len(reply.Ns) == 0 {
						t.Errorf("%s: got %s", test.name, text(reply))
					}
					checkSignatures(t, in, reply.Answer, test.unsigned...)
					checkSignatures(t, in, reply.Ns, test.unsigned...)
				}
			})
		})
	}
}

// TestChain: the DS in the zone above is that of the zone's key, from the root
// down, derived zones included.
func TestChain(t *testing.T) {
	in := New(t, fmt.Sprintf(signedText, ""))
	for _, zone := range []string{"example.", "shop.example.", "child.shop.example."} {
		origin := dnsname.MustParse(zone)
		set := parentOf(in.zones, origin).set(origin, dns.TypeDS)
		if len(set) != 1 {
			t.Fatalf("%s: got %d DS records, want 1", zone, len(set))
		}
		ds := set[0].(*dns.DS)
		key := dnskeys(in, origin)[ds.KeyTag]
		if key == nil || key.Flags != 257 || key.ToDS(ds.DigestType).Digest != ds.Digest {
			t.Errorf("%s: the DS %v is not that of the key %v", zone, ds, key)
		}
	}
	if set := in.zones[dnsname.MustParse("shop.example.")].set(dnsname.MustParse("island.shop.example."), dns.TypeDS); len(set) != 0 {
		t.Errorf("no-ds: got %v", set)
	}
	if len(dnskeys(in, dnsname.MustParse("island.shop.example."))) != 2 {
		t.Error("no-ds: the zone is not signed")
	}
	if again := New(t, fmt.Sprintf(signedText, "")); fmt.Sprint(in.zones[dnsname.Root].ds()) != fmt.Sprint(again.zones[dnsname.Root].ds()) {
		t.Error("two runs have two keys")
	}
	if in := New(t, shop); in.zones[dnsname.Root].isSigned() {
		t.Error("the root of an unsigned Internet is signed")
	}
}

// TestNSECChain writes a chain out: owners in canonical order, without glue and
// what a DNAME hides.
func TestNSECChain(t *testing.T) {
	in := New(t, fmt.Sprintf(signedText, ""))
	z := in.zones[dnsname.MustParse("shop.example.")]
	var got []string
	for _, name := range z.order {
		for _, rr := range z.set(name, dns.TypeNSEC) {
			nsec := rr.(*dns.NSEC)
			var types []string
			for _, rrtype := range nsec.TypeBitMap {
				types = append(types, dns.Type(rrtype).String())
			}
			got = append(got, fmt.Sprintf("%s %s %s", nsec.Hdr.Name, nsec.NextDomain, strings.Join(types, " ")))
		}
	}
	want := lines(`
		shop.example. alias.shop.example. NS SOA RRSIG NSEC DNSKEY
		alias.shop.example. child.shop.example. CNAME RRSIG NSEC
		child.shop.example. a.b.ent.shop.example. NS DS RRSIG NSEC
		a.b.ent.shop.example. island.shop.example. A RRSIG NSEC
		island.shop.example. www.new.shop.example. NS RRSIG NSEC
		www.new.shop.example. ns1.shop.example. A RRSIG NSEC
		ns1.shop.example. old.shop.example. A RRSIG NSEC
		old.shop.example. unsigned.shop.example. DNAME RRSIG NSEC
		unsigned.shop.example. x.y.unsigned2.shop.example. NS RRSIG NSEC
		x.y.unsigned2.shop.example. *.wild.shop.example. NS RRSIG NSEC
		*.wild.shop.example. www.shop.example. A RRSIG NSEC
		www.shop.example. shop.example. A RRSIG NSEC`)
	if text := strings.Join(got, "\n") + "\n"; text != want {
		t.Errorf("got:\n%s\nwant:\n%s", text, want)
	}
}

// TestNSEC3Proofs checks the proofs of RFC 5155 §7.2 with the matching and covering
// of miekg/dns.
func TestNSEC3Proofs(t *testing.T) {
	tests := []struct {
		name    string
		variant string
		qname   string
		qtype   uint16
		matches []string // names that a record of the proof matches
		covers  []string
		records int
	}{
		{"name error, §7.2.2", "nsec3", "a.nx.shop.example.", dns.TypeA, []string{"shop.example."}, []string{"nx.shop.example.", "*.shop.example."}, 3},
		{"name error below an empty non-terminal", "nsec3", "nx.ent.shop.example.", dns.TypeA, []string{"ent.shop.example."}, []string{"nx.ent.shop.example.", "*.ent.shop.example."}, 3},
		{"no data, §7.2.3", "nsec3", "www.shop.example.", dns.TypeTXT, []string{"www.shop.example."}, nil, 1},
		{"no data at an empty non-terminal", "nsec3", "ent.shop.example.", dns.TypeTXT, []string{"ent.shop.example."}, nil, 1},
		{"wildcard no data, §7.2.5", "nsec3", "x.y.wild.shop.example.", dns.TypeTXT, []string{"wild.shop.example.", "*.wild.shop.example."}, []string{"y.wild.shop.example."}, 3},
		{"wildcard answer, §7.2.6", "nsec3", "x.y.wild.shop.example.", dns.TypeA, nil, []string{"y.wild.shop.example."}, 1},
		{"unsigned delegation, §7.2.7", "nsec3", "www.unsigned.shop.example.", dns.TypeA, []string{"unsigned.shop.example."}, nil, 1},
		{"unsigned delegation in an opt-out span, §7.2.7", "opt-out", "www.unsigned.shop.example.", dns.TypeA, []string{"shop.example."}, []string{"unsigned.shop.example."}, 2},
		{"the same two labels down", "opt-out", "www.x.y.unsigned2.shop.example.", dns.TypeA, []string{"shop.example."}, []string{"unsigned2.shop.example."}, 2},
		{"no DS in an opt-out span, §7.2.4", "opt-out", "unsigned.shop.example.", dns.TypeDS, []string{"shop.example."}, []string{"unsigned.shop.example."}, 2},
		{"parameters", "iterations=3 salt=aabbcc", "nx.shop.example.", dns.TypeA, []string{"shop.example."}, []string{"nx.shop.example.", "*.shop.example."}, 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := New(t, fmt.Sprintf(signedText, test.variant))
			var proof []*dns.NSEC3
			for _, rr := range askSigned(t, in, "198.51.100.3", test.qname, test.qtype).Ns {
				if nsec3, ok := rr.(*dns.NSEC3); ok {
					proof = append(proof, nsec3)
				}
			}
			for _, name := range test.matches {
				if !slices.ContainsFunc(proof, func(n *dns.NSEC3) bool { return n.Match(name) }) {
					t.Errorf("nothing matches %s in %v", name, proof)
				}
			}
			for _, name := range test.covers {
				if !slices.ContainsFunc(proof, func(n *dns.NSEC3) bool { return n.Cover(name) }) {
					t.Errorf("nothing covers %s in %v", name, proof)
				}
			}
			if len(proof) > test.records || len(proof) == 0 { // one record may do for two
				t.Errorf("got %d records, want at most %d: %v", len(proof), test.records, proof)
			}
		})
	}
}

// TestNSEC3OwnersAreNoNames: RFC 5155 §7.2.8.
func TestNSEC3OwnersAreNoNames(t *testing.T) {
	in := New(t, fmt.Sprintf(signedText, "nsec3"))
	owner := in.zones[dnsname.MustParse("shop.example.")].nsec3[0].owner.String()
	if reply := askSigned(t, in, "198.51.100.3", owner, dns.TypeNSEC3); reply.Rcode != dns.RcodeNameError {
		t.Errorf("got %s, want NXDOMAIN", text(reply))
	}
}

func TestSigningErrors(t *testing.T) {
	for _, test := range []struct{ words, want string }{
		{"algorithm=8 bits=512", "1024"},
		{"algorithm=8 bits=1030", "1024"},
		{"break=absent:nothing/NSEC", "absent"},
		{"break=absent:a..b/NSEC", "absent"},
		{"compact", "wildcard"},
	} {
		if _, err := NewInternet("-- zone shop.example. " + test.words + " --\n*.wild A 192.0.2.1"); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want an error with %q", test.words, err, test.want)
		}
	}
}

// TestWrittenSignaturesStay: what a test writes is not signed anew.
func TestWrittenSignaturesStay(t *testing.T) {
	in := New(t, `
-- zone shop.example. at 198.51.100.3 signed --
www     A       192.0.2.80
www     RRSIG   A 15 3 300 20300101000000 20000101000000 1 shop.example. c29h
`)
	reply := askSigned(t, in, "198.51.100.3", "www.shop.example.", dns.TypeA)
	if len(reply.Answer) != 2 || reply.Answer[1].(*dns.RRSIG).KeyTag != 1 {
		t.Errorf("got %s", text(reply))
	}
}
