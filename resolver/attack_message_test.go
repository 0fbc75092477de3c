package resolver_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// A reply over TCP may have 65,535 bytes, and nearly all of them can be made to work for
// an attacker: compression pointers, records without data, options.

// many repeats a record n times.
func many(n int, record []byte) []byte {
	all := make([]byte, 0, n*len(record))
	for range n {
		all = append(all, record...)
	}
	return all
}

// emptyRecord is the shortest record there is: 11 bytes, owned by the root.
var emptyRecord = []byte{0, 0xFF, 0x01, 0, 1, 0, 0, 0, 60, 0, 0}

// pointing is a record of an unknown type, whose owner is a pointer.
func pointing(to int) []byte {
	return []byte{0xC0 | byte(to>>8), byte(to), 0xFF, 0x01, 0, 1, 0, 0, 0, 60, 0, 0}
}

// withOPT ends a message with an OPT record of n empty options.
func withOPT(m []byte, n int) []byte {
	m = append(m, 0, 0, 41, 4, 208, 0, 0, 0, 0)
	m = binary.BigEndian.AppendUint16(m, uint16(4*n))
	return append(m, many(n, []byte{0xFF, 0x01, 0, 0})...)
}

// genuineAnswer is the reply of the server of forgeWorld for www.
func genuineAnswer() []byte {
	return []byte{0xC0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 80}
}

// pointerLadder is a message that has, after the genuine answer, records whose owners are
// pointers to the owner of the record before: n pointers for the last one.
func pointerLadder(q []byte, n int) []byte {
	m := append(replyHeader(q, 1, 0, uint16(n)), genuineAnswer()...)
	at := len(replyHeader(q, 1, 0, 0)) // the answer's owner, a pointer itself
	for range n {
		next := len(m)
		m = append(m, pointing(at)...)
		at = next
	}
	return m
}

// longOwners is a message with a name of 255 bytes, n times by pointer.
func longOwners(q []byte, n int) []byte {
	m := append(replyHeader(q, 1, 0, uint16(1+n)), genuineAnswer()...)
	at := len(m)
	for i, length := range []int{63, 63, 63, 61} { // with the length bytes and the root's: 255
		m = append(append(m, byte(length)), strings.Repeat(string(rune('a'+i)), length)...)
	}
	m = append(m, emptyRecord...)
	return append(m, many(n, pointing(at))...)
}

// TestAttackMessages: replies to our query that are made so that parsing them is the attack
// are dropped; the error and Stats name the bound; nothing of them is kept, and the other
// names of the zone are answered. Messages that just keep the bound are answers.
func TestAttackMessages(t *testing.T) {
	for _, test := range []struct {
		limit           string
		value           int
		hostile, honest func(query []byte) []byte
	}{
		{"MessageRecords", 5000,
			func(q []byte) []byte {
				return append(append(replyHeader(q, 1, 0, 5000), genuineAnswer()...), many(5000, emptyRecord)...)
			},
			func(q []byte) []byte {
				return append(append(replyHeader(q, 1, 0, 4999), genuineAnswer()...), many(4999, emptyRecord)...)
			}},
		{"MessageNames", 1 << 20,
			func(q []byte) []byte { return longOwners(q, 4200) },
			func(q []byte) []byte { return longOwners(q, 4000) }},
		{"NamePointers", 126,
			func(q []byte) []byte { return pointerLadder(q, 126) },
			func(q []byte) []byte { return pointerLadder(q, 125) }},
		{"EDNSOptions", 100,
			func(q []byte) []byte {
				return withOPT(append(replyHeader(q, 1, 0, 1), genuineAnswer()...), 101)
			},
			func(q []byte) []byte {
				return withOPT(append(replyHeader(q, 1, 0, 1), genuineAnswer()...), 100)
			}},
	} {
		t.Run(test.limit, func(t *testing.T) {
			inWorld(t, forgeWorld+"-- fault 198.51.100.3 --\nwhen udp name www.shop.example.: truncate\n", func(w *world) {
				make := test.hostile
				w.in.Fault("198.51.100.3", resolvertest.RawHook(func(query, _ []byte) []byte { return make(query) }).
					When(resolvertest.Over("tcp"), resolvertest.Name("www.shop.example.")))
				o := w.wantLimit("www.shop.example.", dns.TypeA, test.limit).within(w, 10*time.Second).atMost(w, 2+2)
				var limit *resolver.LimitError
				var failure *resolver.Error
				if !errors.As(o.err, &limit) || limit.Value != test.value || !errors.As(o.err, &failure) ||
					failure.Extended.Code != dns.ExtendedErrorCodeOther || !strings.Contains(failure.Extended.Text, test.limit) {
					t.Errorf("got %v, want the limit of %d, and an extended error that names it", o.err, test.value)
				}
				s := w.r.Stats()
				if s.Limits[test.limit] == 0 || s.Dropped[resolver.DroppedMalformed] == 0 {
					t.Errorf("got %v and %v, want both to count it", s.Limits, s.Dropped)
				}
				w.wantNotCached("www.shop.example.", dns.TypeA)
				w.want("mail.shop.example.", dns.TypeA, 0, "mail.shop.example. A 192.0.2.81")

				make = test.honest
				time.Sleep(6 * time.Second) // the failure is remembered no longer
				w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80").atMost(w, 2)
			}, ipv4Only)
		})
	}
}

