package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// stage is a time in the life of a root zone's keys, and what is known by then.
type stage struct {
	label, root string
	wait        time.Duration // until it is asked
	states      []string      // of the keys, oldest first
	status      dnssec.Status // of an answer, with the anchors kept
}

const day = 24 * time.Hour

// A root zone rolls its key: with the anchors kept here validation goes on, with the old
// ones answers are bogus at the end.
func TestRollover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		zones := func(root string) string {
			return "-- zone . " + root + " --\n-- zone example. signed --\nwww A 192.0.2.80\n"
		}
		in := resolvertest.New(t, zones("signed"))
		o := in.Options()
		dir := t.TempDir()
		state, first := filepath.Join(dir, "state.json"), filepath.Join(dir, "first.txt")
		if err := os.WriteFile(first, []byte(in.Anchors()[0].String()), 0o600); err != nil {
			t.Fatal(err)
		}
		old := in.Anchors()
		for _, s := range []stage{
			{"at first", "signed", 0, []string{"Valid"}, dnssec.Secure},
			{"a new key", "ksk=1,2", day, []string{"Valid", "AddPend"}, dnssec.Secure},
			{"still new", "ksk=1,2", 29 * day, []string{"Valid", "AddPend"}, dnssec.Secure},
			{"seen for 30 days", "ksk=1,2", 2 * day, []string{"Valid", "Valid"}, dnssec.Secure},
			{"the old one is gone", "ksk=2", 10 * day, []string{"Missing", "Valid"}, dnssec.Secure},
		} {
			time.Sleep(s.wait)
			if err := in.Update(zones(s.root)); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := run(t.Context(), []string{"-state", state, "-anchors", first}, o, &out); err != nil {
				t.Fatalf("%s: %v", s.label, err)
			}
			var got []string
			for line := range strings.Lines(out.String()) {
				if word, rest, _ := strings.Cut(line, " "); strings.Contains(rest, "since") {
					got = append(got, word)
				}
			}
			if strings.Join(got, " ") != strings.Join(s.states, " ") || !strings.Contains(out.String(), "to be asked again 20") {
				t.Errorf("%s: got %q, want %q; printed\n%s", s.label, got, s.states, out.String())
			}
			kept, err := load(state)
			if err != nil {
				t.Fatal(err)
			}
			anchors, err := kept.Anchors()
			if err != nil {
				t.Fatal(err)
			}
			if got := statusWith(t, o, anchors); got != s.status {
				t.Errorf("%s: got %v, want %v", s.label, got, s.status)
			}
		}
		if got := statusWith(t, o, old); got != dnssec.Bogus {
			t.Errorf("with the first anchors: got %v, want bogus", got)
		}
	})
}

func statusWith(t *testing.T, o resolver.Options, anchors []dnssec.Anchor) dnssec.Status {
	t.Helper()
	o.TrustAnchors = anchors
	r, err := resolver.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	result, err := r.Resolve(t.Context(), "www.example.", dns.TypeA)
	var failure *resolver.Error
	switch {
	case errors.As(err, &failure):
		return failure.Status
	case err != nil:
		t.Fatal(err)
	}
	return result.Status
}

// Keys that no trusted key has signed are ignored, and the state stays as it was.
func TestForgedKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, "-- zone . signed --\n-- zone example. signed --\n")
		state := filepath.Join(t.TempDir(), "state.json")
		begin, err := dnssec.NewRollover(in.Anchors(), time.Now())
		if err == nil {
			err = save(state, begin)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := in.Update("-- zone . ksk=2 --\n-- zone example. signed --\n"); err != nil {
			t.Fatal(err)
		}
		var bogus *dnssec.BogusError
		if err := run(t.Context(), []string{"-state", state}, in.Options(), t.Output()); !errors.As(err, &bogus) {
			t.Errorf("got %v, want bogus", err)
		}
		kept, err := load(state)
		if err != nil || len(kept.Keys) != 1 || kept.Keys[0].State != dnssec.KeyValid {
			t.Errorf("got %+v, %v, want the one key Valid", kept, err)
		}
	})
}

// With -follow the zone is asked again when it is time, and a failure is no end.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, "-- zone . signed at 198.51.100.1 --\n-- zone example. signed --\n")
		o := in.Options()
		state := filepath.Join(t.TempDir(), "state.json")
		begin, err := dnssec.NewRollover(in.Anchors(), time.Now())
		if err == nil {
			err = save(state, begin)
		}
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var out bytes.Buffer
		done := make(chan error)
		go func() { done <- run(ctx, []string{"-state", state, "-follow"}, o, &out) }()
		time.Sleep(day)
		in.Fault("198.51.100.1", resolvertest.Rcode(dns.RcodeServerFailure))
		time.Sleep(day)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		good, bad := strings.Count(out.String(), "Valid"), strings.Count(out.String(), "nothing learnt")
		if good < 2 || bad < 2 || good-bad > 48 {
			t.Errorf("got %d reports and %d failures in two days, want some of both; printed\n%s", good, bad, out.String())
		}
	})
}

