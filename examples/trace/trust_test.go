package main

import (
	"encoding/xml"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
)

// trustCases are questions of testdata/trust.txt, one for each way a chain of trust ends.
var trustCases = []struct {
	golden, name, qtype string
	bogus               bool
}{
	{"secure", "www.shop.example", "A", false},
	{"alias-to-insecure", "away.shop.example", "A", false},
	{"alias-secure", "cdn.shop.example", "A", false},
	{"nameerror-nsec3", "missing.shop.example", "A", false},
	{"wildcard", "a.wild.shop.example", "A", false},
	{"bogus-expired", "www.broken.example", "A", true},
	{"bogus-ds", "www.rolled.example", "A", true},
}

// The chain of trust, in each form, and the pictures. What comes before it are the steps
// of the walk, of which those beside each other may come in either order.
func TestTrustGolden(t *testing.T) {
	for _, test := range trustCases {
		for _, form := range []string{"plain", "-tree", "-json"} {
			t.Run(test.golden+form, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					args := []string{"-dnssec", "-4", test.name, test.qtype}
					if form != "plain" {
						args = append(args, form)
					}
					printed, err := virtual(t, "testdata/trust.txt", args...)
					if (err != nil) != test.bogus {
						t.Fatalf("got %v, want an error: %t", err, test.bogus)
					}
					compare(t, filepath.Join("testdata", "trust-"+test.golden+"-"+strings.TrimLeft(form, "-")+".golden"), chainPart(t, printed))
				})
			})
		}
		for _, ending := range []string{"svg", "dot"} {
			t.Run(test.golden+"-"+ending, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					file := filepath.Join(t.TempDir(), "picture."+ending)
					_, _ = virtual(t, "testdata/trust.txt", "-graph", file, "-4", test.name, test.qtype) // the error is looked at above
					drawn, err := os.ReadFile(file)
					if err != nil {
						t.Fatal(err)
					}
					compare(t, filepath.Join("testdata", "trust-"+test.golden+"."+ending), string(drawn))
				})
			})
		}
	}
}

// chainPart returns what is printed of the chain of trust.
func chainPart(t *testing.T, printed string) string {
	t.Helper()
	begin := strings.Index(printed, "chain of trust")
	if first := strings.Index(printed, `{"event":"trust"`); begin < 0 {
		begin = first
	}
	if begin < 0 {
		t.Fatalf("no chain of trust in\n%s", printed)
	}
	return printed[begin:]
}

// TestTrustJSON reads the events back: they say what a program needs to know.
func TestTrustJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		printed, err := virtual(t, "testdata/trust.txt", "-json", "-dnssec", "-4", "away.shop.example")
		if err != nil {
			t.Fatal(err)
		}
		status := make(map[string]string)
		for _, e := range readEvents(t, printed) {
			if e.Event == "trust" {
				status[e.Zone] = e.Status
			}
			if e.Event == "trust" && e.Zone == "shop.example." && (len(e.Keys) != 2 || len(e.DS) != 1 || len(e.Sets) != 1) {
				t.Errorf("got %+v, want two keys, a DS and a set", e)
			}
			if e.Event == "verdict" && (e.Status != "insecure" || !strings.Contains(e.Extended, "plain.example.")) {
				t.Errorf("got %+v, want insecure for plain.example.", e)
			}
		}
		want := map[string]string{".": "secure", "example.": "secure", "shop.example.": "secure", "plain.example.": "insecure"}
		for zone, s := range want {
			if status[zone] != s || len(status) != len(want) {
				t.Errorf("got %v, want %v", status, want)
			}
		}
	})
}

// Where nothing is validated there is no chain of trust; the walk is drawn nevertheless.
func TestGraphOfUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "picture.svg")
		_, err := virtual(t, "testdata/broken.txt", "-graph", file, "-4", "www.shop.example")
		if err == nil {
			t.Fatal("got an answer, want an error")
		}
		drawn, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := xml.Unmarshal(drawn, new(struct{})); err != nil || !strings.Contains(string(drawn), "SERVFAIL") {
			t.Errorf("got %v of\n%s\nwant XML with what the server said", err, drawn)
		}
	})
}

func TestGraphNeedsAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := virtual(t, "testdata/trust.txt", "-graph", filepath.Join(t.TempDir(), "no", "such.svg"), "-4", "www.shop.example")
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v, want %v", err, os.ErrNotExist)
		}
	})
}
