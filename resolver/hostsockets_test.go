package resolver_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// TestCloseHostSockets: over the host's own sockets, without Dial, questions are answered over UDP,
// and over TCP after a truncated reply, and fail where the port is unreachable; callers that leave
// disturb no other, and Close ends what waits. No goroutine and no socket is left, nor a slot held:
// there are few.
func TestCloseHostSockets(t *testing.T) {
	in := resolvertest.New(t, `
-- zone . at 127.74.0.1 --
-- zone shop.example. at 127.74.0.3 --
*               A     192.0.2.80
-- zone big.example. at 127.74.0.4 --
*               A     192.0.2.81
-- zone silent.example. at 127.74.0.5 127.74.0.6 --
-- zone refused.example. at 127.74.0.7 --
*               A     192.0.2.82
-- fault 127.74.0.4 --
truncate
-- fault silent.example. --
drop
-- fault 127.74.0.7 --
refuse
`)
	port, err := uint16(0), error(nil)
	for range 100 {
		port = uint16(10_000 + rand.IntN(20_000)) // below those that the system hands out
		if err = in.ListenAt(port); err == nil {
			break
		}
	}
	if err != nil {
		t.Skipf("no address of 127.0.0.0/8 but the usual one, or no port: %v", err)
	}
	goroutines, sockets := runtime.NumGoroutine(), openFiles(t)
	for round := range 2 {
		o := in.Options()
		o.Dial, o.Port, o.Family = nil, port, resolver.FamilyIPv4Only
		o.Limits.QueriesPerZone, o.Limits.QueriesPerServer, o.Limits.Sockets = 2, 2, 8
		r, err := resolver.New(o)
		if err != nil {
			t.Fatal(err)
		}
		var answered, waiting sync.WaitGroup
		ask := func(ctx context.Context, i int, zone string) error {
			_, err := r.Resolve(ctx, fmt.Sprintf("n%d.%s.example.", i, zone), dns.TypeA)
			return err
		}
		for i := range 20 {
			answered.Go(func() {
				for _, zone := range []string{"shop", "big"} {
					if err := ask(t.Context(), i, zone); err != nil {
						t.Errorf("round %d: %s: %v", round, zone, err)
					}
				}
			})
			waiting.Go(func() { // each two for one question
				ctx := t.Context()
				if i%2 == 0 {
					short, cancel := context.WithTimeout(ctx, time.Duration(i)*time.Millisecond)
					defer cancel()
					ctx = short
				}
				if err := ask(ctx, i/2, "silent"); err == nil {
					t.Error("a question to silent servers was answered")
				}
			})
		}
		answered.Wait()
		short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		if err := ask(short, 0, "refused"); err == nil || errors.Is(err, resolver.ErrClosed) {
			t.Errorf("a port that is unreachable: got %v", err)
		}
		cancel()
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if s := r.Stats(); s.Sockets != 0 || s.Connections != 0 {
			t.Errorf("%d sockets and %d connections are open after Close", s.Sockets, s.Connections)
		}
		waiting.Wait()
	}
	// The servers notice the end of a connection a little later.
	var g, s int
	for range 500 {
		if g, s = runtime.NumGoroutine(), openFiles(t); g <= goroutines && s <= sockets {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	stacks := make([]byte, 1<<16)
	t.Errorf("got %d goroutines and %d open files after Close, want %d and %d as before:\n%s",
		g, s, goroutines, sockets, stacks[:runtime.Stack(stacks, true)])
}

// missAllocs is how many allocations a question with a cold name may cost, over the host's
// sockets, with one query and one reply: 39 on Linux, and some for other systems.
const missAllocs = 42

// servedMissAllocs is the same for one of a client in wire format, which is worked on in the goroutine
// that it came in, and written without being decoded: 30 on Linux.
const servedMissAllocs = 34

// TestMissAllocs: a cold name with a known server costs no more than it did.
func TestMissAllocs(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates too")
	}
	server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 74, 1, 1)})
	if err != nil {
		t.Skip(err)
	}
	defer server.Close()
	var serving sync.WaitGroup
	defer serving.Wait()
	defer server.Close()
	serving.Go(func() { serveAddress(server) })
	at := server.LocalAddr().(*net.UDPAddr).AddrPort()
	r, err := resolver.New(resolver.Options{
		RootHints: &glue.Delegation{Zone: dnsname.Root, Servers: []glue.Server{{
			Name: dnsname.MustParse("a.example."), Addrs: []netip.Addr{at.Addr()},
		}}},
		Validation: resolver.ValidateOff, AllowServer: func(netip.Addr) bool { return true },
		Family: resolver.FamilyIPv4Only, Port: at.Port(), Minimise: resolver.MinimiseOff,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	const batches, questions = 10, 50
	const all = batches * (questions + 1) // AllocsPerRun runs once more
	var names [all]string
	for i := range names {
		names[i] = fmt.Sprintf("n%d.example.", i)
	}
	// A machine that is busy adds hedges, and a garbage collection empties pools: both to some batches only.
	least := func(ask func()) float64 {
		allocs := testing.AllocsPerRun(questions, ask)
		for range batches - 1 {
			allocs = min(allocs, testing.AllocsPerRun(questions, ask))
		}
		return allocs
	}
	for i := range 100 { // the server is known, pools are filled, priming is over
		if _, err := r.Resolve(t.Context(), fmt.Sprintf("w%d.example.", i), dns.TypeA); err != nil {
			t.Fatal(err)
		}
	}
	i := 0
	allocs := least(func() {
		result, err := r.Resolve(t.Context(), names[i], dns.TypeA)
		if err != nil || len(result.Answer) != 1 {
			t.Errorf("%s: got %v, %v", names[i], result, err)
		}
		i++
	})
	t.Logf("%v allocations", allocs)
	if allocs > missAllocs {
		t.Errorf("a miss takes %v allocations, want %d at most", allocs, missAllocs)
	}
	var queries [all][]byte
	for i := range queries {
		queries[i] = packed(t, ask(fmt.Sprintf("s%d.example.", i), dns.TypeA))
	}
	i = 0
	answers := 0
	count := func(reply []byte) { answers += int(reply[7]) }
	served := least(func() {
		r.ServeWire(queries[i], resolver.WireClient{MaxSize: 1232}, count)
		i++
	})
	t.Logf("%v allocations by ServeWire", served)
	if served > servedMissAllocs || answers != len(queries) {
		t.Errorf("a miss of ServeWire takes %v allocations, want %d at most; %d of %d were answered", served, servedMissAllocs, answers, len(queries))
	}
	if s := r.Stats(); s.SentTCP != 0 {
		t.Errorf("%d queries went over TCP", s.SentTCP)
	}
}

// serveAddress answers every query with one address, without an allocation of its own: questions
// for other types get it too.
func serveAddress(server *net.UDPConn) {
	buffer := make([]byte, 1<<12)
	for {
		n, from, err := server.ReadFromUDPAddrPort(buffer[:512])
		if err != nil {
			return
		}
		end := 12
		for end < n && buffer[end] != 0 {
			end += 1 + int(buffer[end])
		}
		end += 1 + 4
		if end > n {
			continue
		}
		qtype := binary.BigEndian.Uint16(buffer[end-4:])
		copy(buffer[2:], []byte{0x84, 0, 0, 1, 0, 0, 0, 0, 0, 0}) // QR, AA
		reply := buffer[:end]
		if qtype == dns.TypeA {
			buffer[7] = 1
			reply = append(reply, 0xC0, 12, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4, 192, 0, 2, 80)
		}
		_, _ = server.WriteToUDPAddrPort(reply, from)
	}
}
