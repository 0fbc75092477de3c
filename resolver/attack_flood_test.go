package resolver_test

import (
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
)

var floodReplies = flag.Int("forged", 100_000, "how many forged replies TestAttackFlood sends for one query")

var (
	genuineAddr = [4]byte{192, 0, 2, 80}
	forgedAddr  = [4]byte{203, 0, 113, 66}
)

// floodServer is a server on loopback sockets with an attacker beside it that knows the
// client's address and port, and sends forged replies to a query before it is answered.
type floodServer struct {
	udp, elsewhere *net.UDPConn
	tcp            net.Listener
	forge          func(query []byte, i int) []byte
	floods         int // how many of the queries over UDP are flooded

	mu      sync.Mutex
	overUDP int
	ports   map[uint16]int // that queries over UDP came from
	overTCP int
	done    chan struct{}
	working sync.WaitGroup
}

// startFloodServer listens on the same port for UDP and TCP, and at other for packets from
// elsewhere: the server's own address means another port of it. The first queries, as many
// as floods says, are flooded with what forge makes of them.
func startFloodServer(t *testing.T, other string, floods int, forge func(query []byte, i int) []byte) *floodServer {
	t.Helper()
	s := &floodServer{floods: floods, forge: forge, ports: make(map[uint16]int), done: make(chan struct{})}
	for range 100 {
		tcp, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: tcp.Addr().(*net.TCPAddr).Port})
		if err == nil {
			s.tcp, s.udp = tcp, udp
			break
		}
		tcp.Close()
	}
	if s.udp == nil {
		t.Fatal("no port is free for both UDP and TCP")
	}
	from := &net.UDPAddr{IP: net.ParseIP(other)}
	if !from.IP.Equal(net.IPv4(127, 0, 0, 1)) {
		from.Port = s.udp.LocalAddr().(*net.UDPAddr).Port
	}
	var err error
	if s.elsewhere, err = net.ListenUDP("udp4", from); err != nil {
		t.Skipf("no socket at %v: %v", from, err)
	}
	t.Cleanup(func() {
		close(s.done)
		s.udp.Close()
		s.tcp.Close()
		s.elsewhere.Close()
		s.working.Wait()
	})
	s.working.Go(s.serveUDP)
	s.working.Go(s.serveTCP)
	return s
}

func (s *floodServer) serveUDP() {
	buffer := make([]byte, 4096)
	for {
		n, client, err := s.udp.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		query := append([]byte(nil), buffer[:n]...)
		answer := answerTo(query, genuineAddr)
		if binary.BigEndian.Uint16(query[questionEnd(query)-4:]) != dns.TypeA {
			s.udp.WriteToUDPAddrPort(answer, client)
			continue
		}
		s.mu.Lock()
		s.overUDP++
		s.ports[client.Port()]++
		flood := s.overUDP <= s.floods
		s.mu.Unlock()
		s.working.Go(func() {
			if flood {
				for i := range *floodReplies / floodShare() {
					s.elsewhereOr(s.forge(query, i), client.Port(), i)
				}
			}
			// The forged packets may have filled the client's buffer: the genuine reply,
			// which an attacker cannot hold back, is sent until it is received.
			for range 40 {
				s.udp.WriteToUDPAddrPort(answer, client)
				select {
				case <-s.done:
					return
				case <-time.After(25 * time.Millisecond):
				}
			}
		})
	}
}

// floodShare makes floods smaller where each packet takes longer.
func floodShare() int {
	if raceDetector || testing.Short() {
		return 20
	}
	return 1
}

// elsewhereOr sends a forged packet: in the name of the server, or from elsewhere if it is
// what the server would have said.
func (s *floodServer) elsewhereOr(packet []byte, port uint16, i int) {
	client := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)}
	if packet[0] == fromElsewhere {
		s.elsewhere.WriteToUDP(packet[1:], client)
		return
	}
	s.udp.WriteToUDP(packet[1:], client)
}

// The first byte that forge returns says where the packet comes from.
const (
	fromServer = iota
	fromElsewhere
)

