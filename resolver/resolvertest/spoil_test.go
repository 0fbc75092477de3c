package resolvertest

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// signaturesOf returns the signatures in an answer, and the set they cover.
func signaturesOf(m *dns.Msg) (sigs []*dns.RRSIG, set []dns.RR) {
	for _, rr := range m.Answer {
		if sig, ok := rr.(*dns.RRSIG); ok {
			sigs = append(sigs, sig)
		} else {
			set = append(set, rr)
		}
	}
	return sigs, set
}

// TestBreaks: what the header says is wrong, and nothing else.
func TestBreaks(t *testing.T) {
	const shop = "shop.example."
	tests := []struct {
		words string
		holds func(in *Internet, sig *dns.RRSIG, set []dns.RR) bool
	}{
		{"break=expired", func(_ *Internet, sig *dns.RRSIG, _ []dns.RR) bool {
			return !sig.ValidityPeriod(time.Now()) && sig.ValidityPeriod(time.Now().Add(-2*time.Hour))
		}},
		{"break=future", func(_ *Internet, sig *dns.RRSIG, _ []dns.RR) bool {
			return !sig.ValidityPeriod(time.Now()) && sig.ValidityPeriod(time.Now().Add(25*time.Hour))
		}},
		{"break=inverted", func(_ *Internet, sig *dns.RRSIG, _ []dns.RR) bool { return sig.Expiration < sig.Inception }},
		{"break=ending", func(_ *Internet, sig *dns.RRSIG, _ []dns.RR) bool {
			return sig.ValidityPeriod(time.Now()) && !sig.ValidityPeriod(time.Now().Add(61*time.Second))
		}},
		{"break=corrupt:A", func(in *Internet, sig *dns.RRSIG, set []dns.RR) bool {
			return sig.Verify(dnskeys(in, shopName)[sig.KeyTag], set) != nil
		}},
		{"break=tag:www/", func(in *Internet, sig *dns.RRSIG, _ []dns.RR) bool { return dnskeys(in, shopName)[sig.KeyTag] == nil }},
		{"break=labels:www/A", func(_ *Internet, sig *dns.RRSIG, _ []dns.RR) bool { return sig.Labels == 4 }},
		{"break=algorithm", func(_ *Internet, sig *dns.RRSIG, _ []dns.RR) bool { return sig.Algorithm == 200 }},
		{"break=signer:www/A", func(in *Internet, sig *dns.RRSIG, set []dns.RR) bool {
			key := dnskeys(in, dnsname.MustParse("example."))[sig.KeyTag]
			return sig.SignerName == "example." && key != nil && sig.Verify(key, set) == nil
		}},
	}
	for _, test := range tests {
		t.Run(test.words, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := New(t, "-- zone "+shop+" at 198.51.100.3 signed "+test.words+" --\nwww A 192.0.2.80\nwww TXT text")
				sigs, set := signaturesOf(askSigned(t, in, "198.51.100.3", "www."+shop, dns.TypeA))
				if len(sigs) != 1 || !test.holds(in, sigs[0], set) {
					t.Errorf("got %v of %v", sigs, set)
				}
			})
		})
	}
}

var shopName = dnsname.MustParse("shop.example.")

// TestBreaksMeanOneRRset: a name and a type restrict what is wrong.
func TestBreaksMeanOneRRset(t *testing.T) {
	in := New(t, `
-- zone shop.example. at 198.51.100.3 signed break=unsigned:www/A break=unsigned:TXT break=absent:www/NSEC --
www     A       192.0.2.80
www     AAAA    2001:db8::80
other   A       192.0.2.81
other   TXT     text
`)
	for _, test := range []struct {
		name  string
		qtype uint16
		want  int
	}{
		{"www", dns.TypeA, 0}, {"www", dns.TypeAAAA, 1}, {"other", dns.TypeA, 1}, {"other", dns.TypeTXT, 0},
	} {
		if sigs, _ := signaturesOf(askSigned(t, in, "198.51.100.3", test.name+".shop.example.", test.qtype)); len(sigs) != test.want {
			t.Errorf("%s %s: got %d signatures, want %d", test.name, dns.Type(test.qtype), len(sigs), test.want)
		}
	}
	for _, rr := range askSigned(t, in, "198.51.100.3", "www.shop.example.", dns.TypeMX).Ns {
		if rr.Header().Name == "www.shop.example." {
			t.Errorf("got %v, which should be absent", rr)
		}
	}
}

// TestBrokenDS: the DS in the zone above is wrong in one way.
func TestBrokenDS(t *testing.T) {
	zone := func(words string) *dns.DS {
		in := New(t, "-- zone shop.example. at 198.51.100.3 signed "+words+" --")
		return in.zones[dnsname.MustParse("example.")].set(shopName, dns.TypeDS)[0].(*dns.DS)
	}
	good := zone("")
	for _, test := range []struct {
		words                  string
		tag, algorithm, digest bool // which of them differ
	}{
		{"break=ds-tag", true, false, false}, {"break=ds-algorithm", false, true, false}, {"break=ds-digest", false, false, true},
	} {
		ds := zone(test.words)
		got := [3]bool{ds.KeyTag != good.KeyTag, ds.Algorithm != good.Algorithm, ds.Digest != good.Digest}
		if want := [3]bool{test.tag, test.algorithm, test.digest}; got != want || len(ds.Digest) != len(good.Digest) {
			t.Errorf("%s: got %v, which differs from %v in %v, want %v", test.words, ds, good, got, want)
		}
	}
	for digest, n := range map[uint8]int{dns.SHA1: 20, dns.SHA256: 32, dns.SHA384: 48, 200: 32} {
		if ds := zone(fmt.Sprint("digest=", digest)); ds.DigestType != digest || len(ds.Digest) != 2*n {
			t.Errorf("digest %d: got %v", digest, ds)
		}
	}
}

