package realserver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const (
	// readyWithin bounds the wait for a server that starts, and is no measure of
	// how long one takes: the root zone is loaded in about a second, but a busy
	// machine with two cores may need many.
	readyWithin = 60 * time.Second

	// askWithin bounds one question that tries whether a server is ready. A
	// datagram to a server that does not listen yet is simply lost.
	askWithin = 500 * time.Millisecond

	// pollInterval is the pause between such questions.
	pollInterval = 20 * time.Millisecond

	// stopWithin is how long a server may take to end after SIGTERM.
	stopWithin = 10 * time.Second

	// startAttempts is how many ports are tried. A port is free when it is
	// chosen, but another process may take it before the server does.
	startAttempts = 3

	// logTail is how many octets of a server's log a failed test prints.
	logTail = 4 << 10
)

// Server is a running authoritative server. It belongs to the test that started
// it, which also stops it.
type Server struct {
	product Product
	addr    netip.AddrPort
	dir     string
	process *os.Process
	ended   chan struct{} // closed when the process has ended and was waited for
	stop    sync.Once
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
	Need(t, product)
	for attempt := 1; ; attempt++ {
		s, err := start(product, zones)
		if err != nil {
			t.Fatalf("start %v: %v", product, err)
		}
		t.Cleanup(func() { s.finish(t) })
		if err = s.awaitReady(zones); err == nil {
			return s
		}
		if attempt == startAttempts || !errors.Is(err, errEnded) {
			t.Fatalf("%v is not ready: %v", product, err)
		}
		t.Logf("%v on %v: %v; trying another port", product, s.addr, err)
		s.Stop()
	}
}

// Addr is the address at which the server answers, over UDP and TCP.
func (s *Server) Addr() netip.AddrPort { return s.addr }

// Product tells which software the server is.
func (s *Server) Product() Product { return s.product }

// Stop ends the server and waits for it. Later calls do nothing. Tests call it to
// see what happens without the server; else the end of the test does.
func (s *Server) Stop() {
	s.stop.Do(func() {
		goOn(s.process.Pid) // one that is paused does not end
		// An error means that the process has ended, or that the system has no
		// SIGTERM; Kill below is for the second.
		if err := s.process.Signal(syscall.SIGTERM); err == nil {
			select {
			case <-s.ended:
				return
			case <-time.After(stopWithin):
			}
		}
		_ = s.process.Kill() // fails only if it has ended meanwhile
		<-s.ended
	})
}

// Kill ends the server at once, as a crash does, with all its processes, and waits for it.
// Stop does nothing after that.
func (s *Server) Kill() {
	s.stop.Do(func() {
		signalGroup(s.process.Pid, syscall.SIGKILL)
		_ = s.process.Kill() // where there are no groups of processes
		<-s.ended
	})
}

// Pause stops the server where it is, with all its processes, until Resume or Stop: it keeps
// its sockets, which take what arrives, and says nothing. The test is skipped where the
// system cannot do that.
func (s *Server) Pause(t testing.TB) {
	t.Helper()
	switch err := halt(s.process.Pid); {
	case errors.Is(err, errors.ErrUnsupported):
		t.Skipf("pause %v: %v", s.product, err)
	case err != nil:
		t.Fatalf("pause %v: %v", s.product, err)
	}
}

// Resume lets a server go on that Pause has stopped. It then answers what has come meanwhile.
func (s *Server) Resume(t testing.TB) {
	t.Helper()
	if err := goOn(s.process.Pid); err != nil {
		t.Errorf("resume %v: %v", s.product, err)
	}
}

// start writes the server's files and runs it.
func start(product Product, zones []Zone) (_ *Server, err error) {
	// Not t.TempDir: its name contains the test's, and the path of Knot's control
	// socket must stay below 108 octets.
	dir, err := os.MkdirTemp("", "realserver-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir) // the first error is the one to report
		}
	}()
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	hosted, err := writeZones(dir, zones)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, configFile)
	if err = os.WriteFile(config, []byte(product.config(dir, addr, hosted)), 0o600); err != nil {
		return nil, err
	}
	s := &Server{product: product, addr: addr, dir: dir, ended: make(chan struct{})}
	return s, s.run(config)
}

// run starts the process and the goroutine that waits for its end.
func (s *Server) run(config string) error {
	cmd, err := Command(s.dir, s.product.daemon(), s.product.arguments(config)...)
	if err != nil {
		return err
	}
	log, err := os.Create(s.logPath())
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own descriptor
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	s.process = cmd.Process
	go func() {
		defer close(s.ended)
		_ = cmd.Wait() // how it ended is in its log
	}()
	return nil
}

// finish stops the server at the end of the test and removes its files.
func (s *Server) finish(t testing.TB) {
	s.Stop()
	if t.Failed() {
		t.Logf("log of %v at %v:\n%s", s.product, s.addr, s.logTail())
	}
	if err := os.RemoveAll(s.dir); err != nil {
		t.Errorf("remove the files of %v: %v", s.product, err)
	}
}

func (s *Server) logPath() string { return filepath.Join(s.dir, "log") }

// logTail returns the end of what the server has logged.
func (s *Server) logTail() string {
	text, err := os.ReadFile(s.logPath())
	if err != nil {
		return err.Error()
	}
	if len(text) > logTail {
		text = text[len(text)-logTail:]
	}
	return string(text)
}

// errEnded says that the server process ended before it was ready.
var errEnded = errors.New("the process has ended")

// awaitReady returns when the server answers for all zones over UDP and TCP.
func (s *Server) awaitReady(zones []Zone) error {
	ctx, cancel := context.WithTimeout(context.Background(), readyWithin)
	defer cancel()
	for _, z := range zones {
		for _, network := range []string{"udp", "tcp"} {
			if err := s.awaitZone(ctx, network, dns.Fqdn(z.Origin)); err != nil {
				return fmt.Errorf("zone %s over %s: %w", z.Origin, network, err)
			}
		}
	}
	return nil
}

// awaitZone asks for the zone's SOA record until there is an authoritative answer.
func (s *Server) awaitZone(ctx context.Context, network, origin string) error {
	for {
		err := s.askSOA(ctx, network, origin)
		if err == nil {
			return nil
		}
		select {
		case <-s.ended:
			return errEnded
		case <-ctx.Done():
			return err
		case <-time.After(pollInterval):
		}
	}
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

// freeAddr returns an address whose port is free now for UDP and TCP.
//
// It is 127.0.0.1 because BIND listens only on addresses that an interface has,
// and the rest of 127.0.0.0/8 counts for it only if somebody configured it.
func freeAddr() (netip.AddrPort, error) {
	listener, packets, err := listen()
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer listener.Close()
	defer packets.Close()
	return netip.ParseAddrPort(listener.Addr().String())
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
