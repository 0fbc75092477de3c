package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// show runs the program.
func show(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, failed bytes.Buffer
	if got := run(t.Context(), args, &out, &failed); got != want {
		t.Fatalf("%q: exit status %d, want %d: %s%s", args, got, want, out.String(), failed.String())
	}
	return out.String(), failed.String()
}

// TestText: the example's own zone, with all that is wrong with it.
func TestText(t *testing.T) {
	out, _ := show(t, exitBroken)
	for _, want := range []string{
		"www.shop.example. is in the zone shop.example., which is ",
		"below example.",
		"by the parent", "by the zone", "DS ", "DNSKEY ",
		"asked for www.shop.example. A:",
		"198.51.100.3  ns1.shop.example.  answer, NOERROR  serial 5  udp",
		"198.51.100.4  ns2.shop.example.  answer, NOERROR  serial 4  udp",
		"! only the parent names ns.old.example.",
		"! only the zone names ns2.shop.example.",
		"! 198.51.100.5 (ns.old.example.) is lame",
		"! the servers disagree (serials [4 5])",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}

// TestWell: a zone without a fault, behind an alias, as text and JSON.
func TestWell(t *testing.T) {
	mock := filepath.Join(t.TempDir(), "mock.txt")
	text := "-- zone example. at 198.51.100.1 --\n-- zone shop.example. at 198.51.100.3 --\n_acme-challenge CNAME x.acme.example.\n" +
		"-- zone acme.example. at 198.51.100.5 --\nx TXT token\n"
	if err := os.WriteFile(mock, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	out, _ := show(t, exitWell, "-mock", mock, "-follow", "-json", "_acme-challenge.shop.example", "TXT")
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if r.Name != "x.acme.example." || r.Zone != "acme.example." || r.Parent != "example." || len(r.Aliases) != 1 || len(r.Faults) != 0 ||
		len(r.Servers) != 1 || len(r.Servers[0].Records) != 1 || r.Servers[0].Serial == nil {
		t.Errorf("got %s", out)
	}
	if out, _ = show(t, exitWell, "-mock", mock, "localhost"); !strings.Contains(out, "localhost. is in the zone") {
		t.Errorf("got %s", out)
	}
}

// TestUnseen: where servers have the zone and the one above, it is said that what the latter names is
// not known, and no server is called missing there.
func TestUnseen(t *testing.T) {
	mock := filepath.Join(t.TempDir(), "mock.txt")
	text := "-- zone example. at 198.51.100.1 --\n-- zone shop.example. at 198.51.100.1 --\n@ NS ns1\n@ NS ns2\nns1 A 198.51.100.1\nns2 A 198.51.100.1\n"
	if err := os.WriteFile(mock, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	out, _ := show(t, exitWell, "-mock", mock, "shop.example", "SOA")
	if !strings.Contains(out, "its name servers are unknown") || strings.Contains(out, "only the") {
		t.Errorf("got %s", out)
	}
	if out, _ = show(t, exitBroken); strings.Contains(out, "are unknown") {
		t.Errorf("of a zone that is referred to: %s", out)
	}
	if out, _ = show(t, exitWell, "-mock", mock, "."); strings.Contains(out, "are unknown") {
		t.Errorf("of the root: %s", out)
	}
}

// TestPicture: it is well-formed, and shows both sides, the servers and the faults.
func TestPicture(t *testing.T) {
	file := filepath.Join(t.TempDir(), "zone.svg")
	show(t, exitBroken, "-svg", file)
	picture, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(bytes.NewReader(picture))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"by the parent example.", "by the zone shop.example.", "198.51.100.5  ns.old.example.", "is lame"} {
		if !strings.Contains(string(picture), want) {
			t.Errorf("%q is missing in\n%s", want, picture)
		}
	}
}

// TestUsage: what makes no sense is said, in one line.
func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"a..b"}, {"a", "NOTYPE"}, {"a", "A", "b"}, {"a.example", "AXFR"}} {
		if _, stderr := show(t, exitUsage, append([]string{"-mock", os.DevNull}, args...)...); stderr == "" {
			t.Errorf("%q: nothing is said", args)
		}
	}
	if _, stderr := show(t, exitBroken, "-mock", "/nowhere", "a"); stderr == "" {
		t.Error("no file: nothing is said")
	}
}
