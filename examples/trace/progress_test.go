package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// A walk that takes longer than a second says so on standard error, and what it waits for; a
// faster one, and one of a mock Internet, does not.
func TestProgress(t *testing.T) {
	const slow = `
-- zone shop.example. at 198.51.100.3 --
www  A  192.0.2.80
-- fault 198.51.100.3 --
latency %
`
	for _, test := range []struct {
		name, delay string
		silent      bool // whether there is nobody to tell
		want        []string
	}{
		{"fast", "10ms", false, nil},
		{"slow", "2500ms", false, []string{
			"trace: after 1s: ", " sent, the last to 198.51.100.3#53(ns1.shop.example) for ", "trace: after 2s: "}},
		{"mock", "2500ms", true, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, strings.Replace(slow, "%", test.delay, 1))
				c, err := parseArgs([]string{"www.shop.example", "-4"}, t.Output())
				if err != nil {
					t.Fatal(err)
				}
				var stdout, stderr bytes.Buffer
				place := internet{options: in.Options(), close: in.Close}
				place.options.Family = resolver.FamilyIPv4Only
				if !test.silent {
					place.progress = &stderr
				}
				begin := time.Now()
				err = c.trace(t.Context(), place, &stdout)
				told := stderr.String()
				for _, want := range test.want {
					if !strings.Contains(told, want) {
						t.Errorf("got %q, %v after %v, want %q", told, err, time.Since(begin), want)
					}
				}
				if len(test.want) == 0 && told != "" {
					t.Errorf("got %q after %v, want nothing", told, time.Since(begin))
				}
				time.Sleep(time.Minute)
				if stderr.String() != told {
					t.Errorf("after the end: got %q", stderr.String())
				}
			})
		})
	}
}
