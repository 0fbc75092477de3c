package resolver_test

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// junk is a reply to the very query that is read and taken apart to its last byte, which is one
// too many: records are as many as announced, with one name that all compress against.
func junk(query []byte, size int) []byte {
	b := replyHeader(query, 0, 0, 0)
	records := (size - 1 - len(b)) / 16
	binary.BigEndian.PutUint16(b[6:], uint16(records))
	for range records {
		b = append(b, address(0xC0, 12)...)
	}
	return append(b, 0)
}

// TestAttackJunkOverTCP: a server that answers over TCP with malformed replies and does not stop
// is read a few times, and the question is charged for them; another server answers it.
func TestAttackJunkOverTCP(t *testing.T) {
	for _, size := range []int{200, 64_000} {
		for _, fault := range []resolvertest.Fault{
			resolvertest.RawHook(func(query, _ []byte) []byte { return junk(query, size) }),
			resolvertest.RawHook(func(query, reply []byte) []byte { return append(reply, make([]byte, size)...) }),
			resolvertest.WrongQuestion("other.example.", dns.TypeA),
			resolvertest.NotAResponse(),
		} {
			inWorld(t, forgeWorld, func(w *world) {
				w.in.Fault("198.51.100.3", resolvertest.Truncated().When(resolvertest.Over("udp")))
				w.in.Fault("198.51.100.3", resolvertest.Forged(500, fault).When(resolvertest.Over("tcp")))
				o := w.wantError("www.shop.example.", dns.TypeA, resolver.ErrNoReachableServer).within(w, time.Second).atMost(w, 2+2)
				if received := w.r.Stats().Received; received > 256<<10 {
					w.Errorf("got %d bytes, want no more than a question may have: %v", received, o)
				}
				if dropped := w.r.Stats().Dropped; dropped[resolver.DroppedMalformed]+dropped[resolver.DroppedForeign] > 6 {
					w.Errorf("%v messages were taken apart, want a few", dropped)
				}
			}, ipv4Only)
		}
	}
}

// TestAttackFloodOfDatagrams: one send reads more than a thousand datagrams that are no
// reply, but not endlessly: the question goes on over TCP, or over UDP once more where
// there is no TCP. An attacker that guesses can neither end the question by that nor use up
// its budget.
func TestAttackFloodOfDatagrams(t *testing.T) {
	for _, kind := range []string{"wrong-question other.example. A", "wrong-qr", "garbage; wrong-id", "cut 5"} {
		flood := func(n int) resolvertest.Fault {
			fault, err := resolvertest.ParseFault(fmt.Sprintf("when udp: forge %d %s; %s", n, poison, kind))
			if err != nil {
				t.Fatal(err)
			}
			return fault
		}
		inWorld(t, forgeWorld, func(w *world) {
			w.in.Fault("198.51.100.3", flood(1500))
			w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80")
			w.count(0, target, resolvertest.Over("tcp"))
		}, ipv4Only)
		inWorld(t, forgeWorld, func(w *world) {
			w.in.Fault("198.51.100.3", flood(5000))
			w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80")
			w.count(1, target, resolvertest.Over("udp"))
			w.count(1, target, resolvertest.Over("tcp"))
			if received := w.r.Stats().Received; received > 4<<10 {
				w.Errorf("%s: the question was charged %d bytes", kind, received)
			}
		}, ipv4Only)
		inWorld(t, forgeWorld, func(w *world) {
			w.in.Fault("198.51.100.3", flood(5000).First(1), resolvertest.Refuse().When(resolvertest.Over("tcp")))
			w.wantGenuine().within(w, time.Second)
		}, ipv4Only)
	}
}

// TestAttackJunkIsCharged: a message that has the ID and the question of the query is
// charged, whatever its tail is, so that a question ends by its limit.
func TestAttackJunkIsCharged(t *testing.T) {
	inWorld(t, forgeWorld, func(w *world) {
		w.in.Fault("198.51.100.3", resolvertest.Forged(1500, resolvertest.RawHook(func(query, _ []byte) []byte { return junk(query, 1000) })))
		w.wantLimit("www.shop.example.", dns.TypeA, "Bytes").atMost(w, 2+1)
		if received := w.r.Stats().Received; received > 300<<10 {
			w.Errorf("got %d bytes, want no more than the limit and one message", received)
		}
	}, ipv4Only)
	inWorld(t, forgeWorld, func(w *world) { // a thousand bad packets as they are, and the genuine reply
		w.in.Fault("198.51.100.3", resolvertest.Forged(1000, resolvertest.RawHook(func(query, _ []byte) []byte { return junk(query, 100) })))
		w.wantGenuine().atMost(w, 3)
	}, ipv4Only)
}
