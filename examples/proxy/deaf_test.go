package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// newLargeInternet has large.example. TXT, an answer of some 60 KB.
func newLargeInternet(t *testing.T) *world {
	var text strings.Builder
	text.WriteString(internet + "-- zone large.example. at 127.77.0.7 --\n")
	for i := range 250 {
		fmt.Fprintf(&text, "@ TXT \"%03d %s\"\n", i, strings.Repeat("x", 230))
	}
	return newWorld(t, text.String(), "example.", "shop.example.", "bogus.example.", "broken.example.", "large.example.")
}

// deaf sends n queries with large answers, of which it reads none.
func deaf(t *testing.T, dial func() (net.Conn, error), n int) {
	t.Helper()
	conn, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if stream, ok := conn.(*net.TCPConn); ok {
		_ = stream.SetReadBuffer(4096) // as far as the system lets it
	}
	go func() {
		c := &dns.Conn{Conn: conn}
		for range n {
			if c.WriteMsg(new(dns.Msg).SetQuestion("large.example.", dns.TypeTXT)) != nil {
				return // nobody reads them any more
			}
		}
	}()
}

// Clients that do not take their answers keep the proxy from ending no longer than it says,
// and the snapshot is saved, whatever it is that tells it to stop.
func TestAttackDeafClients(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until clients are given up; TestDrain and TestStopUnderLoad end a proxy too")
	}
	cert, key := writeCertificate(t)
	w := newLargeInternet(t)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} {
		if signal.Ignored(sig) {
			continue // by the proxy too, as under nohup(1)
		}
		file := filepath.Join(t.TempDir(), "cache")
		p := startProxy(t, w.flags("-drain", "1s", "-snapshot", file, "-metrics", "127.0.0.1:0",
			"-tls-listen", "127.0.0.1:0", "-cert", cert, "-key", key)...)
		ask(t, "tcp", p.at["tcp"], "large.example.", dns.TypeTXT)
		const queries = 3 * streamPipeline
		deaf(t, func() (net.Conn, error) { return net.Dial("tcp", p.at["tcp"]) }, queries)
		deaf(t, func() (net.Conn, error) {
			client := &dns.Client{Net: "tcp-tls", TLSConfig: trusting(t, cert), Timeout: patience}
			conn, err := client.Dial(p.at["tls"])
			if err != nil {
				return nil, err
			}
			return conn.Conn, nil
		}, queries)
		// A proxy that gets on with one of them does so between scrapes, which it has to answer too.
		const scrapes = 10
		before, same := [2]int{}, 0
		eventually(t, "clients that take no more", func() bool {
			text := scrape(t, p)
			after := [2]int{answers(text, "tcp"), answers(text, "tls")}
			same++
			if after != before || min(after[0], after[1]) <= 1 || max(after[0], after[1]) >= queries {
				before, same = after, 0
			}
			time.Sleep(100 * time.Millisecond)
			return same == scrapes
		})
		if err := p.cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if code := p.wait(); code != exitStopped {
			t.Errorf("%v: exit code %d, want %d", sig, code, exitStopped)
		}
		expect(t, sig.String(), p.text(), "clients do not take their answers", "snapshot written")
		if _, err := os.Stat(file); err != nil {
			t.Errorf("%v: %v", sig, err)
		}
	}
}

// answers finds how many answers were sent over a transport, or wait to be.
func answers(text, transport string) (n int) {
	_, rest, _ := strings.Cut(text, fmt.Sprintf("iterdns_answers_total{transport=%q,rcode=\"NOERROR\"} ", transport))
	_, _ = fmt.Sscan(rest, &n) // none: 0
	return n
}
