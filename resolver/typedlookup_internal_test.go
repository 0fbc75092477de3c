package resolver

import (
	"reflect"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/answer"
)

// Every record type that miekg/dns has a Go type for can be looked up by it, the
// meta-types apart.
func TestRecordTypes(t *testing.T) {
	for rrtype, newRR := range dns.TypeToRR {
		want := !answer.IsMeta(rrtype) && rrtype != dns.TypeANY
		got, ok := recordTypes[reflect.TypeOf(newRR())]
		if ok != want || ok && got != rrtype {
			t.Errorf("%s: got %s %t, want %t", dns.Type(rrtype), dns.Type(got), ok, want)
		}
	}
}
