package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
)

// What is wrong is said in one line, with exit code 2.
func TestWrongFlags(t *testing.T) {
	dir := t.TempDir()
	missing, garbage := filepath.Join(dir, "missing"), filepath.Join(dir, "garbage")
	write(t, garbage, "this is no file of that kind\n")
	unreadable := filepath.Join(dir, "folder")
	if err := os.Mkdir(unreadable, 0o700); err != nil {
		t.Fatal(err)
	}
	cert, key := writeCertificate(t)
	_, otherKey := writeCertificate(t)
	busyTCP, busyUDP := busyPorts(t)
	tests := []struct {
		flags string
		want  string // regular expression
	}{
		{"-nosuch", `-nosuch`},
		{"argument", `"argument" is no flag`},
		{"-listen localhost:53", `-listen: want an IP address and a port`},
		{"-listen 127.0.0.1", `-listen: want an IP address and a port`},
		{"-listen 127.0.0.1:5353,", `-listen: want an IP address and a port`},
		{"-listen 192.0.2.1:0", `-listen: .*192\.0\.2\.1`},
		{"-listen " + busyTCP, `-listen: .*address already in use`},
		{"-listen " + busyUDP, `-listen: .*address already in use`},
		{"-tls-listen 127.0.0.1:0", `need both -cert and -key`},
		{"-https-listen 127.0.0.1:0 -cert " + cert, `need both -cert and -key`},
		{"-cert " + cert + " -key " + key, `-cert and -key are for`},
		{"-tls-listen 127.0.0.1:0 -cert " + missing + " -key " + key, `-cert, -key: .*missing: no such file`},
		{"-tls-listen 127.0.0.1:0 -cert " + garbage + " -key " + key, `-cert, -key: .*PEM`},
		{"-tls-listen 127.0.0.1:0 -cert " + cert + " -key " + otherKey, `-cert, -key: .*private key does not match`},
		{"-tls-listen " + busyTCP + " -cert " + cert + " -key " + key, `-tls-listen: .*address already in use`},
		{"-https-listen " + busyTCP + " -cert " + cert + " -key " + key, `-https-listen: .*address already in use`},
		{"-metrics " + busyTCP, `-metrics: .*address already in use`},
		{"-local-root-file x", `-local-root-file needs -local-root`},
		{"-hints " + missing, `-hints: .*missing: no such file`},
		{"-hints " + garbage, `-hints: .*garbage: .*line 1`},
		{"-hints " + unreadable, `-hints: .*is a directory`},
		{"-anchors " + missing, `-anchors: .*missing: no such file`},
		{"-anchors " + garbage, `-anchors: .*garbage: `},
		{"-anchors " + unreadable, `-anchors: .*is a directory`},
		{"-anchors ../anchors/testdata/lost.json", `-anchors: .*lost\.json: \.: no key is trusted any more: start anew`},
		{"-dnssec=perhaps", `-dnssec`},
		{"-allow-server example", `-allow-server: want an IP address or block`},
		{"-allow-client 192.0.2.0/33", `-allow-client: want an IP address or block`},
		{"-port 0", `-port 0: want 1 to 65535`},
		{"-port 65536", `-port 65536: want 1 to 65535`},
		{"-cache-bytes 0", `-cache-bytes 0: want more than 0`},
		{"-cache-bytes much", `-cache-bytes: want bytes, or a number with a unit of 1024, as 64M`},
		{"-cache-bytes 9999999999G", `-cache-bytes: want bytes`},
		{"-cache-bytes -1M", `-cache-bytes -1048576: want more than 0`},
		{"-time-limit 0s", `-time-limit 0s: want more than 0s`},
		{"-local-zone lan", `-local-zone: want ZONE=FILE`},
		{"-local-zone lan=", `-local-zone: want ZONE=FILE`},
		{"-stale -1s", `-stale -1s: want 0s or more`},
		{"-stale long", `-stale`},
		{"-stale-over-bogus -dnssec=false", `-stale-over-bogus: nothing is validated`},
		{"-prefetch=perhaps", `-prefetch`},
		{"-threads -1", `-threads -1: want 0 or more`},
		{"-questions 0", `-questions 0: want more than 0`},
		{"-client-rate fast", `-client-rate`},
		{"-drain -1s", `-drain -1s: want 0s or more`},
		{"-log xml", `-log: want text or json`},
		{"-route corp.example", `-route: want ZONE=SERVER`},
		{"-route corp.example=dns.example", `-route: "dns.example": want`},
		{"-route corp.example=quic://192.0.2.1", `-route: "quic://192.0.2.1": want udp, tcp or tls`},
		{"-route corp..example=192.0.2.1", `route`},
		{"-require-tls bank.example,unsigned", `-require-tls: .*: "unsigned": not of the form`},
		{"-require-tls bank.example -route bank.example=192.0.2.1", `Routes: route "bank.example.": Options.RequireTLS has`},
		{"-fallback dns.example", `-fallback: "dns.example": want`},
		{"-fallback 192.0.2.1,stub", `[Ff]allback: not recursive servers`},
		{"-fallback 192.0.2.1 -route .=192.0.2.2", `[Ff]allback: never used beside a route`},
		{"-route corp.example=192.0.2.1,iterate", `route`},
		{"-route corp.example=" + missing, `missing: no such file`},
		{"-hosts " + missing, `-hosts: .*missing: no such file`},
		{"-local-zone lan=" + missing, `-local-zone: .*missing: no such file`},
		{"-local-zone lan=" + garbage, `-local-zone: .*garbage: `},
		{"-private-domain a..b -rebind-protection", `a..b`},
		{"-snapshot " + filepath.Join(missing, "cache"), `-snapshot .*: its folder is not there`},
		{"-snapshot " + unreadable, `-snapshot .*: it cannot be written: it is no regular file`},
		{"-snapshot-interval -1s", `-snapshot-interval -1s: want 0s or more`},
		{"-listen 224.0.0.251:5353", `-listen: a group's or broadcast address`},
		{"-listen [ff02::fb]:5353", `-listen: a group's or broadcast address`},
	}
	for _, test := range tests {
		var stdout, stderr bytes.Buffer
		arguments := strings.Fields(test.flags)
		if !slices.Contains(arguments, "-listen") { // else the default port would be opened
			arguments = append([]string{"-listen", "127.0.0.1:0"}, arguments...)
		}
		cmd := command(arguments...)
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != exitUsage {
			t.Errorf("%s: got %v, want exit code %d", test.flags, err, exitUsage)
		}
		line := stderr.String()
		if stdout.Len() > 0 || strings.Count(line, "\n") != 1 || !regexp.MustCompile(`^proxy: `).MatchString(line) ||
			!regexp.MustCompile(test.want).MatchString(line) {
			t.Errorf("%s: got %q and, on standard output, %q, want one line with %s", test.flags, line, stdout.String(), test.want)
		}
	}
}

