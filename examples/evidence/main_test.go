package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

const internet = `
-- zone shop.example. at 198.51.100.3 signed --
@      CAA 0 issue "ca.example"
www    A   192.0.2.1
bad    A   192.0.2.2
-- zone plain.example. at 198.51.100.4 --
www    A   192.0.2.3
-- fault shop.example. --
when name bad.shop.example. type A: replace NOERROR bad.shop.example. 300 IN A 192.0.2.66
`

// evidence runs the program with files in dir.
type evidence struct {
	*testing.T
	in  *resolvertest.Internet
	dir string
}

func (e *evidence) run(want int, args ...string) string {
	e.Helper()
	for i, arg := range args {
		if name, ok := strings.CutPrefix(arg, "file:"); ok {
			args[i] = filepath.Join(e.dir, name)
		}
	}
	var out bytes.Buffer
	if got := run(e.Context(), args, e.in.Options(), &out, &out); got != want {
		e.Errorf("%q: exit status %d, want %d:\n%s", args, got, want, &out)
	}
	return out.String()
}

// What was got is shown, verified offline at its time or a stated one, and exported.
func TestEvidence(t *testing.T) {
	in := resolvertest.New(t, internet)
	e := &evidence{t, in, t.TempDir()}
	var anchors strings.Builder
	for _, a := range in.Anchors() {
		anchors.WriteString(a.String() + "\n")
	}
	if err := os.WriteFile(filepath.Join(e.dir, "anchors"), []byte(anchors.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	elsewhere := strings.ReplaceAll("\n"+anchors.String(), "\n.", "\nelsewhere.example.")
	if err := os.WriteFile(filepath.Join(e.dir, "elsewhere"), []byte(elsewhere), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, qtype, status, found string }{
		{"www.shop.example", "A", "secure", "records, signed by shop.example."},
		{"www.shop.example", "caa", "secure", "no records of the type, signed by shop.example."},
		{"missing.shop.example", "CAA", "secure", "the name does not exist, signed by shop.example."},
		{"www.plain.example", "A", "insecure", "records, unsigned delegation: plain.example."},
	} {
		file := "file:" + c.name + c.qtype
		out := e.run(exitGood, "get", "-o", file, c.name, c.qtype)
		want := fmt.Sprintf("%s. %s %s", c.name, strings.ToUpper(c.qtype), c.status)
		if !strings.HasPrefix(out, want) {
			t.Errorf("got %s, want %s", out, want)
		}
		e.run(exitBad, "get", "-o", file, c.name, c.qtype) // it is there already
		shown := e.run(exitGood, "show", file)
		for _, part := range []string{want, "  server   198.51.100.", "  . DNSKEY answer\n", " IN RRSIG ", "  signed   from "} {
			if !strings.Contains(shown, part) {
				t.Errorf("%s: shown without %q:\n%s", c.name, part, shown)
			}
		}
		if out := e.run(exitGood, "verify", "-anchors", "file:anchors", file); !strings.HasPrefix(out, "good "+want) || !strings.Contains(out, c.found) {
			t.Errorf("got %s, want %s", out, c.found)
		}
		e.run(exitGood, "verify", "-anchors", "file:anchors", "-at", in.Now().Format(time.RFC3339), file)
		if out := e.run(exitBad, "verify", "-anchors", "file:anchors", "-at", "2090-01-01T00:00:00Z", file); !strings.HasPrefix(out, "BAD ") || strings.Contains(out, "-anchors") {
			t.Errorf("in 2090: got %s", out)
		}
		if out := e.run(exitBad, "verify", file); !strings.HasPrefix(out, "BAD ") || !strings.Contains(out, "-anchors") { // the real root's anchors
			t.Errorf("with other anchors: got %s", out)
		}
		if out := e.run(exitBad, "verify", "-anchors", "file:elsewhere", file); !strings.HasPrefix(out, "BAD ") || !strings.Contains(out, "-anchors") {
			t.Errorf("with anchors of another zone: got %s", out)
		}
		e.run(exitGood, "export", "-o", file+".chain", file)
		chain, err := os.ReadFile(filepath.Join(e.dir, c.name+c.qtype+".chain"))
		if err != nil {
			t.Fatal(err)
		}
		name, err := dnssec.ParseName(c.name)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := dnssec.VerifyAuthenticationChain(chain, name, dns.StringToType[strings.ToUpper(c.qtype)], in.Anchors(), in.Now()); err != nil || v.Status.String() != c.status {
			t.Errorf("exported: got %v, %v", v, err)
		}
	}
	// A bogus answer is kept too: anybody finds the same fault.
	if out := e.run(exitBad, "get", "-o", "file:bogus", "bad.shop.example", "A"); !strings.Contains(out, "bogus") {
		t.Errorf("got %s", out)
	}
	if out := e.run(exitBad, "verify", "-anchors", "file:anchors", "file:bogus"); !strings.HasPrefix(out, "BAD  bad.shop.example. A bogus") {
		t.Errorf("got %s", out)
	}
}

// The decision of an authority and all its look-ups are in one file.
func TestCAA(t *testing.T) {
	in := resolvertest.New(t, internet)
	e := &evidence{t, in, t.TempDir()}
	out := e.run(exitGood, "caa", "-o", "file:yes", "-issuer", "ca.example,ca2.example", "*.www.shop.example")
	if !strings.Contains(out, "CAA of *.www.shop.example.: permitted: the issuer is authorized: shop.example. CAA 0 issue \"ca.example\"\n") {
		t.Errorf("got %s", out)
	}
	shown := e.run(exitGood, "show", "file:yes")
	if !strings.Contains(shown, "note     CAA of *.www.shop.example.: permitted") || !strings.Contains(shown, "shop.example. CAA answer") {
		t.Errorf("shown: %s", shown)
	}
	// Servers that do not answer leave nothing to verify; the proof that the name is unsigned does.
	in.Fault("198.51.100.4", resolvertest.Rcode(dns.RcodeServerFailure))
	if out := e.run(exitBad, "caa", "-o", "file:failed", "-retry", "10ms", "-issuer", "ca.example", "www.plain.example"); !strings.Contains(out, "failed there") {
		t.Errorf("got %s", out)
	}
	if out := e.run(exitBad, "verify", "file:failed"); !strings.HasPrefix(out, "none www.plain.example. CAA") {
		t.Errorf("got %s", out)
	}
	if out := e.run(exitBad, "caa", "-o", "file:no", "-issuer", "other.example", "www.shop.example"); !strings.Contains(out, "denied") {
		t.Errorf("got %s", out)
	}
}

// Command lines that make no sense, and files that are none.
func TestRefused(t *testing.T) {
	e := &evidence{t, resolvertest.New(t, internet), t.TempDir()}
	for _, args := range [][]string{
		{}, {"look"}, {"get"}, {"get", "www.shop.example", "A"}, {"get", "-o", "file:x", "a..b", "A"}, {"get", "-o", "file:x", "www.shop.example", "AB"},
		{"caa", "-o", "file:x", "www.shop.example"}, {"caa", "-o", "file:x", "-issuer", "ca.example", "192.0.2.1"}, {"verify"}, {"verify", "-at", "noon", "x"},
	} {
		e.run(exitUsage, args...)
	}
	if out := e.run(exitUsage, "verify", "file:x", "-anchors", "file:y"); !strings.Contains(out, "with 3 arguments, want 1 behind the flags") {
		t.Errorf("flags behind the file: got %s", out)
	}
	if out := e.run(exitGood, "-h"); !strings.Contains(out, "verify") {
		t.Errorf("got %s", out)
	}
	for text, want := range map[string]string{"": "empty", "junk": "does not begin", "iterdns evidence 1 5 5 00\n": "not a stored chain"} {
		name := filepath.Join(e.dir, "file")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, verb := range []string{"show", "verify"} {
			if out := e.run(exitBad, verb, name); !strings.Contains(out, want) {
				t.Errorf("%q: got %s", text, out)
			}
		}
	}
	e.run(exitBad, "verify", "file:absent")
}
