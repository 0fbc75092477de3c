package debugpage_test

import (
	"log"
	"net/http"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/debugpage"
)

// A program with the page on an address of its own: http://localhost:6060/debug/dns/ shows it.
func Example() {
	r, err := resolver.New(resolver.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	page, err := debugpage.New(r, debugpage.Options{Ask: true})
	if err != nil {
		log.Fatal(err)
	}
	defer page.Close()
	http.Handle("/debug/dns/", page)
	log.Print(http.ListenAndServe("localhost:6060", nil))
}
