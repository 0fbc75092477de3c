package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestClassic walks the embedded Internet over real sockets, as the README says.
func TestClassic(t *testing.T) {
	var out, diag bytes.Buffer
	if status := run(t.Context(), nil, &out, &diag); status != exitAnswer || diag.Len() > 0 {
		t.Fatalf("got status %d and %q, want %d and silence", status, &diag, exitAnswer)
	}
	for _, line := range []string{
		`(?m)^\.\s+IN\s+NS\s+m\.root-servers\.net\.$`,
		`(?m)^me\.\s+172800\s+IN\s+NS\s+a0\.nic\.me\.$`,
		`(?m)^a0\.nic\.me\.\s+172800\s+IN\s+A\s+199\.253\.59\.1$`,
		`(?m)^b2\.nic\.me\.\s+172800\s+IN\s+AAAA\s+2001:500:4f::1$`,
		`(?m)^me\.\s+\d+\s+IN\s+DS\s`,
		`(?m)^;; for validation: me\. DNSKEY from \S+#53\([abc][02]\.nic\.me\): answer, \d+ bytes in \d+ ms$`,
		`(?m)^;; Received \d+ bytes from \S+#53\([abc][02]\.nic\.me\) in \d+ ms`,
		`(?m)^net\.\s+172800\s+IN\s+NS\s+a\.gtld-servers\.net\.$`,
		`(?m)^f1g1ns[12]\.dnspod\.net\.\s+600\s+IN\s+A(AAA)?\s+(58\.247\.212\.36|198\.51\.100\.53|2001:db8:2::[12])$`,
		`(?m)^draveness\.me\.\s+600\s+IN\s+A\s+123\.56\.94\.228$`,
		`(?m)^;; Received \d+ bytes from (58\.247\.212\.36|198\.51\.100\.53|2001:db8:2::[12])#53\(f1g1ns[12]\.dnspod\.net\)`,
	} {
		if !regexp.MustCompile(line).Match(out.Bytes()) {
			t.Errorf("no line like %s in\n%s", line, &out)
		}
	}
	if bytes.Contains(out.Bytes(), []byte("127.0.0.1")) {
		t.Errorf("got loopback addresses, want those of the servers:\n%s", &out)
	}
}

// TestTree looks for the lines of a tree, which come in an order of their own.
func TestTree(t *testing.T) {
	var out, diag bytes.Buffer
	if status := run(t.Context(), []string{"-tree", "-mock", "mock.txt", "www.draveness.me"}, &out, &diag); status != exitAnswer {
		t.Fatalf("got status %d and %q, want %d", status, &diag, exitAnswer)
	}
	for _, line := range []string{
		`(?m)^ +\d+ ms  www\.draveness\.me\. A$`,
		`(?m)^ +\d+ ms  ├─ \. +root hints: 13 servers$`,
		`(?m)^ +\d+ ms  │  [├└]─ me\. A +→ \S+ [a-m]\.root-servers\.net\.: referral\. Received \d+ bytes in \d+ ms$`,
		`(?m)^ +\d+ ms  .*─ \. DNSKEY +→ \S+ [a-m]\.root-servers\.net\..*: answer\. Received \d+ bytes in \d+ ms$`,
		`(?m)^ +\d+ ms  ├─ me\. +5 servers with glue, DS$`,
		`(?m)^ +\d+ ms  │  ├─ a0\.nic\.me\. +glue 199\.253\.59\.1 2001:500:53::1$`,
		`(?m)^ +\d+ ms  └─ draveness\.me\. +2 servers without glue$`,
		`(?m)^ +\d+ ms     ├─ where is f1g1ns[12]\.dnspod\.net\.\?$`,
		`(?m)^ +\d+ ms     │  .*─ at (58\.247\.212\.36|198\.51\.100\.53)$`,
		`(?m)^ +\d+ ms  draveness\.me\. A +again, for the CNAME at www\.draveness\.me\.$`,
		`(?m)^ +\d+ ms  .*validated +insecure`,
		`(?m)^ +\d+ ms  └─ draveness\.me\. 600 IN A 123\.56\.94\.228$`,
		`(?m)^\d+ queries, \d+ bytes received, \d+ ms$`,
	} {
		if !regexp.MustCompile(line).Match(out.Bytes()) {
			t.Errorf("no line like %s in\n%s", line, &out)
		}
	}
}

