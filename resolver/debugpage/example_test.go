package debugpage_test

import (
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/debugpage"
)

// A program with the page on an address of its own, at http://localhost:6060/debug/dns/ for example. At the
// end the server is closed first, then the page, which waits for its questions, and the resolver last.
func Example() {
	r, err := resolver.New(resolver.Options{})
	if err != nil {
		log.Fatal(err)
	}
	page, err := debugpage.New(r, debugpage.Options{Ask: true})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/debug/dns/", page)
	listener, err := net.Listen("tcp", "127.0.0.1:0") // a program has localhost:6060 here
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: mux}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()

	response, err := http.Get("http://" + listener.Addr().String() + "/debug/dns/")
	if err != nil {
		log.Fatal(err)
	}
	_ = response.Body.Close()
	fmt.Println(response.Status)

	err = errors.Join(server.Close(), page.Close(), r.Close())
	fmt.Println(err, <-done)
	// Output:
	// 200 OK
	// <nil> http: Server closed
}
