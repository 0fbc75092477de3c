package realresolver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/test/realserver"
)

// askWithin bounds one question that tries whether a resolver is ready.
const askWithin = time.Second

// Run starts product in dir, where its files and its log are written. A setting with
// neither hints nor upstreams is an error, and so are upstreams that the product cannot be
// told of.
func Run(dir string, product Product, s Setting) (*realserver.Process, error) {
	switch {
	case s.Hints == "" && len(s.Upstreams) == 0:
		return nil, errors.New("neither hints nor upstreams: the public root would be asked")
	case len(s.Upstreams) > 0 && product != Unbound && product != KnotResolver:
		return nil, fmt.Errorf("upstreams of %v: %w", product, errors.ErrUnsupported)
	}
	for name, text := range product.files(dir, &s) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	program, arguments := product.command()
	return realserver.Run(dir, program, arguments...)
}

// Start runs product until the test ends, and returns when it finds the SOA record of zone.
// The test fails if that does not happen in a minute; it is skipped, or fails in CI, where
// the product is not installed. The log is printed if the test failed.
func Start(t testing.TB, product Product, s Setting, zone string) *realserver.Process {
	t.Helper()
	program, _ := product.command()
	realserver.Program(t, program)
	process, err := Run(realserver.TempDir(t), product, s)
	if err != nil {
		t.Fatalf("start %v: %v", product, err)
	}
	process.EndWith(t)
	client := dns.Client{Timeout: askWithin}
	err = process.Await(func(ctx context.Context) error {
		reply, _, err := client.ExchangeContext(ctx, new(dns.Msg).SetQuestion(zone, dns.TypeSOA), s.Listen.String())
		if err == nil && (reply.Rcode != dns.RcodeSuccess || len(reply.Answer) == 0) {
			err = fmt.Errorf("got %s and %d answer records", dns.RcodeToString[reply.Rcode], len(reply.Answer))
		}
		return err
	})
	if err != nil {
		t.Fatalf("%v is not ready: zone %s: %v", product, zone, err)
	}
	return process
}
