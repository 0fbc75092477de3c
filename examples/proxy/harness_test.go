package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
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

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// childVariable makes the test binary be the proxy.
const childVariable = "ITERDNS_PROXY_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// patience bounds what must happen at some time on a busy machine. It is no measure.
const patience = 60 * time.Second

// world is a mock Internet on real sockets: every address that its text names is an
// address of this host, all with one port, so that a process of its own can be pointed
// at them with -hints, -port and -allow-server.
type world struct {
	*resolvertest.Internet
	port    int
	hints   string // file
	anchors string // file
}

// newWorld puts zones at addresses from 127.0.0.0/8 on sockets.
func newWorld(t *testing.T, text string, zones ...string) *world {
	t.Helper()
	w := &world{Internet: resolvertest.New(t, text)}
	seen := make(map[netip.Addr]bool)
	var addrs []netip.Addr
	for _, zone := range append([]string{"."}, zones...) {
		for _, server := range w.Servers(zone) {
			if !seen[server] {
				seen[server] = true
				addrs = append(addrs, server)
			}
		}
	}
	w.listen(t, addrs)
	dir := t.TempDir()
	w.hints, w.anchors = filepath.Join(dir, "root.hints"), filepath.Join(dir, "root.ds")
	var hints, anchors strings.Builder
	for _, server := range w.Hints().Servers {
		fmt.Fprintf(&hints, ". 3600000 NS %s\n", server.Name)
		for _, addr := range server.Addrs {
			fmt.Fprintf(&hints, "%s 3600000 A %s\n", server.Name, addr)
		}
	}
	for _, anchor := range w.Anchors() {
		fmt.Fprintln(&anchors, anchor)
	}
	write(t, w.hints, hints.String())
	write(t, w.anchors, anchors.String())
	return w
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// listen opens sockets at all addresses, with a port that is free at each.
func (w *world) listen(t *testing.T, addrs []netip.Addr) {
	t.Helper()
	for attempt := 1; ; attempt++ {
		err := w.tryListen(t, addrs)
		if err == nil {
			return
		}
		if attempt == portAttempts {
			t.Skipf("no sockets on the loopback interface: %v", err)
		}
	}
}

func (w *world) tryListen(t *testing.T, addrs []netip.Addr) error {
	var opened []io.Closer
	undo := func(err error) error {
		for _, o := range opened {
			_ = o.Close() // nothing has used it
		}
		return err
	}
	w.port = 0
	var serve []func()
	for _, addr := range addrs {
		stream, err := net.Listen("tcp", fmt.Sprintf("%v:%d", addr, w.port))
		if err != nil {
			return undo(err)
		}
		opened = append(opened, stream)
		w.port = stream.Addr().(*net.TCPAddr).Port
		packets, err := net.ListenPacket("udp", stream.Addr().String())
		if err != nil {
			return undo(err)
		}
		opened = append(opened, packets)
		server := fmt.Sprintf("%v:53", addr)
		serve = append(serve,
			func() { w.relayStreams(t.Context(), stream, server) },
			func() { w.relayPackets(t.Context(), packets, server) })
	}
	var running sync.WaitGroup
	for _, f := range serve {
		running.Go(f)
	}
	t.Cleanup(func() {
		_ = undo(nil)
		running.Wait()
	})
	return nil
}

// relayPackets hands datagrams to a server of the Internet, each over a conversation of
// its own.
func (w *world) relayPackets(ctx context.Context, packets net.PacketConn, server string) {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		buffer := make([]byte, dns.MaxMsgSize)
		n, from, err := packets.ReadFrom(buffer)
		if err != nil {
			return
		}
		running.Go(func() {
			conn, err := w.Dial(ctx, "udp", server)
			if err != nil {
				return
			}
			defer conn.Close()
			if _, err := conn.Write(buffer[:n]); err != nil {
				return
			}
			_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
			reply := make([]byte, dns.MaxMsgSize)
			if n, err := conn.Read(reply); err == nil {
				_, _ = packets.WriteTo(reply[:n], from)
			}
		})
	}
}

