//go:build unix

package rediscache_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/iterdns/iterdns/examples/rediscache"
	"github.com/iterdns/iterdns/internal/test/realserver"
)

// patience is how long the tests wait for what must come about. It is no measure of how
// long it takes: seconds, as a resolver tries a dead store again after 5 s.
const patience = 2 * time.Minute

// eventually waits until done.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for start := time.Now(); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Since(start) > patience {
			t.Fatalf("after %v still not: %s", patience, what)
		}
	}
}

// server is a redis-server of the test's own.
type server struct {
	*realserver.Process
	addr string
}

// startServer starts a redis-server at a loopback address. Where there is none the test
// is skipped, or fails in CI, which installs it.
func startServer(t *testing.T) *server {
	t.Helper()
	realserver.Program(t, "redis-server")
	s := new(server)
	for range 3 { // somebody else may take the port in between
		s.addr = freeAddr(t)
		if s.start(t) {
			return s
		}
	}
	t.Fatal("redis-server does not start")
	return nil
}

// freeAddr returns an address that nobody listens at.
func freeAddr(t *testing.T) string {
	host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(250), rand.IntN(250), 1+rand.IntN(250))
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start starts the server until the test ends and waits until it answers; false when it
// ends instead.
func (s *server) start(t *testing.T) bool {
	t.Helper()
	host, port, _ := net.SplitHostPort(s.addr)
	process, err := realserver.Run(realserver.TempDir(t), "redis-server", "--bind", host, "--port", port, "--save", "", "--appendonly", "no")
	if err != nil {
		t.Fatal(err)
	}
	process.EndWith(t)
	s.Process = process
	client := redis.NewClient(rediscache.Options(s.addr))
	defer client.Close()
	return process.Await(func(ctx context.Context) error { return client.Ping(ctx).Err() }) == nil
}
