package dnssec_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
)

func ExampleDefaultAnchors() {
	for _, anchor := range dnssec.DefaultAnchors() {
		fmt.Println(anchor.Zone(), anchor.Tag())
	}
	// Output:
	// . 20326
	// . 38696
}

func ExampleParseAnchors() {
	anchors, err := dnssec.ParseAnchors(strings.NewReader(`
; the key of an island of trust
island.example. IN DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(anchors[0].Zone(), anchors[0].Tag())
	// Output: island.example. 3613
}

// A validator says what it needs before it can judge a response.
func ExampleEvidence_Validate() {
	validator, err := dnssec.New(dnssec.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	message := new(dns.Msg).SetQuestion("www.example.", dns.TypeA)
	address, err := dns.NewRR("www.example. 60 IN A 192.0.2.1")
	if err != nil {
		fmt.Println(err)
		return
	}
	message.Answer = []dns.RR{address}
	response, err := dnssec.NewResponse(message, "example.")
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Now()
	evidence := validator.Evidence(now, now, dnssec.NewWork(dnssec.Limits{}))
	verdict, needs, err := evidence.Validate(response)
	if err != nil || verdict != nil {
		fmt.Println("judged", verdict, err)
		return
	}
	for _, need := range needs {
		fmt.Println(need.Name, dns.Type(need.Type), "from the servers of", need.Zone)
	}
	// Output:
	// . DNSKEY from the servers of .
	// example. DS from the servers of .
}

// A rollover is kept by its caller, as JSON for example, and followed with each new
// DNSKEY RRset that arrives.
func ExampleNewRollover() {
	rollover, err := dnssec.NewRollover(dnssec.DefaultAnchors(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, key := range rollover.Keys {
		fmt.Println(key.State, "since", key.Since.Format(time.DateOnly))
	}
	// Output:
	// Valid since 2026-01-01
	// Valid since 2026-01-01
}
