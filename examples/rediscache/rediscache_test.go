//go:build unix

package rediscache_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/redis/go-redis/v9"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/examples/rediscache"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

const internet = `
-- zone shop.example. at 198.51.100.3 signed --
www  A 192.0.2.80
-- zone plain.test. at 198.51.100.4 --
www  A 192.0.2.90
*    A 192.0.2.91
`

// fleet is an Internet and the Redis server that its resolvers share.
type fleet struct {
	*testing.T
	in     *resolvertest.Internet
	server *server
}

// replica makes one more resolver, with a connection of its own.
func (f *fleet) replica() *resolver.Resolver {
	client := redis.NewClient(rediscache.Options(f.server.addr))
	r := f.in.Resolver(f.T, func(o *resolver.Options) {
		o.SecondLevel, o.ViewName = &rediscache.Store{Client: client, Prefix: "iterdns:"}, "fleet"
	})
	f.Cleanup(func() { client.Close() })
	return r
}

// ask asks for an address, which must be found whatever the server does, and returns how
// many queries to name servers that took, priming apart.
func (f *fleet) ask(r *resolver.Resolver, name string, status dnssec.Status) int {
	f.Helper()
	f.in.ResetLog()
	result, err := r.Resolve(f.Context(), name, dns.TypeA)
	if err != nil || result.Status != status || len(result.Answer) == 0 {
		f.Fatalf("%s: got %+v, %v, want an address that is %v", name, result, err, status)
	}
	return f.in.Count(func(q resolvertest.Query) bool { return q.Name != "." || q.Type != dns.TypeNS })
}

// askBoth asks for a signed and an unsigned name.
func (f *fleet) askBoth(r *resolver.Resolver) int {
	f.Helper()
	return f.ask(r, "www.shop.example.", dnssec.Secure) + f.ask(r, "www.plain.test.", dnssec.Insecure)
}

// shared waits until a new replica has both answers from the others. A machine that is
// busy may make a read too late, and the replica then asks servers: so another one tries.
func (f *fleet) shared() {
	f.Helper()
	eventually(f.T, "a new replica asks nobody", func() bool {
		r := f.replica()
		defer r.Close()
		return f.askBoth(r) == 0 && r.SecondLevelStats().Hits > 0
	})
}

// TestFleet: replicas share answers; when the server is killed, or hangs, nothing is lost
// but hits, and when it is back they are too.
func TestFleet(t *testing.T) {
	f := &fleet{t, resolvertest.New(t, internet), startServer(t)}
	first := f.replica()
	if sends := f.askBoth(first); sends == 0 {
		t.Fatal("the first replica has asked nobody")
	}
	f.shared()

	f.trusts(first, "killed")
	f.server.Kill()
	f.survives(first, "killed")
	if !f.server.start(t) {
		t.Fatal("redis-server does not start again")
	}
	f.recovers(first, "killed")

	f.trusts(first, "stopped")
	f.server.Pause(t)
	f.survives(first, "stopped")
	f.server.Resume(t)
	f.recovers(first, "stopped")
}

// trusts waits until the last read was a good one, so that the resolver has no doubt about the store.
func (f *fleet) trusts(r *resolver.Resolver, when string) {
	f.Helper()
	n := 0
	eventually(f.T, "a read is in time", func() bool {
		n++
		before := r.SecondLevelStats()
		f.ask(r, fmt.Sprintf("trusted%d-%s.plain.test.", n, when), dnssec.Insecure)
		after := r.SecondLevelStats()
		return after.Misses > before.Misses && after.Errors == before.Errors
	})
}

// survives asks for names that nobody knows while the server is away. A question waits
// for it only as long as the resolver does not know that it is away: for three reads at most, and
// none after that. One of them is enough if this host is so busy that nothing happens meanwhile.
func (f *fleet) survives(r *resolver.Resolver, how string) {
	f.Helper()
	before, start := r.SecondLevelStats(), time.Now()
	const questions = 50
	for n := range questions {
		f.ask(r, fmt.Sprintf("n%d-%s.plain.test.", n, how), dnssec.Insecure)
	}
	after := r.SecondLevelStats()
	const waited, pause = 3, 5 * time.Second
	probes := uint64(time.Since(start)/pause) + 1 // which nobody waits for
	if failed := after.Errors - before.Errors; failed == 0 || failed > waited+probes {
		f.Errorf("%s: got %d failed reads, want some, and %d at most with those that nobody waits for", how, failed, waited+probes)
	}
	if skipped := after.Skipped - before.Skipped; skipped < questions-waited-probes || after.Hits != before.Hits {
		f.Errorf("%s: got %+v after %+v, want the rest of %d questions not to read", how, after, before, questions)
	}
	f.askBoth(f.replica()) // one that knows nothing
}

// recovers waits until the store is read and written again.
func (f *fleet) recovers(r *resolver.Resolver, how string) {
	f.Helper()
	before, n := r.SecondLevelStats(), 0
	eventually(f.T, "the store is used again", func() bool {
		n++
		f.ask(r, fmt.Sprintf("back%d-%s.plain.test.", n, how), dnssec.Insecure)
		now := r.SecondLevelStats()
		return now.Writes > before.Writes && now.Misses+now.Hits > before.Misses+before.Hits
	})
	f.askBoth(f.replica()) // the server that was killed has forgotten
	f.shared()
}

// TestStore: a missing key is no error, and any bytes come back unchanged.
func TestStore(t *testing.T) {
	client := redis.NewClient(rediscache.Options(startServer(t).addr))
	defer client.Close()
	s := &rediscache.Store{Client: client, Prefix: "iterdns:"}
	ctx := context.Background()
	key, value := []byte("k\x00\xff\r\n"), []byte("v\x00\xff\r\n")
	if got, err := s.Get(ctx, key); got != nil || err != nil {
		t.Errorf("got %q, %v, want nothing", got, err)
	}
	if err := s.Set(ctx, key, value, time.Hour); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(ctx, key); !bytes.Equal(got, value) || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, value)
	}
	if ttl := client.PTTL(ctx, "iterdns:"+string(key)).Val(); ttl <= 0 || ttl > time.Hour {
		t.Errorf("got a life of %v, want an hour at most", ttl)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if got, err := s.Get(ended, key); err == nil {
		t.Errorf("with a context that has ended: got %q, want an error", got)
	}
}
