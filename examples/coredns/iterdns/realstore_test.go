//go:build unix

package iterdns

import (
	"context"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/test/realserver"
	"github.com/iterdns/iterdns/internal/test/testcert"
)

// startStore starts a redis-server with the password "secret", and returns where. With TLS it
// speaks nothing else.
func startStore(t *testing.T, withTLS bool) string {
	t.Helper()
	realserver.Program(t, "redis-server")
	host := fmt.Sprintf("127.%d.%d.%d", 1+mathrand.IntN(250), mathrand.IntN(250), 1+mathrand.IntN(250))
	arguments := []string{"--bind", host, "--port", "6379"}
	if withTLS {
		cert, key := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
		testcert.Write(t, cert, key, 1)
		arguments = []string{"--bind", host, "--port", "0", "--tls-port", "6379", "--tls-cert-file", cert, "--tls-key-file", key, "--tls-auth-clients", "no"}
	}
	store, err := realserver.Run(realserver.TempDir(t), "redis-server", append(arguments, "--requirepass", "secret", "--save", "", "--appendonly", "no")...)
	if err != nil {
		t.Fatal(err)
	}
	store.EndWith(t)
	addr := net.JoinHostPort(host, "6379")
	if err := store.Await(func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err
	}); err != nil {
		t.Fatalf("redis-server does not listen: %v", err)
	}
	return addr
}

// What is wrong with a real store is a line of the log for reads and one for writes, and says
// what it is, however many questions meet it.
func TestRealStoreTrouble(t *testing.T) {
	plain, withTLS := startStore(t, false), startStore(t, true)
	for _, test := range []struct{ about, url, want string }{
		{"wrong password", "redis://:wrong@" + plain + "/0", "WRONGPASS"},
		{"no password", "redis://" + plain + "/0", "NOAUTH"},
		{"TLS against a plain store", "rediss://:secret@" + plain + "/0", "TLS handshake: "},
		{"no TLS against a store with it", "redis://:secret@" + withTLS + "/0", "EOF"},
		{"a stranger's certificate", "rediss://:secret@" + withTLS + "/0", "x509: "},
		{"no such database", "redis://:secret@" + plain + "/99", "out of range"},
	} {
		t.Run(test.about, func(t *testing.T) {
			// A machine that is busy with other things may make the store late, and then that
			// is what is told.
			until(t, "the log says "+test.want, func() bool {
				said := troubles(t, test.url)
				for _, use := range []string{"read", "written"} {
					if strings.Count(said, "is not "+use+" for now: ") != 1 || strings.Contains(said, "secret@") {
						t.Errorf("%s: got the log\n%swant one line, and no password", use, said)
					}
				}
				return strings.Count(said, test.want) == 2
			})
		})
	}
}

// troubles asks until a store is neither read nor written, and then some more, and returns what
// the log says.
func troubles(t *testing.T, url string) string {
	t.Helper()
	return logged(func() {
		h := start(t, "iterdns {\nmock\nredis "+url+"\n}")
		asked := 0
		some := func() {
			for range 5 { // NXDOMAIN will do; what denies one name of a signed zone denies others
				asked++
				_, _, _ = ask(h, fmt.Sprintf("n%d.cdn.example.", asked), dns.TypeA)
			}
		}
		until(t, "it is told", func() bool {
			some()
			return h.store.unread.Load() && h.store.unwritten.Load()
		})
		some()
		if err := h.Stop(); err != nil {
			t.Error(err)
		}
	})
}