func (s *floodServer) serveTCP() {
	for {
		c, err := s.tcp.Accept()
		if err != nil {
			return
		}
		s.working.Go(func() {
			defer c.Close()
			s.working.Go(func() { <-s.done; c.Close() })
			for {
				var length [2]byte
				if _, err := io.ReadFull(c, length[:]); err != nil {
					return
				}
				query := make([]byte, binary.BigEndian.Uint16(length[:]))
				if _, err := io.ReadFull(c, query); err != nil {
					return
				}
				s.mu.Lock()
				s.overTCP++
				s.mu.Unlock()
				answer := answerTo(query, genuineAddr)
				c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
			}
		})
	}
}

// TestAttackFlood: an attacker that knows the client's port sends 100,000 forged replies to
// a query before the server's own reply comes, each with one thing wrong. None is believed,
// and the answer is right. Those that are almost right make the question go on over TCP.
func TestAttackFlood(t *testing.T) {
	for _, test := range []struct {
		kind    string
		other   string
		floods  int
		dropped resolver.DropReason // by our check; "": the kernel drops them
		overTCP bool
		forge   func(query []byte, i int) []byte
	}{
		{"wrong ID", "127.0.0.1", 1, resolver.DroppedID, true, func(query []byte, i int) []byte {
			m := answerTo(query, forgedAddr)
			binary.BigEndian.PutUint16(m, binary.BigEndian.Uint16(query)+1+uint16(i%65535))
			return append([]byte{fromServer}, m...)
		}},
		{"wrong case", "127.0.0.1", 2, resolver.DroppedCase, true, func(query []byte, _ int) []byte {
			m := answerTo(query, forgedAddr)
			m[13+rand.IntN(letters)] ^= 0x20
			return append([]byte{fromServer}, m...)
		}},
		{"wrong question", "127.0.0.1", 1, resolver.DroppedForeign, false, func(query []byte, _ int) []byte {
			m := answerTo(query, forgedAddr)
			m[13] ^= 1
			return append([]byte{fromServer}, m...)
		}},
		{"wrong type", "127.0.0.1", 1, resolver.DroppedForeign, false, func(query []byte, _ int) []byte {
			m := answerTo(query, forgedAddr)
			m[questionEnd(query)-3] = byte(dns.TypeTXT)
			return append([]byte{fromServer}, m...)
		}},
		{"wrong port", "127.0.0.1", 1, "", false, func(query []byte, _ int) []byte {
			return append([]byte{fromElsewhere}, answerTo(query, forgedAddr)...)
		}},
		{"wrong address", "127.0.0.2", 1, "", false, func(query []byte, _ int) []byte {
			return append([]byte{fromElsewhere}, answerTo(query, forgedAddr)...)
		}},
	} {
		t.Run(test.kind, func(t *testing.T) {
			s := startFloodServer(t, test.other, test.floods, test.forge)
			r, err := resolver.New(onLoopback(s.udp.LocalAddr().(*net.UDPAddr).AddrPort()))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			result, err := r.Resolve(t.Context(), "abcdefghij-0-1.", dns.TypeA)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(brief(result.Answer)); got != "[abcdefghij-0-1. A 192.0.2.80]" {
				t.Errorf("got %s, want the genuine address", got)
			}
			stats := r.Stats()
			s.mu.Lock()
			defer s.mu.Unlock()
			t.Logf("%d queries over UDP, %d over TCP; dropped %v", s.overUDP, s.overTCP, stats.Dropped)
			// On a slow machine the wait may end first, and the question moves to TCP after
			// a reply with our ID.
			late := test.dropped == resolver.DroppedForeign && s.overTCP == 1
			if (s.overTCP > 0) != test.overTCP && !late {
				t.Errorf("%d queries over TCP, want any: %t", s.overTCP, test.overTCP)
			}
			// By chance a query may come from the port of the one before it, and receive what was
			// sent to that.
			reused := len(s.ports) < s.overUDP
			for reason, n := range stats.Dropped {
				if (n > 0) != (reason == test.dropped) && !reused {
					t.Errorf("dropped as %s: %d, want any only as %q", reason, n, test.dropped)
				}
			}
		})
	}
}
