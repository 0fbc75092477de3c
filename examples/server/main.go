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
	"time"

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
	// The resolver is closed last: until then it answers what the servers still have.
	if err := errors.Join(err, r.Close()); err != nil {
		log.Fatal(err)
	}
}

// servers gives a server for each transport. A Resolver is a dns.Handler; a filter
// would be another one around it.
func servers(address string, handler dns.Handler) []*dns.Server {
	return []*dns.Server{
		{Addr: address, Net: "udp", Handler: handler, MsgAcceptFunc: resolver.AcceptQuery},
		{Addr: address, Net: "tcp", Handler: handler, MsgAcceptFunc: resolver.AcceptQuery},
	}
}

// drainTime is how long questions under way are waited for at the end. Clients wait no
// longer than five seconds.
const drainTime = 5 * time.Second

// serve runs the servers until ctx ends or one of them fails, and then lets them answer
// what they have been asked.
func serve(ctx context.Context, servers []*dns.Server) error {
	ended := make(chan error, len(servers))
	for _, server := range servers {
		go func() { ended <- server.ListenAndServe() }()
	}
	var failure error
	running := len(servers)
	select {
	case <-ctx.Done():
	case failure = <-ended:
		running--
	}
	within, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	for _, server := range servers {
		// One that has failed, or has not begun to listen, is no error here.
		_ = server.ShutdownContext(within)
	}
	for range running {
		select {
		case err := <-ended:
			failure = errors.Join(failure, err)
		case <-within.Done():
			return errors.Join(failure, within.Err())
		}
	}
	return failure
}
