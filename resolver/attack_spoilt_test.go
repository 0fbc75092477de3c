package resolver_test

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// The cost of single packets, from off-path attackers or networks that corrupt some, to a
// question whose zone has one server, without TCP.

// noTCP are the ways to have none.
var noTCP = []string{"refuse", "dead", "reset", "drop"}

// wantSent compares how often the server of forgeWorld was asked.
func (w *world) wantSent(udp, tcp int) {
	w.Helper()
	w.count(udp, target, resolvertest.Over("udp"))
	if got := w.in.Count(target, resolvertest.Over("tcp")); got > tcp {
		w.Errorf("got %d queries and attempts to connect over TCP, want at most %d:\n%s", got, tcp, resolvertest.Table(w.in.Log()))
	}
}

// TestSpoiltOnce: one packet that has our ID and is no reply, where the reply is lost, does
// not cost the answer when the server has no TCP: it is asked over UDP once more.
func TestSpoiltOnce(t *testing.T) {
	for _, spoil := range []string{"wrong-qr", "wrong-opcode 5", "wrong-question other.example. A", "no-question", "garbage", "cut 60"} {
		for _, tcp := range noTCP {
			t.Run(spoil+", "+tcp, func(t *testing.T) {
				faults := "-- fault 198.51.100.3 --\nwhen udp first 1: " + poison + "\nwhen udp first 1: " + spoil + "\nwhen tcp: " + tcp + "\n"
				inWorld(t, forgeWorld+faults, func(w *world) {
					w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80").within(w, 4*time.Second)
					w.wantSent(2, 1)
					w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80").atMost(w, 0)
					w.want("mail.shop.example.", dns.TypeA, 0, "mail.shop.example. A 192.0.2.81").atMost(w, 1)
				}, ipv4Only, minimiseOff)
			})
		}
	}
}

// TestSpoiltForEver: when somebody on the path corrupts every packet, or sends thousands
// that are no replies, the server is asked twice and once over TCP, and no more; nor does
// it take longer than a silent one.
func TestSpoiltForEver(t *testing.T) {
	for _, spoil := range []string{"wrong-qr", "garbage", "cut 60", "forge 1000 " + poison + "; wrong-qr\nwhen udp: wrong-qr"} {
		for _, tcp := range noTCP {
			t.Run(spoil+", "+tcp, func(t *testing.T) {
				inWorld(t, forgeWorld+"-- fault 198.51.100.3 --\nwhen udp: "+spoil+"\nwhen tcp: "+tcp+"\n", func(w *world) {
					w.wantError("www.shop.example.", dns.TypeA, resolver.ErrNoReachableServer).within(w, 5*time.Second)
					w.wantSent(2, 1)
					w.wantNotCached("www.shop.example.", dns.TypeA)
				}, ipv4Only, minimiseOff)
			})
		}
	}
}

// TestSpoiltEverywhere: where there are other servers these are asked first, and each of them
// once more at most.
func TestSpoiltEverywhere(t *testing.T) {
	const text = `
-- zone shop.example. at 198.51.100.3 198.51.100.4 198.51.100.5 --
www             A     192.0.2.80
-- fault * --
latency 20ms
-- fault shop.example. --
when tcp: refuse
`
	inWorld(t, text+"when udp: wrong-qr\n", func(w *world) {
		w.wantError("www.shop.example.", dns.TypeA, resolver.ErrNoReachableServer).within(w, 5*time.Second)
		for _, addr := range w.in.Servers("shop.example.") {
			w.count(2, resolvertest.To(addr.String()), resolvertest.Over("udp"))
			w.count(1, resolvertest.To(addr.String()), resolvertest.Over("tcp"))
		}
	}, ipv4Only, minimiseOff)
	inWorld(t, text+"when udp first 1: wrong-qr\n", func(w *world) {
		w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80").within(w, 2*time.Second)
	}, ipv4Only, minimiseOff)
}

