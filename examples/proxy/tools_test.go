package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/test/realserver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// port returns the port of an address as a word for a command line.
func port(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// expect reports what is missing in a program's output.
func expect(t *testing.T, what, got string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !regexp.MustCompile(w).MatchString(got) {
			t.Errorf("%s: got\n%s\nwant a line with %s", what, got, w)
		}
	}
}

func TestDig(t *testing.T) {
	dig := realserver.Program(t, "dig")
	p := startProxy(t, newInternet(t).flags()...)
	tests := []struct {
		arguments string
		want      []string
	}{
		{"www.shop.example A", []string{`status: NOERROR`, `flags: qr rd ra ad;`, `192\.0\.2\.80`, `udp: 1232`, `\(UDP\)`}},
		{"+tcp www.shop.example A", []string{`status: NOERROR`, `192\.0\.2\.80`, `\(TCP\)`}},
		{"+dnssec www.shop.example A", []string{`flags: qr rd ra ad;`, `RRSIG\s+A`}},
		{"+noedns +noad www.shop.example A", []string{`flags: qr rd ra;`, `ADDITIONAL: 0`}},
		{"+cdflag www.bogus.example A", []string{`status: NOERROR`, `192\.0\.2\.66`}},
		{"www.bogus.example A", []string{`status: SERVFAIL`, `EDE: 6 \(DNSSEC Bogus\)`}},
		{"nosuch.shop.example A", []string{`status: NXDOMAIN`, `SOA`}},
		{"alias.shop.example A", []string{`CNAME\s+www\.shop\.example\.`, `192\.0\.2\.80`}},
		{"+norecurse other.shop.example A", []string{`status: (REFUSED|NXDOMAIN)`}},
		{"-c CH version.bind TXT", []string{`status: REFUSED`}},
		{"+opcode=NOTIFY shop.example SOA", []string{`status: NOTIMP`}},
		{"+edns=1 +noednsneg www.shop.example A", []string{`status: BADVERS`}},
		{"+notcp +ignore www.shop.example ANY", []string{`flags: qr tc rd ra`}},
		{"+notcp www.shop.example ANY", []string{`\(TCP\)`, `192\.0\.2\.80`}},
		{"shop.example AXFR", []string{`Transfer failed`}},
	}
	for _, test := range tests {
		arguments := append([]string{"@127.0.0.1", "-p", port(t, p.at["udp"])}, strings.Fields(test.arguments)...)
		expect(t, "dig "+test.arguments, output(t, dig, arguments...), test.want...)
	}
}

// kdig speaks the encrypted transports with TLS as GnuTLS does it.
func TestKdig(t *testing.T) {
	kdig := realserver.Program(t, "kdig")
	cert, key := writeCertificate(t)
	p := startProxy(t, newInternet(t).flags("-tls-listen", "127.0.0.1:0", "-https-listen", "127.0.0.1:0",
		"-cert", cert, "-key", key)...)
	tests := []struct {
		transport, arguments string
		want                 []string
	}{
		{"tls", "+tls +tls-ca=" + cert + " +tls-hostname=dns.example", []string{`TLS session`, `192\.0\.2\.80`}},
		{"tls", "+tls +padding", []string{`PADDING`, `468 B`, `192\.0\.2\.80`}},
		{"tls", "+tls +keepopen www.shop.example MX www.shop.example TXT", []string{`hello`}},
		{"https", "+https +tls-ca=" + cert + " +tls-hostname=dns.example", []string{`HTTP session \(HTTP/2-POST\)`, `192\.0\.2\.80`}},
		{"https", "+https-get", []string{`HTTP session \(HTTP/2-GET\)`, `192\.0\.2\.80`}},
	}
	for _, test := range tests {
		arguments := append([]string{"@127.0.0.1", "-p", port(t, p.at[test.transport])}, strings.Fields(test.arguments)...)
		arguments = append(arguments, "www.shop.example", "A")
		expect(t, "kdig "+test.arguments, output(t, kdig, arguments...), append(test.want, `NOERROR`)...)
	}
}

