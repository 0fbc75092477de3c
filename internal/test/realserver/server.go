package realserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const (
	// askWithin bounds one question that tries whether a server is ready. A
	// datagram to a server that does not listen yet is simply lost.
	askWithin = 500 * time.Millisecond

	// startAttempts is how many ports are tried. A port is free when it is
	// chosen, but another process may take it before the server does.
	startAttempts = 3
)

// Server is a running authoritative server. It belongs to the test that started
// it, at whose end it is stopped. Tests stop it themselves to see what happens without it.
type Server struct {
	*Process
	product Product
	addr    netip.AddrPort
	tls     netip.AddrPort
}

// Zone is a zone to serve: the origin in presentation format, with or without
// the trailing dot, and a complete zone file. Names in the text that are not
// absolute end with the origin.
type Zone struct {
	Origin string
	Text   string
}

// Start runs product with zones and returns when it answers for each of them,
// over UDP and over TCP. The test fails if that does not happen in a minute; it
// is skipped, or fails in CI, where the product is not installed (see [Need]).
// The server is stopped when the test ends, and its log is printed if the test
// failed.
func Start(t testing.TB, product Product, zones ...Zone) *Server {
	t.Helper()
	return startAgain(t, product, TLS{}, zones)
}

// TLS are the PEM files of the certificate and the key of a server over TLS; without them there is none.
type TLS struct {
	CertFile, KeyFile string

	addr netip.AddrPort
}

// StartTLS is Start for a server that answers over TLS as well, at TLSAddr. Knot DNS does from 3.4 on
// only.
func StartTLS(t testing.TB, product Product, files TLS, zones ...Zone) *Server {
	t.Helper()
	return startAgain(t, product, files, zones)
}

// startAgain starts a server, at other ports if need be.
func startAgain(t testing.TB, product Product, files TLS, zones []Zone) *Server {
	t.Helper()
	Need(t, product)
	for attempt := 1; ; attempt++ {
		if files.CertFile != "" {
			files.addr = FreeAddr(t)
		}
		s := start(t, product, files, []netip.AddrPort{FreeAddr(t)}, zones)
		err := s.awaitReady(zones)
		if err == nil {
			return s
		}
		if attempt == startAttempts || !errors.Is(err, errEnded) {
			t.Fatalf("%v is not ready: %v", product, err)
		}
		t.Logf("%v on %v: %v; trying another port", product, s.addr, err)
		s.Stop()
	}
}

// StartAt is [Start] with the addresses at which the server answers, all of which must be free.
// NSD and Knot DNS can have any that the kernel takes for its own; BIND has those of interfaces.
func StartAt(t testing.TB, product Product, addrs []netip.AddrPort, zones ...Zone) *Server {
	t.Helper()
	Need(t, product)
	s := start(t, product, TLS{}, addrs, zones)
	if err := s.awaitReady(zones); err != nil {
		t.Fatalf("%v is not ready: %v", product, err)
	}
	return s
}

// Addr is the address, or the first one, at which the server answers, over UDP and TCP.
func (s *Server) Addr() netip.AddrPort { return s.addr }

// TLSAddr is the address at which the server answers over TLS.
func (s *Server) TLSAddr() netip.AddrPort { return s.tls }

// Product tells which software the server is.
func (s *Server) Product() Product { return s.product }

// start writes the server's files and runs it until the test ends.
func start(t testing.TB, product Product, files TLS, addrs []netip.AddrPort, zones []Zone) *Server {
	t.Helper()
	dir := TempDir(t)
	config := filepath.Join(dir, configFile)
	hosted, err := writeZones(dir, zones)
	if err == nil {
		err = os.WriteFile(config, []byte(product.config(dir, addrs, files, hosted)), 0o600)
	}
	if err != nil {
		t.Fatalf("files of %v: %v", product, err)
	}
	process, err := Run(dir, product.daemon(), product.arguments(config)...)
	if err != nil {
		t.Fatalf("start %v: %v", product, err)
	}
	process.EndWith(t)
	return &Server{Process: process, product: product, addr: addrs[0], tls: files.addr}
}

// awaitReady returns when the server answers for all zones over UDP and TCP.
func (s *Server) awaitReady(zones []Zone) error {
	return s.Await(func(ctx context.Context) error {
		for _, z := range zones {
			for _, network := range []string{"udp", "tcp"} {
				if err := s.askSOA(ctx, network, dns.Fqdn(z.Origin)); err != nil {
					return fmt.Errorf("zone %s over %s: %w", z.Origin, network, err)
				}
			}
		}
		return nil
	})
}

// askSOA asks once for the zone's SOA record.
func (s *Server) askSOA(ctx context.Context, network, origin string) error {
	query := new(dns.Msg).SetQuestion(origin, dns.TypeSOA)
	query.RecursionDesired = false
	client := dns.Client{Net: network, Timeout: askWithin}
	reply, _, err := client.ExchangeContext(ctx, query, s.addr.String())
	if err != nil {
		return err
	}
	if reply.Rcode != dns.RcodeSuccess || !reply.Authoritative || len(reply.Answer) == 0 {
		return fmt.Errorf("got rcode %s, aa %t, %d answer records, want NOERROR, aa and the SOA record",
			dns.RcodeToString[reply.Rcode], reply.Authoritative, len(reply.Answer))
	}
	return nil
}

// TempDir makes a directory for the files of a daemon, which is removed when the test ends.
// Unlike t.TempDir its name does not contain the test's: the path of Knot's control socket
// must stay below 108 bytes.
func TempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "realserver-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the files of a daemon: %v", err)
		}
	})
	return dir
}

// FreeAddr returns an address whose port is free now for UDP and TCP. Another process may
// take it before a daemon does.
//
// It is 127.0.0.1 because BIND listens only on addresses that an interface has,
// and the rest of 127.0.0.0/8 counts for it only if somebody configured it.
func FreeAddr(t testing.TB) netip.AddrPort {
	t.Helper()
	listener, packets, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	defer packets.Close()
	return listener.Addr().(*net.TCPAddr).AddrPort()
}

// writeZones writes one file for each zone. The files are numbered: an origin may
// hold characters that a file name must not.
func writeZones(dir string, zones []Zone) ([]hostedZone, error) {
	hosted := make([]hostedZone, len(zones))
	for i, z := range zones {
		origin := strings.TrimSuffix(z.Origin, ".")
		if origin == "" {
			origin = "."
		}
		hosted[i] = hostedZone{origin: origin, file: fmt.Sprintf("%d.zone", i)}
		if err := os.WriteFile(filepath.Join(dir, hosted[i].file), []byte(z.Text), 0o600); err != nil {
			return nil, err
		}
	}
	return hosted, nil
}
