//go:build unix

package rediscache_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/iterdns/iterdns/examples/rediscache"
	"github.com/iterdns/iterdns/internal/realserver"
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
	addr    string
	path    string
	process *exec.Cmd
}

// startServer starts a redis-server at a loopback address. Where there is none the test
// is skipped, or fails in CI, which installs it.
func startServer(t *testing.T) *server {
	t.Helper()
	s := &server{path: realserver.Program(t, "redis-server")}
	for range 3 { // somebody else may take the port in between
		s.addr = freeAddr(t)
		if s.start(t) {
			t.Cleanup(func() { s.kill() })
			return s
		}
	}
	t.Fatal("redis-server does not start")
	return nil
}

// freeAddr gives an address that nobody listens at.
func freeAddr(t *testing.T) string {
	host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(250), rand.IntN(250), 1+rand.IntN(250))
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start starts the server and waits until it answers; false when it ends instead.
func (s *server) start(t *testing.T) bool {
	t.Helper()
	host, port, _ := net.SplitHostPort(s.addr)
	s.process = exec.Command(s.path, "--bind", host, "--port", port, "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(rediscache.Options(s.addr))
	defer client.Close()
	alive := false
	eventually(t, "redis-server answers", func() bool {
		alive = client.Ping(context.Background()).Err() == nil
		return alive || s.hasEnded()
	})
	return alive
}

// hasEnded reports whether the process has ended by itself. It is not waited for: kill
// does that.
func (s *server) hasEnded() bool {
	state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.process.Process.Pid))
	return err == nil && len(state) > 0 && isZombie(string(state))
}

func isZombie(stat string) bool {
	var pid int
	var name, state string
	n, _ := fmt.Sscan(stat, &pid, &name, &state)
	return n == 3 && state == "Z"
}

// kill ends the server at once.
func (s *server) kill() {
	s.process.Process.Kill()
	s.process.Wait()
}

func (s *server) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := s.process.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}