// busyPorts returns an address that is in use over TCP, and one that is over UDP.
func busyPorts(t *testing.T) (tcp, udp string) {
	t.Helper()
	stream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stream.Close()
		_ = packets.Close()
	})
	return stream.Addr().String(), packets.LocalAddr().String()
}

// -h is no mistake, and every flag is on the page about them.
func TestHelp(t *testing.T) {
	out, err := command("-h").Output()
	if err != nil {
		t.Errorf("-h: %v", err)
	}
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"usage: proxy [flags]\n", "Examples:\n", "\nWho may ask, and how much:\n", "or with a unit of 1024"} {
		if !strings.Contains(string(out), text) {
			t.Errorf("-h prints\n%s\nwant %q in it", out, text)
		}
	}
	var all, grouped []string
	new(config).flagSet().VisitAll(func(f *flag.Flag) { all = append(all, f.Name) })
	for _, group := range flagGroups {
		grouped = append(grouped, group.flags...)
	}
	if slices.Sort(grouped); !slices.Equal(all, grouped) {
		t.Errorf("the groups have the flags\n%v\nwant each once:\n%v", grouped, all)
	}
	flags := regexp.MustCompile(`(?m)^  (-[a-z-]+)`).FindAllSubmatch(out, -1)
	if len(flags) < 20 {
		t.Errorf("-h names %d flags, want at least 20:\n%s", len(flags), out)
	}
	for _, f := range flags {
		if !regexp.MustCompile("(?m)^\\|.*`" + string(f[1]) + "[ =`]").Match(page) {
			t.Errorf("README.md does not describe %s", f[1])
		}
	}
}

