package main

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// ede returns the extended DNS error of a reply. RFC 8914.
func ede(m *dns.Msg) *dns.EDNS0_EDE {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				return e
			}
		}
	}
	return nil
}

func TestNoClient(t *testing.T) {
	cert, key := writeCertificate(t)
	p := startProxy(t, newInternet(t).flags("-allow-client", "192.0.2.0/24", "-tls-listen", "127.0.0.1:0",
		"-cert", cert, "-key", key)...)
	for _, network := range []string{"udp", "tcp"} {
		got := ask(t, network, p.at[network], "www.shop.example.", dns.TypeA, withEDNS)
		if e := ede(got); got.Rcode != dns.RcodeRefused || len(got.Answer) > 0 || e == nil || e.InfoCode != dns.ExtendedErrorCodeProhibited {
			t.Errorf("over %s: got\n%v\nwant REFUSED, prohibited", network, got)
		}
	}
	client := &dns.Client{Net: "tcp-tls", TLSConfig: trusting(t, cert), Timeout: patience}
	if got, _, err := client.Exchange(new(dns.Msg).SetQuestion("www.shop.example.", dns.TypeA), p.at["tls"]); err == nil {
		t.Errorf("over TLS: got\n%v\nwant no connection", got)
	}
}

// Over the rate a client is sent to TCP, and refused there.
func TestOverRate(t *testing.T) {
	p := startProxy(t, newInternet(t).flags("-client-rate", "1")...)
	eventually(t, "TC and nothing else over UDP", func() bool {
		got := ask(t, "udp", p.at["udp"], "www.shop.example.", dns.TypeA)
		return got.Truncated && len(got.Answer) == 0 && got.Rcode == dns.RcodeSuccess
	})
	eventually(t, "REFUSED over TCP, with the reason", func() bool {
		got := ask(t, "tcp", p.at["tcp"], "www.shop.example.", dns.TypeA, withEDNS)
		e := ede(got)
		return got.Rcode == dns.RcodeRefused && e != nil && e.ExtraText == "too many queries"
	})
}

// slowInternet has servers that take a while.
const slowInternet = internet + `
-- zone slow.example. at 127.77.0.7 --
www   A   192.0.2.90
-- fault slow.example. --
latency 300ms
`

func newSlowInternet(t *testing.T) *world {
	return newWorld(t, slowInternet, "example.", "shop.example.", "bogus.example.", "broken.example.", "slow.example.")
}

func TestClientQuestions(t *testing.T) {
	p := startProxy(t, newSlowInternet(t).flags("-client-questions", "1")...)
	conn, err := dns.Dial("udp", p.at["udp"])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// That the slow question came in first is only seen from what happens to the other.
	n := 0
	eventually(t, "SERVFAIL for the second question", func() bool {
		n++
		if err := conn.WriteMsg(new(dns.Msg).SetQuestion(fmt.Sprintf("n%d.slow.example.", n), dns.TypeA)); err != nil {
			t.Fatal(err)
		}
		// Another one each time: what the cache has does not count as a question.
		got := ask(t, "udp", p.at["udp"], fmt.Sprintf("n%d.shop.example.", n), dns.TypeA, withEDNS)
		e := ede(got)
		return got.Rcode == dns.RcodeServerFailure && e != nil && e.ExtraText == "too many questions of this client"
	})
}

// eventually waits for what must happen, whenever that is.
func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if happened() {
			return
		}
	}
	t.Fatalf("no %s", what)
}

func TestClientConnections(t *testing.T) {
	p := startProxy(t, newInternet(t).flags("-client-connections", "1")...)
	first, err := dns.Dial("tcp", p.at["tcp"])
	if err != nil {
		t.Fatal(err)
	}
	query := new(dns.Msg).SetQuestion("www.shop.example.", dns.TypeA)
	if err := first.WriteMsg(query); err != nil {
		t.Fatal(err)
	}
	if got, err := first.ReadMsg(); err != nil || len(got.Answer) != 1 {
		t.Errorf("first connection: got %v, %v, want an answer", got, err)
	}
	client := &dns.Client{Net: "tcp", Timeout: patience}
	if got, _, err := client.Exchange(query, p.at["tcp"]); err == nil {
		t.Errorf("second connection: got\n%v\nwant that it is closed", got)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	eventually(t, "place for another connection when the first has ended", func() bool {
		got, _, err := client.Exchange(query, p.at["tcp"])
		return err == nil && len(got.Answer) == 1
	})
}

// No small query over UDP gets a large answer.
func TestNoAmplification(t *testing.T) {
	p := startProxy(t, newInternet(t).flags()...)
	for range 2 { // the second time it may be in the cache
		got := ask(t, "udp", p.at["udp"], "www.shop.example.", dns.TypeANY, withDO)
		if !got.Truncated || len(got.Answer) > 0 {
			t.Errorf("ANY over udp: got\n%v\nwant TC and nothing else", got)
		}
		got = ask(t, "tcp", p.at["tcp"], "www.shop.example.", dns.TypeANY, withDO)
		if got.Truncated || len(got.Answer) == 0 {
			t.Errorf("ANY over tcp: got\n%v\nwant records", got)
		}
	}
	for range 2 { // the second time out of the cache
		got := ask(t, "udp", p.at["udp"], "large.shop.example.", dns.TypeTXT, func(m *dns.Msg) {})
		if got.Len() > dns.MinMsgSize {
			t.Errorf("without EDNS: got %d bytes, want at most %d", got.Len(), dns.MinMsgSize)
		}
	}
}

// What is no query gets no answer: it might be one itself. What cannot be read is
// FORMERR.
func TestGarbage(t *testing.T) {
	p := startProxy(t, newInternet(t).flags()...)
	conn, err := net.Dial("udp", p.at["udp"])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, wire := range []string{
		"", "short", // no header
		"\x12\x34\x81\x80\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01", // an answer
		"\x56\x78\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x3fcut",              // a query that is cut off
	} {
		if _, err := conn.Write([]byte(wire)); err != nil {
			t.Fatal(err)
		}
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	reply := make([]byte, 512)
	n, err := conn.Read(reply)
	if err != nil {
		t.Fatal(err)
	}
	if n != 12 || string(reply[:2]) != "\x56\x78" || reply[3]&15 != dns.RcodeFormatError || reply[2]&0x80 == 0 {
		t.Errorf("got % x, want FORMERR for the last query", reply[:n])
	}
}

func TestMayAskANY(t *testing.T) {
	header := strings.Repeat("\x00", 12)
	tests := []struct {
		wire string
		want bool
	}{
		{"\x03www\x04shop\x00\x00\xff\x00\x01", true},
		{"\x03www\x04shop\x00\x00\x01\x00\x01", false},
		{"\x00\x00\xff\x00\x01", true},
		{"\x00\x00\x10\x00\x01", false},
		{"", true},                 // no question
		{"\x3fcut", true},          // cut off
		{"\x03www\x00\x00", true},  // the same
		{"\xc0\x0c\x00\x01", true}, // a compressed name, which no question needs
	}
	for _, test := range tests {
		if got := mayAskANY([]byte(header + test.wire)); got != test.want {
			t.Errorf("%q: got %t, want %t", test.wire, got, test.want)
		}
	}
}
