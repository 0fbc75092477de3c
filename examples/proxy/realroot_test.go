package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/test/realresolver"
	"github.com/iterdns/iterdns/internal/test/realserver"
)

// realRootTime is when the signatures of the archived root zone are valid.
var realRootTime = time.Date(2026, 1, 6, 12, 0, 0, 0, time.UTC)

// startRealRoot runs a proxy for which NSD, with the real root zone, is the root, and
// gives its address. Trust anchors and hints are those that are built in.
func startRealRoot(t *testing.T, zone *realserver.RootZone) string {
	t.Helper()
	nsd := realserver.Start(t, realserver.NSD, realserver.Zone{Origin: ".", Text: zone.Text})
	router := realserver.NewRouter(nsd.Addr())
	c, err := parseFlags([]string{"-listen", "127.0.0.1:0"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	o, err := c.options()
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	o.Dial, o.Now = router.Dial, func() time.Time { return realRootTime.Add(time.Since(begin)) }
	p, err := newProxy(c, o, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the proxy ended with: %v", err)
		}
	})
	return strings.TrimPrefix(p.listeners[0].String(), "tcp ")
}

// The whole real root through the proxy: the DS record, or the proof that there is none,
// of all delegations, and as many names that do not exist. dig sees that the proxy has
// validated them; Unbound, asking the proxy, validates them again from the root's keys.
func TestRealRoot(t *testing.T) {
	if testing.Short() {
		t.Skip("the whole root zone; package resolver has it too")
	}
	dig := realserver.Program(t, "dig")
	realserver.Program(t, "unbound")
	realserver.Need(t, realserver.NSD)
	zone := realserver.ReadRootZone(t)
	address := startRealRoot(t, zone)
	validator := startUnbound(t, address)

	var names, nothing []string
	for _, tld := range zone.TLDs {
		names = append(names, tld.Name+" DS")
		if absent := "nosuch-" + tld.Name; zone.TLD(absent) == nil {
			nothing = append(nothing, absent+" A")
		}
	}
	if len(names) != 1438 || len(nothing) != len(names) {
		t.Errorf("got %d delegations and %d names that do not exist, want 1438 each", len(names), len(nothing))
	}
	for _, server := range []struct{ what, address string }{{"the proxy", address}, {"Unbound behind it", validator}} {
		askAll(t, dig, server.what, server.address, names, func(q string, a digAnswer) string {
			name, _, _ := strings.Cut(q, " ")
			want := len(zone.TLD(name).DS)
			if got := strings.Count(a.text, "\tDS\t"); a.status != "NOERROR" || !a.secure || got != want {
				return fmt.Sprintf("%s, AD %t and %d DS records, want NOERROR, AD and %d", a.status, a.secure, got, want)
			}
			return ""
		})
		askAll(t, dig, server.what, server.address, nothing, func(_ string, a digAnswer) string {
			if a.status != "NXDOMAIN" || !a.secure {
				return fmt.Sprintf("%s, AD %t, want NXDOMAIN and AD", a.status, a.secure)
			}
			return ""
		})
	}
}

// digAnswer is what dig prints about one answer.
type digAnswer struct {
	status string
	secure bool
	text   string
}

var digHeader = regexp.MustCompile(`status: ([A-Z]+), id: \d+\n;; flags: ([a-z ]+);`)

// askAll has one dig ask all questions, and check say what is wrong with an answer.
func askAll(t *testing.T, dig, what, address string, questions []string, check func(string, digAnswer) string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "questions")
	write(t, file, strings.Join(questions, "\n")+"\n")
	// From another address than the server's: dig shares ports, and a query that goes out
	// from the server's own would come back to dig.
	text := output(t, dig, "@127.0.0.1", "-b", "127.0.0.2", "-p", port(t, address), "+dnssec", "+nosplit", "+time=30", "+tries=1", "-f", file)
	answers := strings.Split(text, ";; Got answer:\n")[1:]
	if len(answers) != len(questions) {
		t.Fatalf("%s: got %d answers to %d questions:\n%.2000s", what, len(answers), len(questions), text)
	}
	wrong := 0
	for i, q := range questions {
		a := digAnswer{text: answers[i]}
		if m := digHeader.FindStringSubmatch(a.text); m != nil {
			a.status, a.secure = m[1], strings.Contains(m[2]+" ", " ad ")
		}
		if complaint := check(q, a); complaint != "" {
			if wrong++; wrong <= 5 {
				t.Errorf("%s, %s: got %s\n%s", what, q, complaint, a.text)
			}
		}
	}
	t.Logf("%s: %d questions, %d wrong", what, len(questions), wrong)
}

// startUnbound runs Unbound as a validator that asks the resolver at address, each time, and
// gives its own.
func startUnbound(t *testing.T, address string) string {
	t.Helper()
	listen := realserver.FreeAddr(t)
	realresolver.Start(t, realresolver.Unbound, realresolver.Setting{
		Listen: listen, Anchors: dnssec.DefaultAnchors(),
		Upstreams: []realresolver.Upstream{{Zone: ".", Addr: netip.MustParseAddrPort(address)}},
		Extra: fmt.Sprintf(`val-override-date: %q
	trust-anchor-signaling: no
	aggressive-nsec: no`, realRootTime.Format("20060102150405")),
	}, ".")
	return listen.String()
}

// delv validates an answer of the proxy from the mock Internet's keys: all that it takes
// comes through the proxy, bogus data too, since it asks with CD.
func TestDelv(t *testing.T) {
	delv := realserver.Program(t, "delv")
	w := newInternet(t)
	p := startProxy(t, w.flags()...)
	anchors := filepath.Join(t.TempDir(), "anchors")
	var text strings.Builder
	text.WriteString("trust-anchors {\n")
	for _, a := range w.Anchors() {
		fields := strings.Fields(fmt.Sprint(a)) // owner TTL class type tag algorithm digest-type digest
		at := len(fields) - 4
		fmt.Fprintf(&text, "\t. static-ds %s %s %s %q;\n", fields[at], fields[at+1], fields[at+2], fields[at+3])
	}
	text.WriteString("};\n")
	write(t, anchors, text.String())
	for _, test := range []struct{ question, want string }{
		{"www.shop.example A", `; fully validated\nwww\.shop\.example\.\s`},
		{"alias.shop.example A", `; fully validated\nalias\.shop\.example\.\s`},
		{"nosuch.shop.example A", `negative response, fully validated`},
		{"www.shop.example MX", `negative response, fully validated`},
		{"shop.example DS", `; fully validated\nshop\.example\.\s`},
	} {
		arguments := append([]string{"@127.0.0.1", "-p", port(t, p.at["udp"]), "-a", anchors, "+root=."}, strings.Fields(test.question)...)
		expect(t, "delv "+test.question, output(t, delv, arguments...), test.want)
	}
}