// TestKeyPlan: which generations of keys are published, sign, and have a DS.
func TestKeyPlan(t *testing.T) {
	for _, test := range []struct {
		words                           string
		published, keySigs, sigs, dsSet int
	}{
		{"signed", 2, 1, 1, 1},
		{"csk", 1, 1, 1, 1},
		{"zsk=1,2", 3, 1, 1, 1},
		{"zsk=1,2 sign=2", 3, 1, 1, 1},
		{"zsk=1,2 sign=1,2", 3, 1, 2, 1},
		{"ksk=1,2 ds=1,2", 3, 2, 1, 2},
		{"csk ksk=1,2 sign=2", 2, 2, 1, 1},
	} {
		in := New(t, "-- zone shop.example. at 198.51.100.3 "+test.words+" --\nwww A 192.0.2.80")
		keySigs, keys := signaturesOf(askSigned(t, in, "198.51.100.3", "shop.example.", dns.TypeDNSKEY))
		sigs, _ := signaturesOf(askSigned(t, in, "198.51.100.3", "www.shop.example.", dns.TypeA))
		ds := in.zones[dnsname.MustParse("example.")].set(shopName, dns.TypeDS)
		got := [4]int{len(keys), len(keySigs), len(sigs), len(ds)}
		if want := [4]int{test.published, test.keySigs, test.sigs, test.dsSet}; got != want {
			t.Errorf("%s: got keys, signatures of them, of data, and DS %v, want %v", test.words, got, want)
		}
	}
}

// TestOperators: two operators sign one zone (RFC 8901 §2.1.2): what one has signed
// goes with the keys that the other publishes.
func TestOperators(t *testing.T) {
	in := New(t, "-- zone shop.example. at 198.51.100.3 198.51.100.4 2001:db8::3 2001:db8::4 operators=2 --\nwww A 192.0.2.80")
	var tags []uint16
	for _, server := range []string{"198.51.100.3", "198.51.100.4"} {
		sigs, set := signaturesOf(askSigned(t, in, server, "www.shop.example.", dns.TypeA))
		if len(sigs) != 1 {
			t.Fatalf("%s: got signatures %v", server, sigs)
		}
		tags = append(tags, sigs[0].KeyTag)
		for _, other := range []string{"198.51.100.3", "198.51.100.4", "2001:db8::3", "2001:db8::4"} {
			_, keys := signaturesOf(askSigned(t, in, other, "shop.example.", dns.TypeDNSKEY))
			i := slices.IndexFunc(keys, func(rr dns.RR) bool { return rr.(*dns.DNSKEY).KeyTag() == sigs[0].KeyTag })
			if len(keys) != 3 || i < 0 {
				t.Fatalf("%s: got keys %v, without %d", other, keys, sigs[0].KeyTag)
			}
			if err := sigs[0].Verify(keys[i].(*dns.DNSKEY), set); err != nil {
				t.Errorf("what %s signed, by the keys of %s: %v", server, other, err)
			}
		}
	}
	if tags[0] == tags[1] {
		t.Error("both operators sign with one key")
	}
	if ds := in.zones[dnsname.MustParse("example.")].set(shopName, dns.TypeDS); len(ds) != 2 {
		t.Errorf("got DS %v, want two", ds)
	}
}

// TestCompact: RFC 9824 §3.1: NOERROR and an NSEC of the name itself.
func TestCompact(t *testing.T) {
	in := New(t, "-- zone shop.example. at 198.51.100.3 compact --\nwww A 192.0.2.80\na.ent A 192.0.2.81\nunsigned NS ns.other.example.")
	for _, test := range []struct {
		name  string
		types []uint16
	}{
		{"nx.shop.example.", []uint16{dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNXNAME}},
		{"ent.shop.example.", []uint16{dns.TypeRRSIG, dns.TypeNSEC}},
		{"www.shop.example.", []uint16{dns.TypeA, dns.TypeRRSIG, dns.TypeNSEC}},
		{"unsigned.shop.example.", []uint16{dns.TypeNS, dns.TypeRRSIG, dns.TypeNSEC}},
	} {
		reply := askSigned(t, in, "198.51.100.3", test.name, dns.TypeMX)
		i := slices.IndexFunc(reply.Ns, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeNSEC })
		if reply.Rcode != dns.RcodeSuccess || i < 0 {
			t.Fatalf("%s: got %s", test.name, text(reply))
		}
		nsec := reply.Ns[i].(*dns.NSEC)
		if nsec.Hdr.Name != test.name || nsec.NextDomain != `\000.`+test.name || !slices.Equal(nsec.TypeBitMap, test.types) {
			t.Errorf("%s: got %v, want types %v", test.name, nsec, test.types)
		}
		checkSignatures(t, in, reply.Ns, dns.TypeNS)
	}
	if reply := ask(t, in, "198.51.100.3", query("nx.shop.example.", dns.TypeA)); reply.Rcode != dns.RcodeNameError {
		t.Errorf("without DO: got %s, want NXDOMAIN", text(reply))
	}
}