func TestDNSPerf(t *testing.T) {
	if testing.Short() {
		t.Skip("asks 8,000 questions; TestPipeline and TestDoHParallel ask a few")
	}
	dnsperf := realserver.Program(t, "dnsperf")
	cert, key := writeCertificate(t)
	p := startProxy(t, newInternet(t).flags("-tls-listen", "127.0.0.1:0", "-https-listen", "127.0.0.1:0",
		"-cert", cert, "-key", key)...)
	file := filepath.Join(t.TempDir(), "questions")
	var questions strings.Builder
	for i := range 500 {
		fmt.Fprintf(&questions, "www.shop.example A\nn%d.shop.example AAAA\n", i)
	}
	write(t, file, questions.String())
	for _, mode := range []string{"udp", "tcp", "dot", "doh"} {
		transport := map[string]string{"udp": "udp", "tcp": "tcp", "dot": "tls", "doh": "https"}[mode]
		arguments := []string{"-m", mode, "-s", "127.0.0.1", "-p", port(t, p.at[transport]), "-d", file, "-n", "2", "-c", "4", "-q", "50", "-t", "30"}
		want := []string{`Queries completed: +2000 \(100\.00%\)`, `NOERROR 1000 \(50\.00%\), NXDOMAIN 1000 \(50\.00%\)`}
		if mode == "doh" {
			// Over HTTP/2 dnsperf 2.10 does not find the query to each answer that it has got,
			// and waits for it. TestDoHParallel compares queries and answers.
			arguments = append(arguments, "-q", "4", "-t", "2", "-O", "doh-uri=https://127.0.0.1:"+port(t, p.at[transport])+dohPath)
			want = []string{`Queries sent: +2000`, `HTTP/2 return codes: +200: [12]\d{3}\n`}
		}
		expect(t, "dnsperf "+mode, output(t, dnsperf, arguments...), want...)
	}
}

// Queries of one connection do not wait for each other (RFC 7766 §6.2.1.1), and all are
// answered though the client has nothing more to say.
func TestPipeline(t *testing.T) {
	w := newSlowInternet(t)
	w.Fault("slow.example.", resolvertest.Drop()) // until the other query has its answer
	p := startProxy(t, w.flags()...)
	conn, err := dns.Dial("tcp", p.at["tcp"])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const slow, local = "www.slow.example.", "localhost." // which no server is asked for: RFC 6761 §6.3
	for _, name := range []string{slow, local} {
		if err := conn.WriteMsg(new(dns.Msg).SetQuestion(name, dns.TypeA)); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{local, slow} {
		got, err := conn.ReadMsg()
		if err != nil {
			t.Fatal(err)
		}
		// On a busy machine the servers may have been silent for too long.
		late := want == slow && got.Rcode == dns.RcodeServerFailure
		if len(got.Answer) != 1 && !late || got.Question[0].Name != want {
			t.Errorf("got\n%v\nwant an answer for %s", got, want)
		}
		w.Fault("slow.example.", resolvertest.Mend())
	}
}

// Answers leave from the address that was asked, though the socket has them all.
func TestWildcardAddress(t *testing.T) {
	p := startProxy(t, newInternet(t).flags("-listen", "0.0.0.0:0")...)
	for _, addr := range []string{"127.0.0.1", "127.0.0.2"} {
		// A connected socket takes nothing from other addresses.
		got := ask(t, "udp", addr+":"+port(t, p.at["udp"]), "www.shop.example.", dns.TypeA)
		if len(got.Answer) != 1 {
			t.Errorf("from %s: got\n%v\nwant an answer", addr, got)
		}
	}
}

// sockets counts the UDP sockets at a port of 127.0.0.1.
func sockets(t *testing.T, address string) int {
	t.Helper()
	table, err := os.ReadFile("/proc/net/udp")
	if err != nil {
		t.Skipf("no /proc: %v", err)
	}
	number, err := strconv.Atoi(port(t, address))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(table), fmt.Sprintf(" 0100007F:%04X ", number))
}

// -threads is seen from the sockets: one for each.
func TestThreads(t *testing.T) {
	for _, n := range []int{1, 3} {
		p := startProxy(t, newInternet(t).flags("-threads", fmt.Sprint(n))...)
		if got := sockets(t, p.at["udp"]); got != n {
			t.Errorf("-threads %d: got %d UDP sockets, want as many", n, got)
		}
		if got := ask(t, "udp", p.at["udp"], "www.shop.example.", dns.TypeA); len(got.Answer) != 1 {
			t.Errorf("-threads %d: got\n%v\nwant an answer", n, got)
		}
	}
}
