package localroot

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/test/rootsigner"
	"github.com/iterdns/iterdns/internal/test/testcert"
)

var serverAddr = netip.MustParseAddrPort("192.0.2.53:53")

// behaviour answers one query of a connection, until it returns.
type behaviour func(w io.Writer, query *dns.Msg)

// dialTo makes a Dial that leads to a server in memory.
func dialTo(b behaviour) Dial {
	return func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go serveConn(server, b)
		return client, nil
	}
}

// serveConn answers the queries of a connection.
func serveConn(conn net.Conn, b behaviour) {
	defer conn.Close()
	for {
		var head [2]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return
		}
		msg := make([]byte, binary.BigEndian.Uint16(head[:]))
		query := new(dns.Msg)
		if _, err := io.ReadFull(conn, msg); err != nil || query.Unpack(msg) != nil {
			return
		}
		b(conn, query)
	}
}

// write sends a message behind its length.
func write(w io.Writer, m *dns.Msg) error {
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
	return err
}

// recordsOf reads a zone file, the SOA first.
func recordsOf(t testing.TB, text string) []dns.RR {
	t.Helper()
	var records []dns.RR
	parser := dns.NewZoneParser(strings.NewReader(text), ".", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		records = append(records, rr)
	}
	if parser.Err() != nil || len(records) == 0 {
		t.Fatal("no records", parser.Err())
	}
	return records
}

// serving transfers a zone, in messages of some records each, as change has changed them.
func serving(t testing.TB, text string, change func(query *dns.Msg, messages []*dns.Msg) []*dns.Msg) behaviour {
	records := recordsOf(t, text)
	return func(w io.Writer, query *dns.Msg) {
		all := append(records[:len(records):len(records)], records[0])
		if query.Question[0].Qtype == dns.TypeSOA {
			all = records[:1]
		}
		var messages []*dns.Msg
		for len(all) > 0 {
			m := new(dns.Msg).SetReply(query)
			n := min(len(all), 7)
			m.Answer, all = all[:n:n], all[n:]
			messages = append(messages, m)
		}
		if change != nil {
			messages = change(query, messages)
		}
		for _, m := range messages {
			if write(w, m) != nil {
				return
			}
		}
	}
}

func TestTransfer(t *testing.T) {
	text := rootsigner.Sign(t, smallRoot, rootsigner.Options{Signed: signedAt})
	last := func(m []*dns.Msg) *dns.Msg { return m[len(m)-1] }
	all := func(change func(*dns.Msg)) func(*dns.Msg, []*dns.Msg) []*dns.Msg {
		return func(_ *dns.Msg, m []*dns.Msg) []*dns.Msg {
			for _, one := range m {
				change(one)
			}
			return m
		}
	}
	soa := recordsOf(t, text)[0]
	for _, c := range []struct {
		name   string
		change func(*dns.Msg, []*dns.Msg) []*dns.Msg
		fault  Fault
		want   string // of the error; "": none
	}{
		{"as it should be", nil, 0, ""},
		{"the question in the first message only", func(_ *dns.Msg, m []*dns.Msg) []*dns.Msg {
			for _, one := range m[1:] {
				one.Question = nil
			}
			return m
		}, 0, ""},
		{"refused", all(func(m *dns.Msg) { m.Rcode, m.Answer = dns.RcodeRefused, nil }), FaultSource, "REFUSED"},
		{"not authoritative", all(func(m *dns.Msg) { m.Rcode, m.Answer = dns.RcodeNotAuth, nil }), FaultSource, "NOTAUTH"},
		{"empty", all(func(m *dns.Msg) { m.Answer = nil }), FaultSource, "without records"},
		{"another ID", all(func(m *dns.Msg) { m.Id++ }), FaultSyntax, "no answer to the query"},
		{"a query", all(func(m *dns.Msg) { m.Response = false }), FaultSyntax, "no answer to the query"},
		{"truncated", all(func(m *dns.Msg) { m.Truncated = true }), FaultSyntax, "no answer to the query"},
		{"another zone", all(func(m *dns.Msg) { m.Question[0].Name = "com." }), FaultSyntax, "no answer to the query"},
		{"no SOA first", func(_ *dns.Msg, m []*dns.Msg) []*dns.Msg { m[0].Answer = m[0].Answer[1:]; return m }, FaultSyntax, "does not begin with the SOA"},
		{"SOA only", func(_ *dns.Msg, m []*dns.Msg) []*dns.Msg { m[0].Answer = []dns.RR{soa, soa}; return m[:1] }, FaultSyntax, "no NS records"},
		{"records behind the end", func(_ *dns.Msg, m []*dns.Msg) []*dns.Msg {
			last(m).Answer = append(last(m).Answer, m[0].Answer[1])
			return m
		}, FaultSyntax, "behind its end"},
		{"another SOA at the end", func(_ *dns.Msg, m []*dns.Msg) []*dns.Msg {
			other := dns.Copy(soa).(*dns.SOA)
			other.Serial++
			last(m).Answer[len(last(m).Answer)-1] = other
			return m
		}, FaultSyntax, "changed meanwhile"},
		{"cut short", func(_ *dns.Msg, m []*dns.Msg) []*dns.Msg { return m[:len(m)-1] }, FaultSource, "i/o timeout"},
		{"never ends", func(_ *dns.Msg, m []*dns.Msg) []*dns.Msg {
			big := new(dns.Msg)
			*big = *m[0]
			big.Answer = nil
			for range 60 {
				big.Answer = append(big.Answer, &dns.TXT{Hdr: dns.RR_Header{Name: "x.", Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: []string{strings.Repeat("x", 255), strings.Repeat("y", 255), strings.Repeat("z", 255)}})
			}
			m = m[:1]
			for range 1000 {
				m = append(m, big)
			}
			return m
		}, FaultSize, "a transfer of more than 16777216 bytes"},
		{"many records", func(_ *dns.Msg, m []*dns.Msg) []*dns.Msg {
			big := new(dns.Msg)
			*big = *m[0]
			big.Compress, big.Answer = true, nil
			for i := range 3000 {
				big.Answer = append(big.Answer, &dns.A{Hdr: dns.RR_Header{Name: "x.", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: uint32(i)}, A: net.IPv4(192, 0, 2, 1)})
			}
			m = m[:1]
			for range 100 {
				m = append(m, big)
			}
			return m
		}, FaultSize, "more than 200000 records"},
	} {
		synctest.Test(t, func(t *testing.T) {
			z, err := fetchAXFR(t.Context(), dialTo(serving(t, text, c.change)), serverAddr, nil, dnsname.Root, nil)
			if c.want == "" {
				if err == nil {
					_, err = trustOf(t, 0).verify(z, signedAt)
				}
				if err != nil {
					t.Errorf("%s: %v", c.name, err)
				}
				return
			}
			if err == nil || from("", err).Fault != c.fault || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want fault %d with %q", c.name, err, c.fault, c.want)
			}
		})
	}
}

