package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

var update = flag.Bool("update", false, "write what is printed to testdata/*.golden")

// TestGolden compares what is printed of walks in virtual time, where every
// round-trip time is the same in each run.
func TestGolden(t *testing.T) {
	tests := []struct {
		golden, mock string
		args         []string
		normalise    func(string) string
	}{
		{"classic", "mock.txt", nil, anyServer},
		{"detours", "testdata/detours.txt", []string{"www.shop.example"}, nil},
		{"detours-plain", "testdata/detours.txt", []string{"-additional=false", "www.shop.example"}, nil},
		{"detours-tree", "testdata/detours.txt", []string{"-tree", "www.shop.example"}, nil},
		{"nameerror", "testdata/detours.txt", []string{"a.b.shop.example", "MX"}, nil},
		{"nodata-tree", "testdata/detours.txt", []string{"ns.net.example", "TXT", "-tree"}, nil},
	}
	for _, test := range tests {
		t.Run(test.golden, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// One family, since addresses of both are looked for at the same time and
				// events would come in either order.
				got, _ := virtual(t, test.mock, append(test.args, "-4")...)
				if test.normalise != nil {
					got = test.normalise(got)
				}
				compare(t, filepath.Join("testdata", test.golden+".golden"), got)
			})
		})
	}
}

// virtual walks a mock Internet in memory, with names in one letter case so that
// messages always have the same length.
func virtual(t *testing.T, mock string, args ...string) (printed string, err error) {
	t.Helper()
	text, err := os.ReadFile(mock)
	if err != nil {
		t.Fatal(err)
	}
	c, err := parseArgs(append(args, "-mock", mock), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	in := resolvertest.New(t, string(text))
	place := internet{title: filepath.Base(mock), options: in.Options(), close: in.Close}
	place.options.DisableCaseRandomisation = true
	if c.ipv4 {
		place.options.Family = resolver.FamilyIPv4Only
	}
	var out bytes.Buffer
	err = c.trace(t.Context(), place, &out)
	return out.String(), err
}

// Which of several servers is asked is random, and so is the order of what happens at
// the same time. Keys are made as resolvertest sees fit.
var (
	digest     = regexp.MustCompile(`\tDS\t.*`)
	signature  = regexp.MustCompile(`\tRRSIG\t(\S+) .*`)
	beside     = regexp.MustCompile(`(?m)^(;; for validation: .*)?\n`) // and empty lines around it
	fromServer = regexp.MustCompile(`from [0-9.]+#53\(\S+?\)`)
)

// anyServer makes all choices of a server and of keys look the same, and leaves out what
// goes on beside the walk, which may come before or after its steps.
func anyServer(text string) string {
	text = digest.ReplaceAllString(text, "\tDS\tDIGEST")
	text = signature.ReplaceAllString(text, "\tRRSIG\t$1 SIGNATURE")
	text = beside.ReplaceAllString(text, "")
	text = fromServer.ReplaceAllString(text, "from SERVER")
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		if strings.Contains(line, "\tNS\t") {
			continue // both are listed
		}
		line = strings.NewReplacer("f1g1ns1", "f1g1nsX", "f1g1ns2", "f1g1nsX").Replace(line)
		lines[i] = strings.NewReplacer("58.247.212.36", "ADDRESS", "198.51.100.53", "ADDRESS").Replace(line)
	}
	return strings.Join(lines, "")
}

func compare(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s (-update writes it):\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}

// TestJSON reads the events back: each kind is there, with what a program needs.
func TestJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		printed, err := virtual(t, "testdata/detours.txt", "-json", "-4", "www.shop.example")
		if err != nil {
			t.Fatal(err)
		}
		events := readEvents(t, printed)
		asked := make(map[int]event)
		seen := make(map[string]int)
		for _, e := range events {
			seen[e.Event]++
			switch e.Event {
			case "query":
				asked[e.ID] = e
			case "response":
				if q, ok := asked[e.ID]; !ok || q.Server != e.Server || q.At > e.At {
					t.Errorf("response %+v: got query %+v, want that of the same server, before it", e, q)
				}
			}
		}
		want := map[string]int{
			"cache": 4, "start": 3, "query": 8, "response": 8, "referral": 4, "server-lookup": 3, "alias": 2, "done": 1,
		}
		for kind, n := range want {
			if kind == "cache" && seen[kind] > 0 {
				continue // how often the cache is looked into is the resolver's business
			}
			if seen[kind] != n {
				t.Errorf("%s: got %d events, want %d", kind, seen[kind], n)
			}
		}
		done := events[len(events)-1]
		if done.Event != "done" || done.Rcode != "NOERROR" || len(done.Answer) != 5 || done.Sends != 8 {
			t.Errorf("last event: got %+v, want done with NOERROR, 5 records and 8 queries", done)
		}
	})
}

func readEvents(t *testing.T, printed string) []event {
	t.Helper()
	var events []event
	for line := range strings.Lines(printed) {
		var e event
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&e); err != nil {
			t.Fatalf("%v in line %s", err, line)
		}
		events = append(events, e)
	}
	if len(events) == 0 {
		t.Fatal("no events")
	}
	return events
}

// TestJSONFailure: an error is in the last event.
func TestJSONFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		printed, err := virtual(t, "testdata/intercepted.txt", "-json", "-4", "www.shop.example")
		if err == nil {
			t.Fatal("got an answer, want an error")
		}
		events := readEvents(t, printed)
		if e := events[len(events)-1]; e.Event != "done" || !strings.Contains(e.Error, "intercepted") {
			t.Errorf("last event: got %+v, want done with the error", e)
		}
	})
}