func (w *world) relayStreams(ctx context.Context, streams net.Listener, server string) {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		outside, err := streams.Accept()
		if err != nil {
			return
		}
		inside, err := w.Dial(ctx, "tcp", server)
		if err != nil {
			_ = outside.Close()
			continue
		}
		running.Go(func() {
			_, _ = io.Copy(inside, outside)
			_ = inside.Close()
		})
		running.Go(func() {
			_, _ = io.Copy(outside, inside)
			_ = outside.Close()
		})
	}
}

// flags point the proxy at the world.
func (w *world) flags(more ...string) []string {
	return append([]string{
		"-hints", w.hints, "-anchors", w.anchors, "-port", fmt.Sprint(w.port), "-allow-server", "127.0.0.0/8",
	}, more...)
}

// process is a proxy that runs as a program of its own.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	at    map[string]string // address by transport
	ended chan error        // what Wait says, once

	mu  sync.Mutex
	log strings.Builder // guarded by mu
}

// command returns the proxy as a program to run.
func command(arguments ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], arguments...)
	cmd.Env = append(os.Environ(), childVariable+"=1")
	return cmd
}

// startProxy runs the proxy until the end of the test. Unless they have a -listen flag
// it answers at a free port of 127.0.0.1.
func startProxy(t *testing.T, arguments ...string) *process {
	t.Helper()
	if !slices.Contains(arguments, "-listen") {
		arguments = append(arguments, "-listen", "127.0.0.1:0")
	}
	return startCommand(t, command(append([]string{"-log", "json"}, arguments...)...))
}

// startCommand is startProxy for a command that has been made.
func startCommand(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, at: make(map[string]string), ended: make(chan error, 1)}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	go p.watch(stderr, ready)
	t.Cleanup(func() { p.finish() })
	select {
	case <-ready:
	case err := <-p.ended:
		p.ended <- err
		t.Fatalf("the proxy ended before it was ready: %v\n%s", err, p.text())
	case <-time.After(patience):
		t.Fatalf("the proxy is not ready:\n%s", p.text())
	}
	return p
}

// watch reads the log, and waits for the end of the process.
func (p *process) watch(stderr io.Reader, ready chan<- struct{}) {
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		p.mu.Lock()
		p.log.WriteString(lines.Text() + "\n")
		p.mu.Unlock()
		var line struct{ Msg, At string }
		if json.Unmarshal(lines.Bytes(), &line) != nil {
			continue
		}
		switch line.Msg {
		case "listening":
			transport, address, _ := strings.Cut(line.At, " ")
			p.at[transport] = address
		case "ready":
			close(ready)
		}
	}
	p.ended <- p.cmd.Wait()
}

// text returns the log so far.
func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// terminate asks the process to end.
func (p *process) terminate() {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Errorf("SIGTERM: %v", err)
	}
}

// wait waits for the end of the process, and returns its exit code.
func (p *process) wait() int {
	select {
	case err := <-p.ended:
		p.ended <- err
	case <-time.After(patience):
		p.t.Errorf("the proxy does not end")
		_ = p.cmd.Process.Kill()
		p.ended <- <-p.ended
	}
	return p.cmd.ProcessState.ExitCode()
}

// finish ends the process, if that has not been done, and expects that it goes well.
func (p *process) finish() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended meanwhile
	}
	if code := p.wait(); code != 0 {
		p.t.Errorf("exit code %d, want 0", code)
	}
	if p.t.Failed() {
		p.t.Logf("log of the proxy:\n%s", p.text())
	}
}

// ask sends a query over network ("udp", "tcp" or "tcp-tls").
func ask(t *testing.T, network, address, name string, qtype uint16, change ...func(*dns.Msg)) *dns.Msg {
	t.Helper()
	query := new(dns.Msg).SetQuestion(name, qtype)
	for _, c := range change {
		c(query)
	}
	client := &dns.Client{Net: network, Timeout: patience}
	reply, _, err := client.ExchangeContext(t.Context(), query, address)
	if err != nil {
		t.Fatalf("%s %s over %s: %v", name, dns.Type(qtype), network, err)
	}
	return reply
}

// withEDNS is a change of a query, for ask.
func withEDNS(m *dns.Msg) { m.SetEdns0(4096, false) }

// withDO is the same with DO set.
func withDO(m *dns.Msg) { m.SetEdns0(4096, true) }

// output runs a program and returns what it prints.
func output(t *testing.T, program string, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(program), strings.Join(arguments, " "), err, out)
	}
	return string(out)
}
