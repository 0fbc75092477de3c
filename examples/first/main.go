// First prints the addresses of a name.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/iterdns/iterdns/resolver"
)

func main() {
	r, err := resolver.New(resolver.Options{}) // once, for the whole program: it has the cache
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	show(r, "www.example.com")
}

func show(r *resolver.Resolver, name string) {
	fmt.Println(r.LookupNetIP(context.Background(), "ip", name))
}