// TestStatus: what goes wrong is said in one line, and in the exit status.
func TestStatus(t *testing.T) {
	badHints := filepath.Join(t.TempDir(), "hints")
	if err := os.WriteFile(badHints, []byte(". NS a.\na. A 192.0.2.300\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mock := func(name string, words ...string) []string {
		return append([]string{"-mock", filepath.Join("testdata", name+".txt")}, words...)
	}
	tests := []struct {
		name   string
		args   []string
		status int
		says   []string // on standard error; nothing at all if empty
	}{
		{"other name in the mock Internet", []string{"-mock", "mock.txt", "-tree", "www.draveness.me"}, exitAnswer, nil},
		{"over IPv6", []string{"-6"}, exitAnswer, nil},
		{"no such name", mock("detours", "nosuch.shop.example"), exitAnswer, nil},
		{"blocked", mock("blocked", "www.shop.example"), exitFailure, []string{"port 53 is blocked", "way out", "-forward ADDRESS"}},
		{"intercepted", mock("intercepted", "www.shop.example"), exitFailure, []string{"port 53 is intercepted", "way out", "-forward ADDRESS"}},
		{"no network", mock("unreachable", "www.shop.example"), exitFailure, []string{"no network", "mock Internet"}},
		{"zone broken", mock("broken", "www.shop.example"), exitFailure, []string{"No answer for www.shop.example. A: in the zone ", "no reachable server", "only their operator can mend that"}},
		{"unknown flag", []string{"-trace"}, exitUsage, []string{"not defined: -trace", "-h"}},
		{"unknown type", []string{"www.example", "QUERTY"}, exitUsage, []string{`"QUERTY"`}},
		{"type that is no data", mock("detours", "www.shop.example", "AXFR"), exitUsage, []string{"not a type"}},
		{"no domain name", mock("detours", "www..example"), exitUsage, []string{"empty label"}},
		{"no such mock file", []string{"-mock", "testdata/nosuch.txt"}, exitFailure, []string{"nosuch.txt"}},
		{"mock file with errors", []string{"-mock", badHints}, exitFailure, []string{badHints}},
		{"hints file with errors", []string{"-hints", badHints, "www.example"}, exitFailure, []string{badHints, "2"}},
		{"forwarded", mock("detours", "-forward", "198.51.100.3", "www.shop.example"), exitFailure, []string{"No answer for www.shop.example. A", "route for ."}},
		{"forward to no address", mock("detours", "-forward", "resolver", "www.shop.example"), exitFailure, []string{"-forward: ", `"resolver": neither a word`}},
		{"forward in the mock Internet", []string{"-forward", "192.0.2.53"}, exitUsage, []string{"-forward needs a NAME"}},
		{"forward from hints", []string{"-forward", "192.0.2.53", "-hints", badHints, "www.example"}, exitUsage, []string{"-forward and -hints exclude each other"}},
		{"graph nowhere", []string{"-graph", filepath.Join(badHints, "walk.svg")}, exitUsage, []string{"-graph: ", "walk.svg"}},
		{"no such hints file", []string{"-hints", "testdata/nosuch.txt", "www.example"}, exitFailure, []string{"nosuch.txt"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var out, diag bytes.Buffer
			if status := run(t.Context(), test.args, &out, &diag); status != test.status {
				t.Errorf("status: got %d, want %d; standard error: %s", status, test.status, &diag)
			}
			wantLine(t, diag.String(), test.says)
		})
	}
}

// wantLine checks for one line that says all of these, or for silence.
func wantLine(t *testing.T, got string, says []string) {
	t.Helper()
	if len(says) == 0 {
		if got != "" {
			t.Errorf("standard error: got %q, want nothing", got)
		}
		return
	}
	if strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "\n") {
		t.Errorf("standard error: got %q, want one line", got)
	}
	for _, s := range says {
		if !strings.Contains(got, s) {
			t.Errorf("standard error: got %q, want %q in it", got, s)
		}
	}
}

// TestHelp: -h explains the flags and is no failure.
func TestHelp(t *testing.T) {
	var out, diag bytes.Buffer
	if status := run(t.Context(), []string{"-h"}, &out, &diag); status != exitAnswer {
		t.Errorf("got status %d, want %d", status, exitAnswer)
	}
	for _, flag := range []string{"-additional", "-tree", "-json", "-4", "-6", "-hints file", "-mock file"} {
		if !strings.Contains(diag.String(), flag) {
			t.Errorf("got %s, want %s explained", &diag, flag)
		}
	}
}

// TestInterrupted: the end of the context ends the walk.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, diag bytes.Buffer
	if status := run(ctx, nil, &out, &diag); status != exitFailure {
		t.Errorf("got status %d, want %d", status, exitFailure)
	}
	wantLine(t, diag.String(), []string{"interrupted"})
}

var errFull = errors.New("no space left")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

// TestUnwritable: output that goes nowhere is a failure.
func TestUnwritable(t *testing.T) {
	for _, form := range []string{"-additional", "-tree", "-json"} {
		var diag bytes.Buffer
		if status := run(t.Context(), []string{form}, fullDisk{}, &diag); status != exitFailure {
			t.Errorf("%s: got status %d, want %d", form, status, exitFailure)
		}
		wantLine(t, diag.String(), []string{errFull.Error()})
	}
}
