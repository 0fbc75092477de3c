package main

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
)

// A failure is logged when it begins and ends, not each time.
func TestFaultsAreLoggedOnce(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	var f faults
	for _, step := range []struct {
		descriptors, certificate uint64
		want                     string // of a new line; "": none
	}{
		{0, 0, ""},
		{7, 0, "level=WARN msg=\"questions fail\""},
		{9, 0, ""},
		{9, 1, "level=INFO msg=\"over: questions fail\""},
		{9, 2, ""},
		{9, 2, "level=INFO msg=\"over: questions to a route fail\""},
		{10, 2, "level=WARN msg=\"questions fail\""},
	} {
		out.Reset()
		f.report(log, map[resolver.FailureReason]uint64{
			resolver.FailureDescriptors: step.descriptors, resolver.FailureCertificate: step.certificate,
		})
		if got := out.String(); !strings.Contains(got, step.want) || step.want == "" && got != "" {
			t.Errorf("%d and %d: got %q, want %q", step.descriptors, step.certificate, got, step.want)
		}
	}
}

// A cache that is saved at an interval outlives a proxy that is killed, and what was left of
// one that was being written is taken away.
func TestSnapshotInterval(t *testing.T) {
	w := newInternet(t)
	file := filepath.Join(t.TempDir(), "cache")
	left := file + ".unfinished-123"
	write(t, left, "half a snapshot")
	flags := w.flags("-snapshot", file, "-snapshot-interval", "50ms")
	p := startProxy(t, flags...)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was left: %v, want that it is gone", err)
	}
	ask(t, "udp", p.at["udp"], "www.shop.example.", dns.TypeA)
	p.mu.Lock()
	seen := p.log.Len()
	p.mu.Unlock()
	eventually(t, "two snapshots", func() bool { return strings.Count(p.text()[seen:], "snapshot written") > 1 })
	_ = p.cmd.Process.Kill()
	p.ended <- <-p.ended
	p.t = new(testing.T) // that it was killed is no fault

	p = startProxy(t, w.flags("-snapshot", file, "-metrics", "127.0.0.1:0")...)
	ask(t, "udp", p.at["udp"], "www.shop.example.", dns.TypeA)
	if hasSent(t, p) {
		t.Errorf("queries were sent, want none:\n%v", w.Log())
	}
}

// With few descriptors, idle clients take none that asking needs, and each new connection is
// answered nevertheless.
func TestAttackDescriptors(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err)
	}
	cmd := command(append([]string{"-c", `ulimit -n 96; exec "$0" "$@"`, os.Args[0], "-log", "json", "-listen", "127.0.0.1:0",
		"-metrics", "127.0.0.1:0"}, newInternet(t).flags()...)...)
	cmd.Path, cmd.Args[0] = sh, sh
	p := startCommand(t, cmd)
	for range 150 {
		conn, err := net.Dial("tcp", p.at["tcp"])
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	for _, network := range []string{"udp", "tcp"} {
		got := ask(t, network, p.at[network], "www.shop.example.", dns.TypeMX, withEDNS)
		if got.Rcode != dns.RcodeSuccess {
			t.Errorf("over %s: got\n%v\nwant an answer that was searched", network, got)
		}
		got = ask(t, network, p.at[network], network+".shop.example.", dns.TypeA, withEDNS)
		if got.Rcode != dns.RcodeNameError {
			t.Errorf("over %s: got\n%v\nwant NXDOMAIN", network, got)
		}
	}
	if text := scrape(t, p); !strings.Contains(text, "iterdns_idle_connections_closed_total") {
		t.Error("no metrics")
	}
}

func TestConnectionsFollowDescriptors(t *testing.T) {
	for descriptors, want := range map[uint64]int{1: 1, 96: 24, 1024: 256, 65536: maxConnections, 1 << 63: maxConnections} {
		c, err := parseFlags([]string{"-metrics", "127.0.0.1:0"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		c.descriptors = descriptors
		if got := c.connections(); got != want {
			t.Errorf("%d descriptors: got %d connections for each of two addresses, want %d", descriptors, got, want)
		}
	}
}

func TestHasNoIPv6(t *testing.T) {
	for _, test := range []struct {
		address string
		err     error
		want    bool
	}{
		{"[::1]:53", syscall.EADDRNOTAVAIL, true},
		{"[::1]:53", syscall.EAFNOSUPPORT, true},
		{"[2001:db8::1]:53", syscall.EAFNOSUPPORT, true},
		{"[2001:db8::1]:53", syscall.EADDRNOTAVAIL, false}, // a wrong address
		{"127.0.0.1:53", syscall.EADDRNOTAVAIL, false},
		{"[::1]:53", syscall.EADDRINUSE, false},
	} {
		err := &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", test.err)}
		if got := hasNoIPv6(netip.MustParseAddrPort(test.address), err); got != test.want {
			t.Errorf("%s, %v: got %t, want %t", test.address, test.err, got, test.want)
		}
	}
}

// The unit is one that systemd takes, and hides nothing from the program that it reads.
func TestUnit(t *testing.T) {
	text, err := os.ReadFile("iterdns-proxy.service")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "\nProcSubset=pid") {
		t.Error("ProcSubset=pid hides /proc/sys/net/core/somaxconn, without which 128 connections may wait")
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip(err)
	}
	unit := filepath.Join(t.TempDir(), "iterdns-proxy.service")
	write(t, unit, strings.ReplaceAll(string(text), "/usr/local/bin/iterdns-proxy", os.Args[0])) // which is there
	if out := output(t, analyze, "verify", "--man=no", unit); strings.Contains(out, "iterdns-proxy") {
		t.Errorf("got %s", out)
	}
}