// wantNotCached asks without RD, so that no server is asked, and wants no data.
func (w *world) wantNotCached(name string, qtype uint16) {
	w.Helper()
	query := new(dns.Msg).SetQuestion(name, qtype)
	query.RecursionDesired = false
	reply, err := w.r.Exchange(w.Context(), query)
	if err != nil {
		w.Fatalf("%s out of the cache: %v", name, err)
	}
	if reply.Rcode != dns.RcodeRefused && reply.Rcode != dns.RcodeServerFailure || len(reply.Answer) > 0 {
		w.Errorf("%s: the cache returns\n%v\nwant nothing but a failure", name, reply)
	}
}

// TestOversizedSetIsAskedForOnce: that an RRset has too many records is found out once,
// however many callers wait for it.
func TestOversizedSetIsAskedForOnce(t *testing.T) {
	inWorld(t, bigSet(300)+"-- fault * --\nlatency 20ms\n", func(w *world) {
		w.ask("none.attacker.example.", dns.TypeA)
		w.in.ResetLog()
		const callers = 1000
		limited := make(chan bool, callers)
		for range callers {
			go func() {
				_, err := w.r.Resolve(w.Context(), "big.attacker.example.", dns.TypeA)
				var limit *resolver.LimitError
				limited <- errors.As(err, &limit) && limit.Limit == "Records"
			}()
		}
		for i := range callers {
			if !<-limited {
				t.Errorf("caller %d: the error does not name the limit Records", i)
			}
		}
		if got := w.in.Count(resolvertest.Name("big.attacker.example.")); got > 2 {
			t.Errorf("got %d queries, want 2, one of them over TCP:\n%s", got, resolvertest.Table(w.in.Log()))
		}
	}, ipv4Only)
}

// TestDroppedPackets: messages that arrive and are not accepted are counted by what is
// wrong with them.
func TestDroppedPackets(t *testing.T) {
	for kind, want := range map[string]resolver.DropReason{
		"wrong-qr":                        resolver.DroppedForeign,
		"wrong-opcode 5":                  resolver.DroppedForeign,
		"wrong-question other.example. A": resolver.DroppedForeign,
		"cut 5":                           resolver.DroppedForeign,
		"no-question":                     resolver.DroppedForeign,
		"cut 60":                          resolver.DroppedMalformed,
		"wrong-id":                        resolver.DroppedID,
		"random-case":                     resolver.DroppedCase,
		"wrong-cookie":                    resolver.DroppedCookie,
	} {
		t.Run(kind, func(t *testing.T) {
			inWorld(t, forgeWorld+fmt.Sprintf("-- fault 198.51.100.3 --\ncookies\nwhen udp first 1: forge 3 %s; %s\n", poison, kind), func(w *world) {
				w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80")
				for reason, n := range w.r.Stats().Dropped {
					// A reply that is almost right ends the wait at once.
					ends := reason == resolver.DroppedID || reason == resolver.DroppedCase || reason == resolver.DroppedCookie
					if is := reason == want; is != (n > 0) || is && !ends && n != 3 || ends && n > 1 {
						t.Errorf("%s: %d packets dropped", reason, n)
					}
				}
			}, ipv4Only)
		})
	}
}