// With -anchors-file the keys that are built in are followed, and the file is made; what is there
// and no state is an error that names it, and is left alone.
func TestAnchorsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "anchors.json")
	c, err := parseFlags([]string{"-anchors-file", path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	o, err := c.options()
	if err != nil || o.AnchorStore == nil {
		t.Fatal(o.AnchorStore, err)
	}
	write(t, path, "no state")
	if _, err := resolver.New(o); !errors.Is(err, dnssec.ErrRollover) {
		t.Errorf("got %v, want %v", err, dnssec.ErrRollover)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "no state" {
		t.Errorf("the file has %q now, %v", text, err)
	}
}

// -anchors reads what examples/anchors keeps: the keys that it trusts, and no others.
func TestAnchorsKept(t *testing.T) {
	c, err := parseFlags([]string{"-anchors", "../anchors/testdata/state.json"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	o, err := c.options()
	if a := o.TrustAnchors; err != nil || len(a) != 2 || !strings.Contains(a[0].String(), "DS\t38696 ") || !strings.Contains(a[1].String(), "DNSKEY") {
		t.Errorf("got %v and %v, want the key that is valid and the one that is missing", a, err)
	}

	// And with them it validates.
	w := newInternet(t)
	f, err := os.Open(w.anchors)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	anchors, err := dnssec.ParseAnchors(f)
	if err != nil {
		t.Fatal(err)
	}
	state, err := dnssec.NewRollover(anchors, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	w.anchors = filepath.Join(t.TempDir(), "state.json")
	write(t, w.anchors, string(text))
	p := startProxy(t, w.flags()...)
	if got := ask(t, "udp", p.at["udp"], "www.shop.example.", dns.TypeA, withDO); !got.AuthenticatedData {
		t.Errorf("got\n%v\nwant a secure answer", got)
	}
	if got := ask(t, "udp", p.at["udp"], "www.bogus.example.", dns.TypeA, withDO); got.Rcode != dns.RcodeServerFailure {
		t.Errorf("got\n%v\nwant SERVFAIL", got)
	}
}

// TestSize: sizes have units of 1024, in the ways in which people write them.
func TestSize(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "4096": 4096, "64K": 64 << 10, "64m": 64 << 20, "64MB": 64 << 20, "64MiB": 64 << 20, "2G": 2 << 30, "1T": 1 << 40} {
		var got size
		if err := got.Set(text); err != nil || int64(got) != want {
			t.Errorf("%s: got %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "M", "1.5G", "64 M", "64X", "99999999999T"} {
		if err := new(size).Set(text); err == nil {
			t.Errorf("%q: got no error", text)
		}
	}
}

// TestContainerfile: an image without certificates could not ask over TLS, and one that answers
// itself only, nobody.
func TestContainerfile(t *testing.T) {
	text, err := os.ReadFile("Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "/etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt\n") {
		t.Error("no CA certificates")
	}
	_, command, _ := strings.Cut(string(text), "\nCMD ")
	var arguments []string
	if err := json.Unmarshal([]byte(command), &arguments); err != nil {
		t.Fatal(err)
	}
	c, err := parseFlags(arguments, nil)
	if err != nil {
		t.Fatal(err)
	}
	clients := newClients(c)
	for addr, may := range map[string]bool{"172.17.0.1": true, "10.0.2.2": true, "192.168.1.5": true, "fd00::1": true, "127.0.0.1": true, "192.0.2.1": false, "2001:db8::1": false} {
		if got := clients.mayAsk(netip.MustParseAddr(addr)); got != may {
			t.Errorf("%s may ask: got %t, want %t", addr, got, may)
		}
	}
}
