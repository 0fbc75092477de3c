//go:build unix

package main

import (
	"bytes"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/test/testcert"
)

// childVariable makes the test binary be the server.
const childVariable = "ITERDNS_COREDNS_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// patience bounds what must happen at some time on a busy machine. It is no measure.
const patience = 2 * time.Minute

// eventually waits until done.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for begin := time.Now(); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begin) > patience {
			t.Fatalf("after %v still not: %s", patience, what)
		}
	}
}

// server is a process of its own that serves a Corefile at an address of the test's own
// on the loopback interface, so that all ports are free.
type server struct {
	host     string
	corefile string // path
	process  *exec.Cmd
	output   *output
	ended    chan struct{} // closed when the process has ended
	err      error         // how; read it after ended
}

// port is where servers listen over UDP and TCP.
const port = "5353"

// run starts a server. HOST in the Corefile is its address.
func run(t *testing.T, corefile string) *server {
	t.Helper()
	s := &server{
		host:   fmt.Sprintf("127.%d.%d.%d", 1+mathrand.IntN(250), mathrand.IntN(250), 1+mathrand.IntN(250)),
		output: new(output),
		ended:  make(chan struct{}),
	}
	s.corefile = filepath.Join(t.TempDir(), "Corefile")
	s.write(t, corefile)
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.process = exec.Command(executable, "-conf", s.corefile)
	s.process.Env = append(os.Environ(), childVariable+"=1")
	s.process.Stdout, s.process.Stderr = s.output, s.output
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		s.err = s.process.Wait()
		close(s.ended)
	}()
	t.Cleanup(func() {
		_ = s.process.Process.Kill() // it may have ended
		<-s.ended
		if t.Failed() {
			t.Logf("the server said:\n%s", s.output)
		}
	})
	return s
}

// start is run, until the server listens.
func start(t *testing.T, corefile string) *server {
	t.Helper()
	s := run(t, corefile)
	eventually(t, "the server has started", func() bool {
		select {
		case <-s.ended:
			t.Fatalf("the server ended: %v", s.err)
		default:
		}
		return s.output.count("CoreDNS-") > 0
	})
	return s
}

// write changes the Corefile.
func (s *server) write(t *testing.T, corefile string) {
	t.Helper()
	if err := os.WriteFile(s.corefile, []byte(strings.ReplaceAll(corefile, "HOST", s.host)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *server) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := s.process.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// reload has the server read its Corefile again. It answers questions before it takes signals, and
// one that comes too early is lost: another one is sent then.
func (s *server) reload(t *testing.T) {
	t.Helper()
	const taken, again = "SIGUSR1: Reloading", 5 * time.Second
	before := s.output.count(taken)
	var sent time.Time
	eventually(t, "the server takes the signal", func() bool {
		if s.output.count(taken) > before {
			return true
		}
		if time.Since(sent) > again {
			s.signal(t, syscall.SIGUSR1)
			sent = time.Now()
		}
		return false
	})
}

// ask sends one query, once.
func (s *server) ask(network, qname string, qtype uint16, change ...func(*dns.Msg)) (*dns.Msg, error) {
	query := new(dns.Msg)
	query.SetQuestion(qname, qtype)
	for _, f := range change {
		f(query)
	}
	client := &dns.Client{Net: network, Timeout: patience}
	reply, _, err := client.Exchange(query, net.JoinHostPort(s.host, port))
	return reply, err
}

// mustAsk is ask over UDP for what must be answered.
func (s *server) mustAsk(t *testing.T, qname string, qtype uint16, change ...func(*dns.Msg)) *dns.Msg {
	t.Helper()
	reply, err := s.ask("udp", qname, qtype, change...)
	if err != nil {
		t.Fatalf("%s %s: %v", qname, dns.TypeToString[qtype], err)
	}
	return reply
}

// output is what a process writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String returns all that was written.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (o *output) count(text string) int { return strings.Count(o.String(), text) }

// runTool runs a program and returns what it writes.
func runTool(t *testing.T, path string, args ...string) string {
	t.Helper()
	text, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", path, strings.Join(args, " "), err, text)
	}
	return string(text)
}

// addresses returns those of an answer in their order.
func addresses(m *dns.Msg) (list []string) {
	for _, rr := range m.Answer {
		if a, ok := rr.(*dns.A); ok {
			list = append(list, a.A.String())
		}
	}
	return list
}

func sorted(list []string) string {
	list = slices.Clone(list)
	slices.Sort(list)
	return strings.Join(list, " ")
}

// shopAddresses are those of www.shop.example in the mock Internet that is built in.
const shopAddresses = "192.0.2.80 192.0.2.81 192.0.2.82"

// writeCertificate makes a certificate for the server, and returns its files.
func writeCertificate(t *testing.T) (cert, key string) {
	t.Helper()
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	testcert.Write(t, cert, key, 1)
	return cert, key
}
