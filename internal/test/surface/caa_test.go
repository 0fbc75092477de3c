package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver/caa"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

func TestCAA(t *testing.T) {
	in := resolvertest.New(t, "-- zone shop.example. signed --\n@ CAA 128 issue \"ca.example; validationmethods=dns-01\"\n")
	request := caa.Request{Issuers: []string{"ca.example"}, Methods: []string{"dns-01"}}
	verdict, err := caa.Check(t.Context(), in.Resolver(t), "*.www.shop.example", request)
	if err != nil || verdict.Outcome.String() != "permitted" || verdict.Reason.String() == "" || !strings.HasPrefix(verdict.String(), "CAA of *.www.shop.example.") {
		t.Fatal(verdict, err)
	}
	if text := verdict.LogValue().String(); !strings.Contains(text, "permitted") {
		t.Error(text)
	}
	file, err := verdict.AppendEvidence(nil)
	if err != nil {
		t.Fatal(err)
	}
	if chains, err := dnssec.ReadStoredChains(bytes.NewReader(file)); err != nil || len(chains) != len(verdict.Lookups) {
		t.Error(len(chains), err)
	}
	last := &verdict.Lookups[len(verdict.Lookups)-1]
	if last.Stored().Name != last.Name || last.String() == "" {
		t.Error(last)
	}
	decision, err := caa.Evaluate(last.Set, "www.shop.example", caa.Request{Issuers: []string{"other.example"}})
	if err != nil || decision.Permitted {
		t.Error(decision, err)
	}
	property, err := caa.ParseProperty("\x80\x05issueca.example;a=b")
	if err != nil || !property.Critical() || property.String() != `128 issue "ca.example;a=b"` {
		t.Error(property, err)
	}
	if value, err := caa.ParseIssueValue(property.Value); err != nil || value.Issuer != "ca.example" || len(value.Parameters) != 1 {
		t.Error(value, err)
	}
	var told *caa.NameError
	if _, err := caa.Evaluate(nil, "192.0.2.1", request); !errors.As(err, &told) || told.Error() == "" || told.Reason.String() == "" {
		t.Error(err)
	}
	if last.Type != dns.TypeCAA {
		t.Error(last.Type)
	}
}
