//go:build unix

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredns/coredns/pb"
	"github.com/miekg/dns"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/iterdns/iterdns/internal/test/realserver"
)

// The Corefile of the first try answers for the mock Internet.
func TestCorefile(t *testing.T) {
	dig := realserver.Program(t, "dig")
	text, err := os.ReadFile("Corefile")
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, strings.Replace(string(text), "bind 127.0.0.1", "bind HOST", 1))
	got := runTool(t, dig, "@"+s.host, "-p", "1053", "www.shop.example", "+dnssec", "+timeout=60")
	for _, want := range []string{"status: NOERROR", "flags: qr rd ra ad", "192.0.2.80", "192.0.2.81", "192.0.2.82", "RRSIG"} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%swant %q in it", got, want)
		}
	}
}

// One server block over all transports that CoreDNS has.
func TestTransports(t *testing.T) {
	dig, kdig := realserver.Program(t, "dig"), realserver.Program(t, "kdig")
	cert, key := writeCertificate(t)
	s := start(t, `.:5353 tls://.:5853 https://.:5443 grpc://.:5444 quic://.:5854 {
	bind HOST
	errors
	tls `+cert+` `+key+`
	iterdns {
		mock
	}
}`)
	secure := []string{"@" + s.host, "+tls-ca=" + cert, "+tls-hostname=dns.example", "+timeout=60", "www.shop.example", "+dnssec"}
	tests := []struct {
		what string
		args []string
	}{
		{"UDP", []string{dig, "@" + s.host, "-p", "5353", "www.shop.example", "+dnssec", "+timeout=60"}},
		{"TCP", []string{dig, "@" + s.host, "-p", "5353", "www.shop.example", "+dnssec", "+tcp", "+timeout=60"}},
		{"TLS", append([]string{kdig, "+tls", "-p", "5853"}, secure...)},
		{"HTTPS", append([]string{kdig, "+https", "-p", "5443"}, secure...)},
		{"HTTPS with GET", append([]string{kdig, "+https", "+https-get", "-p", "5443"}, secure...)},
		// The options for TLS make kdig forget that it was told +quic before.
		{"QUIC", append(append([]string{kdig}, secure...), "+quic", "-p", "5854")},
	}
	for _, test := range tests {
		got := runTool(t, test.args[0], test.args[1:]...)
		// dig and kdig write the flags in different ways.
		for _, want := range []string{"NOERROR", "192.0.2.80", "192.0.2.81", "192.0.2.82", "RRSIG", " ad"} {
			if !strings.Contains(got, want) {
				t.Errorf("over %s: got\n%swant %q in it", test.what, got, want)
			}
		}
	}
	reply := askGRPC(t, net.JoinHostPort(s.host, "5444"), cert)
	if got := sorted(addresses(reply)); got != shopAddresses || !reply.AuthenticatedData {
		t.Errorf("over gRPC: got\n%v\nwant %s and AD", reply, shopAddresses)
	}
}

// askGRPC asks for www.shop.example over gRPC.
func askGRPC(t *testing.T, address, cert string) *dns.Msg {
	t.Helper()
	pem, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots, ServerName: "dns.example"})))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	query := new(dns.Msg)
	query.SetQuestion("www.shop.example.", dns.TypeA)
	query.SetEdns0(1232, true)
	wire, err := query.Pack()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	packet, err := pb.NewDnsServiceClient(conn).Query(ctx, &pb.DnsPacket{Msg: wire})
	if err != nil {
		t.Fatalf("over gRPC: %v", err)
	}
	reply := new(dns.Msg)
	if err := reply.Unpack(packet.Msg); err != nil {
		t.Fatal(err)
	}
	return reply
}

// A large answer over UDP is cut off at what bufsize says, and whole over TCP.
func TestTruncation(t *testing.T) {
	const records = 21
	var text strings.Builder
	text.WriteString("-- zone big.example. --\n")
	for i := range records {
		fmt.Fprintf(&text, "@ TXT \"%s\"\n", strings.Repeat(string(rune('a'+i)), 200))
	}
	world := filepath.Join(t.TempDir(), "world")
	if err := os.WriteFile(world, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, ".:5353 {\nbind HOST\nbufsize 1232\niterdns {\nmock "+world+"\n}\n}")
	large := func(m *dns.Msg) { m.SetEdns0(4096, false) }
	reply := s.mustAsk(t, "big.example.", dns.TypeTXT, large)
	if !reply.Truncated || reply.Len() > 1232 {
		t.Errorf("over UDP: got TC %v and %d bytes, want at most 1232 with TC", reply.Truncated, reply.Len())
	}
	reply, err := s.ask("tcp", "big.example.", dns.TypeTXT, large)
	if err != nil || reply.Truncated || len(reply.Answer) != records {
		t.Errorf("over TCP: got %v and %v, want %d records", reply, err, records)
	}
}
