package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// accepted finds the numbers of queries that are answered, or will be.
var accepted = regexp.MustCompile(`iterdns_queries_total\{transport="[a-z]+",verdict="answered"\} (\d+)`)

// What was asked before SIGTERM is answered after it, over every transport: questions
// that wait for slow servers among them.
func TestStopUnderLoad(t *testing.T) {
	cert, key := writeCertificate(t)
	p := startProxy(t, newSlowInternet(t).flags("-drain", patience.String(), "-metrics", "127.0.0.1:0", "-tls-listen", "127.0.0.1:0", "-cert", cert, "-key", key)...)
	var asked, clients sync.WaitGroup
	var answers atomic.Int64
	const connections, each = 10, 20 // below the 100 that one connection may have under way
	networks := []string{"udp", "tcp", "tcp-tls"}
	for _, network := range networks {
		for c := range connections {
			asked.Add(1)
			clients.Go(func() {
				defer asked.Done()
				client := &dns.Client{Net: network, TLSConfig: trusting(t, cert), Timeout: patience}
				conn, err := client.Dial(p.at[strings.TrimPrefix(network, "tcp-")])
				if err != nil {
					t.Error(err)
					return
				}
				for i := range each {
					name := fmt.Sprintf("c%dn%d.slow.example.", c, i)
					if err := conn.WriteMsg(new(dns.Msg).SetQuestion(name, dns.TypeA)); err != nil {
						t.Error(err)
						return
					}
				}
				clients.Go(func() {
					defer conn.Close()
					_ = conn.SetReadDeadline(time.Now().Add(patience))
					for i := range each {
						if _, err := conn.ReadMsg(); err != nil {
							t.Errorf("over %s: %d of %d answers, then %v", network, i, each, err)
							return
						}
						answers.Add(1)
					}
				})
			})
		}
	}
	asked.Wait()
	// What was written need not have been read yet.
	all := len(networks) * connections * each
	eventually(t, "queries at the proxy", func() bool {
		taken := 0
		for _, m := range accepted.FindAllStringSubmatch(scrape(t, p), -1) {
			n, _ := strconv.Atoi(m[1]) // digits
			taken += n
		}
		return taken == all
	})
	p.terminate()
	clients.Wait()
	if code := p.wait(); code != exitStopped {
		t.Errorf("exit code %d, want %d", code, exitStopped)
	}
	if got := answers.Load(); got != int64(all) {
		t.Errorf("got %d answers, want %d", got, all)
	}
	if conn, err := net.Dial("tcp", p.at["tcp"]); err == nil {
		conn.Close()
		t.Error("the port is still open")
	}
}

// What takes longer than -drain gets SERVFAIL.
func TestDrain(t *testing.T) {
	w := newSlowInternet(t)
	// On a busy machine the answer may be there before the proxy gets the signal.
	eventually(t, "SERVFAIL", func() bool {
		p := startProxy(t, w.flags("-drain", "1ms", "-metrics", "127.0.0.1:0")...)
		conn, err := dns.Dial("udp", p.at["udp"])
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.WriteMsg(new(dns.Msg).SetQuestion("www.slow.example.", dns.TypeA)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "query at the proxy", func() bool {
			return strings.Contains(scrape(t, p), `{transport="udp",verdict="answered"} 1`)
		})
		p.terminate()
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		got, err := conn.ReadMsg()
		if err != nil {
			t.Fatal(err)
		}
		if code := p.wait(); code != exitStopped {
			t.Errorf("exit code %d, want %d", code, exitStopped)
		}
		return got.Rcode == dns.RcodeServerFailure
	})
}

func TestSnapshot(t *testing.T) {
	w := newInternet(t)
	file := filepath.Join(t.TempDir(), "cache")
	flags := w.flags("-snapshot", file, "-metrics", "127.0.0.1:0")
	question := func(p *process) {
		t.Helper()
		if got := ask(t, "udp", p.at["udp"], "www.shop.example.", dns.TypeA, withDO); len(got.Answer) != 2 || !got.AuthenticatedData {
			t.Errorf("got\n%v\nwant a secure answer", got)
		}
	}

	p := startProxy(t, flags...)
	question(p)
	p.terminate()
	p.wait()
	expect(t, "first run", p.text(), `no snapshot yet`, `snapshot written`)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want a file for its owner only", info.Mode(), err)
	}

	p = startProxy(t, flags...)
	question(p)
	if hasSent(t, p) {
		t.Errorf("with a snapshot queries were sent, want none:\n%v", w.Log())
	}
	p.terminate()
	p.wait()
	expect(t, "second run", p.text(), `snapshot read`, `snapshot written`)

	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	write(t, file, string(text))
	p = startProxy(t, flags...)
	question(p)
	if !hasSent(t, p) {
		t.Error("with a damaged snapshot no query was sent")
	}
	p.terminate()
	p.wait()
	expect(t, "third run", p.text(), `"WARN","msg":"snapshot not used, the cache is empty"`, `snapshot written`)
	if entries, err := os.ReadDir(filepath.Dir(file)); err != nil || len(entries) != 1 {
		t.Errorf("got %v, %v, want the snapshot alone", entries, err)
	}
}

// hasSent reports whether a proxy says that it has sent a query. Servers may see those of another
// proxy after its end.
func hasSent(t *testing.T, p *process) bool {
	t.Helper()
	return regexp.MustCompile(`iterdns_upstream_queries_total\{network="[a-z]+"\} [1-9]`).MatchString(scrape(t, p))
}

// The proxy notifies systemd when it is ready, and when it stops.
func TestNotify(t *testing.T) {
	dir, err := os.MkdirTemp("", "notify") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "socket")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Skipf("no socket: %v", err)
	}
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	p := startProxy(t, newInternet(t).flags()...)
	p.terminate()
	_ = socket.SetReadDeadline(time.Now().Add(patience))
	for _, want := range []string{"READY=1", "STOPPING=1"} {
		buffer := make([]byte, 100)
		n, err := socket.Read(buffer)
		if err != nil || string(buffer[:n]) != want {
			t.Errorf("got %q, %v, want %q", buffer[:n], err, want)
		}
	}
}

// SIGHUP does not end a proxy that was started with it ignored, as nohup(1) does.
func TestStopNoHangUp(t *testing.T) {
	outlasting := command("-log", "json", "-listen", "127.0.0.1:0")
	outlasting.Args = append([]string{"sh", "-c", `trap "" HUP; exec "$0" "$@"`}, outlasting.Args...)
	outlasting.Path = "/bin/sh"
	p := startCommand(t, outlasting)
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	// Had it been told to stop, what comes 100 ms later would not be read.
	for range 3 {
		ask(t, "tcp", p.at["tcp"], "version.bind.", dns.TypeTXT, func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS })
		time.Sleep(2 * stopGrace)
	}
	p.terminate()
	if code := p.wait(); code != exitStopped {
		t.Errorf("exit code %d, want %d", code, exitStopped)
	}
}
