package cache

import (
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
)

// A hash only finds the place: whatever differs in the key makes another entry, even
// where hashes are equal.
func TestKeysAreComparedInFull(t *testing.T) {
	k := key{name: name("www.example.com"), view: 1<<24 | 7, rrtype: dns.TypeA, kind: KindRRset, trust: Checked}
	e := entry(appendHead(nil, head{k, standing{}, spanOf(instant{}, time.Second), 0}))
	for about, change := range map[string]func(*key){
		"nothing": func(*key) {},
		"name":    func(k *key) { k.name = name("wwx.example.com") },
		"longer":  func(k *key) { k.name = name("a.www.example.com") },
		"view":    func(k *key) { k.view = 7 },
		"type":    func(k *key) { k.rrtype = dns.TypeAAAA },
		"kind":    func(k *key) { k.kind = KindNoData },
		"trust":   func(k *key) { k.trust = Unchecked },
	} {
		other := k
		change(&other)
		if got, want := e.is(&other), about == "nothing"; got != want {
			t.Errorf("%s differs: is = %v, want %v", about, got, want)
		}
	}
}

func TestHeadComesBackAsItWas(t *testing.T) {
	for _, want := range []head{
		{key{".", 0, 1, KindRRset, Checked}, standing{RankGlue, dnssec.Indeterminate}, span{0, 0, 1}, 0},
		{key{name("www.example.com"), 1<<32 - 1, 65535, KindGlue, Unchecked}, standing{RankLocal, dnssec.Bogus}, span{1<<47 - 1, noMonotonic, 1<<32 - 1}, 0},
		{key{name("a.example"), 9, 257, KindChain, Checked}, standing{RankAnswer, dnssec.Secure}, span{-1 << 47, 1<<39 + 5, 300}, 0},
		{key{name("a.example"), 9, 257, KindNoData, Checked}, standing{RankAnswer, dnssec.Insecure}, span{1, 2, 3}, 3},
	} {
		e := entry(append(appendHead(nil, want), "body"...))
		got := head{key{e.name(), e.view(), e.rrtype(), e.kind(), e.trust()}, e.standing(), e.span(), e.note()}
		if got != want || e.body() != "body" {
			t.Errorf("got %+v %q, want %+v", got, e.body(), want)
		}
	}
}
