package serve

import (
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

// queryFor returns a query with EDNS, and what is to be known of it.
func queryFor(t testing.TB, name string, rrtype uint16) (packed []byte, x request) {
	t.Helper()
	m := new(dns.Msg).SetQuestion(name, rrtype)
	m.SetEdns0(1232, true)
	packed, err := m.Pack()
	if err != nil || !x.parse(packed) {
		t.Fatal(err)
	}
	return packed, x
}

// A question that is answered early, from another goroutine, is not answered again when its
// work has ended, and who did the work waits until the reply is sent.
func TestAnsweredOnce(t *testing.T) {
	s := &Server{cookies: newServerCookies(time.Now)}
	_, x := queryFor(t, "www.example.", dns.TypeA)
	var mu sync.Mutex
	sent, sending := 0, false
	begun := make(chan struct{})
	c := wireClient{s: s, request: x, send: func(reply []byte) {
		mu.Lock()
		sent++
		sending = true
		mu.Unlock()
		if sent == 1 {
			close(begun)
		}
		time.Sleep(time.Millisecond)
		var m dns.Msg
		if err := m.Unpack(reply); err != nil || m.Rcode != dns.RcodeServerFailure {
			t.Errorf("got %v\n%v, want SERVFAIL", err, &m)
		}
		mu.Lock()
		sending = false
		mu.Unlock()
	}}
	go c.fail(errors.New("shed"))
	<-begun
	res := c.closed()
	c.answer(&res)
	c.fail(errors.New("again"))
	mu.Lock()
	defer mu.Unlock()
	if sent != 1 || sending {
		t.Errorf("%d replies were sent, the last is being sent: %t; want one that is", sent, sending)
	}
}

// The serving part of a miss: the query is parsed, and the reply is written, without an object
// for any record.
func TestWireReplyAllocations(t *testing.T) {
	s := &Server{cookies: newServerCookies(time.Now)}
	query, _ := queryFor(t, "www.example.", dns.TypeA)
	name := dnsname.MustParse("www.example.")
	found := &answer.Answer{
		Q: answer.Question{Name: name, Type: dns.TypeA}, Kind: answer.KindAnswer, Status: dnssec.Secure, TTL: 300,
		Sets: []*dnssec.RRset{{Owner: name, Type: dns.TypeA, Class: dns.ClassINET, TTL: 300, Records: dnssec.Pack("\xc0\x00\x02\x01", "\xc0\x00\x02\x02"), Signatures: dnssec.Pack(string(make([]byte, 100)))}},
	}
	buf := make([]byte, 0, 1232)
	client := Client{Addr: netip.MustParseAddrPort("192.0.2.1:53"), MaxSize: 1232}
	size := 0
	allocs := testing.AllocsPerRun(100, func() {
		var x request
		if !x.parse(query) {
			t.Fatal("no query")
		}
		res := response{found: found}
		x.answered(&res)
		size = len(s.appendReply(buf, &x, &res, &client, client.MaxSize))
	})
	const question, fixed, aRecord = 13 + 4, 12, 4 // fixed: a pointer as owner, type, class, TTL, length
	if want := wire.HeaderLen + question + 3*fixed + 2*aRecord + 100 + wire.OPTSize; size != want || allocs > 1 {
		t.Errorf("%d bytes with %v allocations, want %d with 1: the name", size, allocs, want)
	}
}