// What a server has that is not newer is not fetched.
func TestTransferOfWhatIsHeld(t *testing.T) {
	text := rootsigner.Sign(t, smallRoot, rootsigner.Options{Signed: signedAt, Serial: 100})
	for _, c := range []struct {
		held   uint32
		asked  int // queries
		verify func(error) bool
	}{
		{99, 2, func(err error) bool { return err == nil }},
		{100, 1, func(err error) bool { return errors.Is(err, errUnchanged) }},
		{101, 1, func(err error) bool { return err != nil && from("", err).Fault == FaultSerial }},
		{1<<31 + 200, 2, func(err error) bool { return err == nil }}, // RFC 1982
	} {
		synctest.Test(t, func(t *testing.T) {
			asked := 0
			dial := dialTo(serving(t, text, func(_ *dns.Msg, m []*dns.Msg) []*dns.Msg { asked++; return m }))
			_, err := fetchAXFR(t.Context(), dial, serverAddr, nil, dnsname.Root, &Zone{Serial: c.held})
			if !c.verify(err) || asked != c.asked {
				t.Errorf("held %d: got %v with %d queries, want %d", c.held, err, asked, c.asked)
			}
		})
	}
}

// A server that drips, or is silent, is given up; the whole round has an end, whatever it sends.
func TestTransferTrickles(t *testing.T) {
	for _, pause := range []time.Duration{time.Hour, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			drip := func(w io.Writer, query *dns.Msg) {
				for {
					time.Sleep(pause)
					m := new(dns.Msg).SetReply(query)
					m.Answer = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: "x.", Rrtype: dns.TypeSOA, Class: dns.ClassINET}, Ns: ".", Mbox: "."}}
					if time.Since(begun) < 2*pause {
						m.Answer[0].Header().Name = "."
					} else {
						m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: "x.", Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(192, 0, 2, 1)}}
					}
					if write(w, m) != nil {
						return
					}
				}
			}
			r := New(Config{Sources: []Source{{Name: "drip", Server: serverAddr}}, Now: time.Now, SignatureTime: time.Now, Dial: dialTo(drip)})
			err := r.round(t.Context())
			took := time.Since(begun)
			if pause == time.Hour && took != 10*time.Second || pause < time.Hour && took != 2*time.Minute {
				t.Errorf("pause %v: took %v: %v", pause, took, err)
			}
			if want := map[bool]Fault{true: FaultSource, false: FaultSize}[pause == time.Hour]; from("", err).Fault != want {
				t.Errorf("pause %v: got %v, want fault %d", pause, err, want)
			}
			time.Sleep(2 * time.Hour) // the server notices that it is alone
		})
	}
}

// Over TLS the certificate is checked.
func TestTransferOverTLS(t *testing.T) {
	text := rootsigner.Sign(t, smallRoot, rootsigner.Options{Signed: signedAt})
	certificate := testcert.New(t, 1)
	serve := serving(t, text, nil)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			server, err := listener.Accept()
			if err != nil {
				return
			}
			go serveConn(server, serve)
		}
	}()
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, listener.Addr().String())
	}
	good := &tls.Config{ServerName: testcert.Name, RootCAs: x509.NewCertPool()}
	good.RootCAs.AddCert(certificate.Leaf)
	z, err := fetchAXFR(t.Context(), dial, serverAddr, good, dnsname.Root, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trustOf(t, 0).verify(z, signedAt); err != nil {
		t.Error(err)
	}
	unknown := &tls.Config{ServerName: testcert.Name}
	if _, err := fetchAXFR(t.Context(), dial, serverAddr, unknown, dnsname.Root, nil); err == nil {
		t.Error("an unknown certificate is accepted")
	}
}
