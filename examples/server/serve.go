package main

import (
	"context"
	"errors"
	"time"

	"github.com/miekg/dns"
)

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