// When the last key that is known has been revoked, every run says so, by an exit code of
// its own, until one begins anew with other anchors.
func TestLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, "-- zone . signed --\n-- zone example. signed --\nwww A 192.0.2.80\n")
		dir := t.TempDir()
		state, fresh := filepath.Join(dir, "state.json"), filepath.Join(dir, "fresh.txt")
		lost, err := dnssec.NewRollover(in.Anchors(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		lost.Keys[0].State, lost.Keys[0].HoldDown = dnssec.KeyRevoked, time.Now().Add(30*day)
		if err := save(state, lost); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(fresh, []byte(in.Anchors()[0].String()), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{nil, nil, {"-follow"}} {
			var out bytes.Buffer
			err := run(t.Context(), append([]string{"-state", state}, args...), in.Options(), &out)
			if exitCode(err) != exitLost || !strings.Contains(err.Error(), "-restart") || !strings.Contains(out.String(), "Revoked") {
				t.Errorf("%q: got %v and\n%swant that no key is trusted, and how to go on", args, err, out.String())
			}
		}
		if err := run(t.Context(), []string{"-state", state, "-anchors", fresh, "-restart"}, in.Options(), t.Output()); err != nil {
			t.Fatal(err)
		}
		kept, err := os.Open(state)
		if err != nil {
			t.Fatal(err)
		}
		defer kept.Close()
		anchors, err := dnssec.ParseAnchors(kept) // as other programs read the file
		if err != nil {
			t.Fatal(err)
		}
		if got := statusWith(t, in.Options(), anchors); got != dnssec.Secure {
			t.Errorf("got %v, want secure", got)
		}
	})
}

// The file keeps its mode, and the link that leads to it.
func TestSaveKeepsModeAndLink(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	if err := os.WriteFile(real, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", link); err != nil {
		t.Skip(err)
	}
	begin, err := dnssec.NewRollover(dnssec.DefaultAnchors(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	fresh := filepath.Join(dir, "fresh")
	for _, file := range []string{link, fresh} {
		if err := save(file, begin); err != nil {
			t.Fatal(err)
		}
	}
	if at, err := os.Readlink(link); err != nil || at != "real" {
		t.Errorf("got %q, %v, want the link as it was", at, err)
	}
	for file, want := range map[string]os.FileMode{real: 0o640, fresh: 0o644} {
		if info, err := os.Stat(file); err != nil || info.Mode() != want {
			t.Errorf("%s: got %v, %v, want mode %v", file, info.Mode(), err, want)
		}
		if state, err := load(file); err != nil || len(state.Keys) != len(begin.Keys) {
			t.Errorf("%s: got %+v, %v", file, state, err)
		}
	}
}

// A state that cannot be used is an error that names the file, and what is wrong in it.
func TestBrokenState(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.json")
	for _, text := range []string{"", "no state", "{}", `{"zone":".","keys":[]}`, `{"zone":".","keys":[{"record":"","state":"Valid"}]}`,
		`{"zone":".","keys":[{"record":"example. A 192.0.2.1","state":"Valid"}]}`, `{"zone":".","keys":[{"state":"Start"}]}`} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := begin(file, "", false)
		if err == nil || !strings.Contains(err.Error(), file) || strings.Contains(err.Error(), "%!") {
			t.Errorf("%q: got %v, want an error that names the file", text, err)
		}
	}
}

func TestUsage(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad")
	if err := os.WriteFile(bad, []byte("no state"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		nil, {"-nosuch"}, {"-state", bad}, {"-state", dir}, {"-state", filepath.Join(dir, "new"), "-anchors", bad},
		{"-state", filepath.Join(dir, "new"), "-anchors", filepath.Join(dir, "missing")}, {"-state", bad, "more"},
	} {
		if err := run(t.Context(), args, resolver.Options{}, t.Output()); err == nil {
			t.Errorf("%q: got no error", args)
		}
	}
	if err := run(t.Context(), []string{"-h"}, resolver.Options{}, t.Output()); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: got %v", err)
	}
	if err := save(filepath.Join(dir, "no", "such"), dnssec.Rollover{}); err == nil {
		t.Error("a folder that is not there: got no error")
	}
}

// The files that the tests of other programs read are such as this one writes.
func TestTestdata(t *testing.T) {
	for file, trusted := range map[string]int{"testdata/state.json": 2, "testdata/lost.json": 0} {
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		state, err := load(file)
		if err != nil {
			t.Fatal(err)
		}
		written := filepath.Join(t.TempDir(), "state.json")
		if err := save(written, state); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(written); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: written as\n%s%v", file, got, err)
		}
		if anchors, err := state.Anchors(); len(anchors) != trusted || errors.Is(err, dnssec.ErrNoAnchorLeft) != (trusted == 0) {
			t.Errorf("%s: got %d trusted keys and %v, want %d", file, len(anchors), err, trusted)
		}
	}
}
