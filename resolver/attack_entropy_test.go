package resolver_test

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/resolver"
)

var entropySends = flag.Int("sends", 50_000, "how many queries TestAttackEntropy sends")

// onLoopback returns the options of a resolver whose one root server is at a loopback
// address, asked over sockets of the host. Nothing is validated.
func onLoopback(server netip.AddrPort) resolver.Options {
	hints := &glue.Delegation{Zone: dnsname.Root, Servers: []glue.Server{{
		Name: dnsname.MustParse("a."), Addrs: []netip.Addr{server.Addr()},
	}}}
	return resolver.Options{
		RootHints: hints, Port: server.Port(), Validation: resolver.ValidateOff, Family: resolver.FamilyIPv4Only,
		DisablePrefetch: true, DisableHostsFile: true, AddressOrder: resolver.OrderAsAnswered,
		Limits: resolver.Limits{Time: time.Minute}, // a machine may be busy with something else
	}
}

// answerTo makes the reply to a query: an address, or the root's name servers.
func answerTo(query []byte, addr [4]byte) []byte {
	reply := replyHeader(query, 1, 0, 0)
	end := questionEnd(query)
	if qtype := binary.BigEndian.Uint16(query[end-4:]); qtype == dns.TypeNS {
		return append(reply, 0xC0, 12, 0, 2, 0, 1, 0, 1, 0x51, 0x80, 0, 3, 1, 'a', 0)
	}
	// With a TTL of 0 it is not kept.
	reply = append(reply, 0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
	return append(reply, addr[:]...)
}

// drawRecorder is a root server on a loopback socket that answers at once and keeps what there
// was to be guessed about each query.
type drawRecorder struct {
	conn *net.UDPConn

	mu    sync.Mutex
	draws []draw
}

func startDrawRecorder(t *testing.T) *drawRecorder {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	rec := &drawRecorder{conn: conn}
	var serving sync.WaitGroup
	serving.Go(rec.serve)
	t.Cleanup(func() { conn.Close(); serving.Wait() })
	return rec
}

func (rec *drawRecorder) serve() {
	buffer := make([]byte, 4096)
	for {
		n, client, err := rec.conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		query := buffer[:n]
		var group, number int
		label := string(query[13 : 13+int(query[12])])
		if _, err := fmt.Sscanf(label[min(letters, len(label)):], "-%d-%d", &group, &number); err == nil {
			d := draw{group: group, id: binary.BigEndian.Uint16(query), port: client.Port()}
			for i := range letters {
				if query[13+i]&0x20 == 0 {
					d.spelling |= 1 << i
				}
			}
			rec.mu.Lock()
			rec.draws = append(rec.draws, d)
			rec.mu.Unlock()
		}
		rec.conn.WriteToUDPAddrPort(answerTo(query, [4]byte{192, 0, 2, 80}), client)
	}
}

// recordDraws has groups of goroutines ask n questions, each for a name of its own, and
// returns what an attacker has to guess of their queries.
func recordDraws(t *testing.T, n, groups int, change func(*resolver.Options)) []draw {
	t.Helper()
	rec := startDrawRecorder(t)
	o := onLoopback(rec.conn.LocalAddr().(*net.UDPAddr).AddrPort())
	if change != nil {
		change(&o)
	}
	r, err := resolver.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var asked, failed atomic.Int64
	var all sync.WaitGroup
	for group := range groups {
		all.Go(func() {
			for number := asked.Add(1); number <= int64(n); number = asked.Add(1) {
				name := fmt.Sprintf("abcdefghij-%d-%d.", group, number)
				if _, err := r.Resolve(t.Context(), name, dns.TypeA); err != nil {
					failed.Add(1)
				}
			}
		})
	}
	all.Wait()
	rec.mu.Lock()
	defer rec.mu.Unlock()
	// A question that fails has sent something all the same, unless the server is marked
	// down.
	if len(rec.draws) < n*9/10 {
		t.Fatalf("%d queries arrived, %d of %d questions failed", len(rec.draws), failed.Load(), n)
	}
	return rec.draws
}

// TestAttackEntropy: what an attacker that does not see the queries has to guess, measured
// where they arrive: ID, port and letter case are uniform, independent of each other, of
// earlier queries and of the goroutine that asks (attacks.md 1 and 2).
func TestAttackEntropy(t *testing.T) {
	n, groups := *entropySends, 4
	if raceDetector || testing.Short() {
		n = min(n, 5000)
	}
	draws := recordDraws(t, n, groups, nil)
	found, tests := weaknesses(draws)
	for _, what := range found {
		t.Error(what)
	}
	sum := 0.0
	for _, q := range quantities() {
		bits, deviation := collisionBits(draws, q)
		t.Logf("%-12s %6.2f bits (± %.2f)", q.name, bits, deviation)
		sum += bits
		if q.name == "port" { // with the ID
			// At 5,000 sends the sum of both has a deviation of 0.15 bits.
			if sum < 31 {
				t.Errorf("ID and port: %.2f bits, want 31", sum)
			}
		}
	}
	if sum < 40 {
		t.Errorf("ID, port and ten letters: %.2f bits, want 40", sum)
	}
	t.Logf("%d queries, %d tests: %.2f bits to guess; goal >= 40, 31 of them ID and port", len(draws), tests, sum)
	pairs := make(map[[2]uint16]bool)
	ports := make(map[uint16]bool)
	for _, d := range draws[:min(len(draws), 4000)] {
		pairs[[2]uint16{d.id, d.port}], ports[d.port] = true, true
	}
	// 4,000 of 64,501 ports: 3,878 distinct ones, with a deviation of 11; of the pairs all
	// but one run in 500.
	if t.Logf("of 4,000 queries: %d ports, %d pairs of ID and port; goal >= 3,800, all", len(ports), len(pairs)); len(ports) < 3800 || len(pairs) < 3998 {
		t.Errorf("4,000 queries have %d ports and %d pairs of ID and port, want 3,800 and all", len(ports), len(pairs))
	}
}

// TestAttackEntropyOfOthers: real sends whose ports the system has chosen, and such with a
// constant byte in their IDs, are found out.
func TestAttackEntropyOfOthers(t *testing.T) {
	var dialer net.Dialer
	for name, dial := range map[string]func(context.Context, string, string) (net.Conn, error){
		"ports of the system": dialer.DialContext,
		"half of the ID": func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			return &halfOfTheID{Conn: c}, err
		},
	} {
		draws := recordDraws(t, 3000, 2, func(o *resolver.Options) { o.Dial = dial })
		found, _ := weaknesses(draws)
		t.Logf("%s: %q", name, found)
		if len(found) == 0 {
			t.Errorf("%s: nothing is found", name)
		}
	}
}

// halfOfTheID sends every query with the same first byte of the ID, and returns the reply
// with the ID that is expected.
type halfOfTheID struct {
	net.Conn
	first atomic.Uint32
}

func (c *halfOfTheID) Write(query []byte) (int, error) {
	c.first.Store(uint32(query[0]))
	return c.Conn.Write(append([]byte{0x12}, query[1:]...))
}

func (c *halfOfTheID) Read(reply []byte) (int, error) {
	n, err := c.Conn.Read(reply)
	if n > 0 {
		reply[0] = byte(c.first.Load())
	}
	return n, err
}