// TestNearMissOnceMore: a reply that is right except for the ID is a guess, and the
// question moves to TCP (RFC 5452 §9.2). Where TCP fails one more query over UDP, from
// another port, gives the attacker one more guess; there is no third one, and it is not
// made easier.
func TestNearMissOnceMore(t *testing.T) {
	for _, miss := range []string{poison + "; wrong-id", "rcode FORMERR; no-question; wrong-id", "rcode NOTIMP; no-question; wrong-id"} {
		for _, tcp := range noTCP {
			t.Run(miss+", "+tcp, func(t *testing.T) {
				forge := "forge 1 " + miss + "\nwhen tcp: " + tcp + "\n"
				inWorld(t, forgeWorld+"-- fault 198.51.100.3 --\nwhen udp first 1: "+forge, func(w *world) {
					w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80").within(w, 5*time.Second)
					w.wantSent(2, 1)
					w.want("mail.shop.example.", dns.TypeA, 0, "mail.shop.example. A 192.0.2.81").atMost(w, 1)
				}, ipv4Only, minimiseOff)
				name := manyLetters + ".shop.example."
				inWorld(t, forgeWorld+"-- fault 198.51.100.3 --\nwhen udp: "+strings.Replace(forge, "www.shop.example.", name, 1), func(w *world) {
					w.wantError(name, dns.TypeA, resolver.ErrNoReachableServer).within(w, 5*time.Second)
					w.wantSent(2, 1)
					for _, q := range w.in.Log(target, resolvertest.Over("udp")) {
						if q.Name == strings.ToLower(q.Name) || q.Cookie == nil {
							w.Errorf("asked for %s with cookie %x, want mixed letters and a cookie", q.Name, q.Cookie)
						}
					}
				}, ipv4Only, minimiseOff)
			})
		}
	}
}

// TestSpoiltSaysWhy: the error says what was wrong with the reply over UDP when TCP fails
// too.
func TestSpoiltSaysWhy(t *testing.T) {
	for _, tcp := range noTCP {
		t.Run(tcp, func(t *testing.T) {
			inWorld(t, forgeWorld+"-- fault 198.51.100.3 --\nwhen tcp: "+tcp+"\n", func(w *world) {
				w.in.Fault("198.51.100.3", resolvertest.RawHook(func(query, _ []byte) []byte {
					return withOPT(append(replyHeader(query, 1, 0, 1), genuineAnswer()...), 101)
				}).When(resolvertest.Over("udp")))
				w.wantLimit("www.shop.example.", dns.TypeA, "EDNSOptions").within(w, 5*time.Second)
			}, ipv4Only, minimiseOff)
		})
	}
}

// lyingICMP is a connection whose host reports first that the port is unreachable.
type lyingICMP struct {
	net.Conn
	told atomic.Bool
}

func (c *lyingICMP) Read(b []byte) (int, error) {
	if !c.told.Swap(true) {
		return 0, &net.OpError{Op: "read", Net: "udp", Err: syscall.ECONNREFUSED}
	}
	return c.Conn.Read(b)
}

// TestForgedICMP: an ICMP message that the only server's port is unreachable, which anybody
// can send that guesses the port of the query, neither ends the wait for its reply nor
// marks it down; when the message is true, the server is asked again later (attacks.md 5).
func TestForgedICMP(t *testing.T) {
	inWorld(t, forgeWorld, func(w *world) {
		r := w.in.Resolver(w.T, ipv4Only, minimiseOff, func(o *resolver.Options) {
			o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := w.in.Dial(ctx, network, address)
				if network == "udp" && err == nil {
					conn = &lyingICMP{Conn: conn}
				}
				return conn, err
			}
		})
		w.r = r
		w.ask("none.example.", dns.TypeA)
		for _, name := range []string{"a", "b", "c", "d", "e"} { // more than mark a server down
			o := w.want(name+".shop.example.", dns.TypeA, dns.RcodeNameError).within(w, 40*time.Millisecond)
			o.atMost(w, 2) // the first needs the delegation
		}
		if s := r.Stats(); s.TimedOut != 0 {
			w.Errorf("%d queries count as lost, want none", s.TimedOut)
		}
	})
	inWorld(t, forgeWorld+"-- fault 198.51.100.3 --\nwhen udp first 1: refuse\n", func(w *world) {
		w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80").within(w, time.Second)
		w.wantSent(2, 0)
	}, ipv4Only, minimiseOff)
	inWorld(t, forgeWorld+"-- fault 198.51.100.3 --\nwhen udp first 3: refuse\n", func(w *world) {
		w.wantError("www.shop.example.", dns.TypeA, resolver.ErrNoReachableServer)
		time.Sleep(6 * time.Second) // the failure is remembered no longer
		w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80").within(w, time.Second)
		w.wantSent(1, 0)
	}, ipv4Only, minimiseOff)
}
