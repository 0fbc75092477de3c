//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/iterdns/iterdns/examples/rediscache"
	"github.com/iterdns/iterdns/internal/test/realserver"
)

// startRedis starts a redis-server at a loopback address until the test ends; where the address is
// "" it chooses one.
func startRedis(t *testing.T, addr string) (*realserver.Process, string) {
	t.Helper()
	realserver.Program(t, "redis-server")
	if addr == "" {
		host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(250), rand.IntN(250), 1+rand.IntN(250))
		l, err := net.Listen("tcp", host+":0")
		if err != nil {
			t.Fatal(err)
		}
		addr = l.Addr().String()
		l.Close()
	}
	host, port, _ := net.SplitHostPort(addr)
	p, err := realserver.Run(realserver.TempDir(t), "redis-server", "--bind", host, "--port", port, "--save", "", "--appendonly", "no")
	if err != nil {
		t.Fatal(err)
	}
	p.EndWith(t)
	client := redis.NewClient(rediscache.Options(addr))
	defer client.Close()
	if err := p.Await(func(ctx context.Context) error { return client.Ping(ctx).Err() }); err != nil {
		t.Fatal(err)
	}
	return p, addr
}

// worker is one of the processes that share a list.
type worker struct {
	*exec.Cmd
	list, out string

	mu   sync.Mutex
	text bytes.Buffer // of standard error; guarded by mu
}

func (w *worker) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(b)
}

func (w *worker) said() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

func newWorker(t *testing.T, list, redisURL, key, rate string) *worker {
	w := &worker{list: list, out: filepath.Join(t.TempDir(), "out")}
	w.Cmd = program(t, "-mock", "mock.txt", "-server-rate", rate, "-second-level", redisURL, "-second-level-key", key, "-o", w.out, list)
	w.Stderr = w
	return w
}

var storeHits = regexp.MustCompile(`second level: (\d+) hits`)

func (w *worker) hits() int {
	m := storeHits.FindStringSubmatch(w.said())
	if m == nil {
		return -1
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// TestWorkers: three processes that share a list and a Redis resolve all of it, though the Redis goes
// away and comes back, and notice both; what they have learnt is there for another one.
func TestWorkers(t *testing.T) {
	t.Parallel()
	store, addr := startRedis(t, "")
	url, key := "redis://"+addr, writeFile(t, "key", "0123456789abcdef0123456789abcdef")
	var parts [3]strings.Builder
	const names = 1800
	for i := range 3 * names { // as split -n r/3 deals them
		fmt.Fprintf(&parts[i%3], "n%d.host%d.example\n", i, i/3%mockZones)
	}
	var workers []*worker
	for i := range parts {
		w := newWorker(t, writeFile(t, "part", parts[i].String()), url, key, "4") // for half a minute, in which a store that is back is found
		workers = append(workers, w)
		if err := w.Start(); err != nil {
			t.Fatal(err)
		}
		defer w.Process.Kill() // has no effect when it has ended
	}
	await := func(what string, done func(*worker) bool) {
		t.Helper()
		for _, w := range workers {
			for deadline := time.Now().Add(2 * time.Minute); !done(w); time.Sleep(20 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("never: %s; a worker says\n%s", what, w.said())
				}
			}
		}
	}
	await("every worker has lines", func(w *worker) bool { return countLines(w.out) > 50 })
	store.Kill()
	await("every worker notices that the store is away", func(w *worker) bool { return strings.Contains(w.said(), "is not used for now") })
	startRedis(t, addr)
	await("every worker notices that the store is back", func(w *worker) bool { return strings.Contains(w.said(), "is used again") })
	for _, w := range workers {
		if got := exitStatus(t, w.Wait()); got != exitDone {
			t.Errorf("got status %d: %s", got, w.said())
		}
		records := bySeq(t, parseRecords(t, readFile(t, w.out)))
		for seq, r := range records {
			if r.Status != statusAnswer {
				t.Errorf("question %d: got %+v, want an answer", seq, r)
			}
		}
		if len(records) != names {
			t.Errorf("got %d lines, want %d", len(records), names)
		}
	}
	another := newWorker(t, workers[0].list, url, key, "0")
	if got := exitStatus(t, another.Run()); got != exitDone || another.hits() < 100 {
		t.Errorf("one that comes later: got status %d and %d hits, want what the others have learnt: %s", got, another.hits(), another.said())
	}
	stranger := newWorker(t, workers[0].list, url, writeFile(t, "key", "another secret of 32 bytes ....."), "0")
	// A few hits are its own: a question may read what another one has written just now.
	if got := exitStatus(t, stranger.Run()); got != exitDone || stranger.hits() >= another.hits()/10 {
		t.Errorf("one with another key: got status %d and %d hits, want nothing of what the others have learnt: %s", got, stranger.hits(), stranger.said())
	}
	t.Logf("%d hits, and %d with another key", another.hits(), stranger.hits())
}
