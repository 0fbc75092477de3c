package main

import (
	"fmt"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// The program itself asks the real Internet.
func Example_show() {
	in, err := resolvertest.NewInternet("-- zone example.com. --\nwww A 192.0.2.80\n")
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := resolver.New(in.Options())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	show(r, "www.example.com")
	show(r, "nosuch.example.com")
	// Output:
	// [192.0.2.80] <nil>
	// [] lookup nosuch.example.com: no such host
}
