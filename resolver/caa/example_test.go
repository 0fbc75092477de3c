package caa_test

import (
	"context"
	"fmt"
	"log"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/caa"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// An authority asks before it issues. The resolver of a real one is made by resolver.New with
// resolver.Options{}.
func ExampleCheck() {
	in, err := resolvertest.NewInternet(`
-- zone shop.example. signed --
@    CAA 0 issue "ca.example.net; validationmethods=dns-01"
`)
	if err != nil {
		log.Fatal(err)
	}
	defer in.Close()
	r, err := resolver.New(in.Options())
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()

	for _, method := range []string{"dns-01", "http-01"} {
		verdict, err := caa.Check(context.Background(), r, "www.shop.example", caa.Request{
			Issuers: []string{"ca.example.net"},
			Methods: []string{method},
		})
		if err != nil {
			log.Fatal(err) // the name or the request cannot be checked
		}
		fmt.Println(verdict.Outcome, verdict.Status)
		fmt.Println(verdict)
	}
	// Output:
	// permitted secure
	// CAA of www.shop.example.: permitted: the issuer is authorized: shop.example. CAA 0 issue "ca.example.net; validationmethods=dns-01"
	// denied secure
	// CAA of www.shop.example.: denied: the issuer is authorized for another account or validation method only: shop.example. CAA 0 issue "ca.example.net; validationmethods=dns-01"
}
