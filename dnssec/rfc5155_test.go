package dnssec

import (
	"testing"

	"github.com/miekg/dns"
)

// TestAppendixBNSEC3: the responses of RFC 5155 appendix B. Its zone has the opt-out
// flag set everywhere, so that what rests on a covering record is Insecure (§9.2).
func TestAppendixBNSEC3(t *testing.T) {
	w, z := rfcZone(t, "rfc5155-appendix-A.zone", zoneOptions{nsec3: true, salt: "aabbccdd", iterate: 12, optOut: true})
	const (
		apex     = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"
		a        = "35mthgpgcu1qg68fab165klnsnk3dpvl"
		ns1      = "2t7b4g4vsa5smi47k61mv5bv1a22bojr"
		ns2      = "q04jkcevqvmu85r014c7dkba38o0ji5r"
		wEnt     = "k8udemvp1j2f7eg6jebps17vp3n8i58h"
		wildcard = "r53bq7cc2uvmubfu5ocmm6pers9tk9en"
		xw       = "b4um86eghhds6nea196smvmlo4ors995"
		yw       = "ji6neoaepv8b5o6k4ev33abha8ht9fgc"
	)
	checkExamples(t, w, z, []exampleOf{
		{"B.1 name error", "a.c.x.w.example.", dns.TypeA, KindNameError, []string{apex, xw, a}, Insecure},
		{"B.2 no data", "ns1.example.", dns.TypeMX, KindNoData, []string{ns1}, Secure},
		{"B.2.1 empty non-terminal", "y.w.example.", dns.TypeA, KindNoData, []string{yw}, Secure},
		{"B.3 referral to opt-out zone", "mc.c.example.", dns.TypeMX, KindReferral, []string{a, apex}, Insecure},
		{"B.4 wildcard expansion", "a.z.w.example.", dns.TypeMX, KindAnswer, []string{ns2}, Insecure},
		{"B.5 wildcard no data", "a.z.w.example.", dns.TypeAAAA, KindNoData, []string{wEnt, ns2, wildcard}, Insecure},
	})
	apexRecord := z.matching("example.")
	if got := apexRecord.Owner.Label(); got != apex { // B.6: DS of the zone itself
		t.Errorf("B.6: got %s, want %s", got, apex)
	}
	strict, z := rfcZone(t, "rfc5155-appendix-A.zone", zoneOptions{nsec3: true, salt: "aabbccdd", iterate: 12})
	for _, n := range []struct {
		qname string
		qtype uint16
	}{{"a.c.x.w.example.", dns.TypeA}, {"a.z.w.example.", dns.TypeMX}, {"a.z.w.example.", dns.TypeAAAA}, {"c.example.", dns.TypeDS}} {
		r := z.answer(n.qname, n.qtype)
		if v := strict.judge(r); v.Status != Secure {
			t.Errorf("%s %s without opt-out: got %v (%v), want secure", n.qname, typeName(n.qtype), v.Status, v.Reason)
		}
		for _, s := range r.Authority {
			if s.Type != dns.TypeSOA {
				strict.notGood(without(r, s), n.qname+" without "+withRole(r, s))
			}
		}
	}
}
