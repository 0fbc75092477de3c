// Server is a DNS server that finds the answers itself, over UDP and TCP.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:5353", "`address` to answer at; not one that strangers reach")
	flag.Parse()
	log.SetOutput(resolver.PrintableWriter(os.Stderr))
	r, err := resolver.New(resolver.Options{})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err = serve(ctx, servers(*listen, r))
	// The resolver is closed last, so that the questions under way get their answers. To stop at
	// once it would be closed first, and answer them with SERVFAIL.
	if err := errors.Join(err, r.Close()); err != nil {
		log.Fatal(err)
	}
}

// servers returns a server for each transport. A Resolver is a dns.Handler; a filter
// would be another one around it.
func servers(address string, handler dns.Handler) []*dns.Server {
	return []*dns.Server{
		{Addr: address, Net: "udp", Handler: handler, MsgAcceptFunc: resolver.AcceptQuery},
		{Addr: address, Net: "tcp", Handler: handler, MsgAcceptFunc: resolver.AcceptQuery},
	}
}
