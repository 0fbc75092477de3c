package localroot

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/test/rootsigner"
)

const smallRoot = `
. 518400 NS a.root-servers.net.
. 518400 NS b.root-servers.net.
net. NS ns1.net.
ns1.net. A 192.0.2.53
root-servers.net. NS a.root-servers.net.
a.root-servers.net. A 198.41.0.4
b.root-servers.net. A 198.41.0.5
org. NS ns1.net.
org. 86400 DS 1 13 2 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
`

// signedAt is when the small root zones are signed.
var signedAt = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func trustOf(t testing.TB, seed byte) Trust {
	t.Helper()
	anchor, err := dnssec.NewAnchor(rootsigner.Key(seed))
	if err != nil {
		t.Fatal(err)
	}
	return Trust{Anchors: func() []dnssec.Anchor { return []dnssec.Anchor{anchor} }}
}

// What may be wrong with a small zone that is otherwise as it should be.
func TestVerify(t *testing.T) {
	for _, c := range []struct {
		name    string
		options rootsigner.Options
		seed    byte // of the anchor
		fault   Fault
		good    bool
	}{
		{"as it should be", rootsigner.Options{}, 0, 0, true},
		{"SHA-512", rootsigner.Options{Hash: 2}, 0, 0, true},
		{"another key", rootsigner.Options{}, 1, FaultSignature, false},
		{"not signed", rootsigner.Options{Unsigned: true}, 0, FaultSignature, false},
		{"no ZONEMD", rootsigner.Options{NoZONEMD: true}, 0, FaultUnverifiable, false},
		{"a private scheme", rootsigner.Options{Scheme: 240}, 0, FaultUnverifiable, false},
		{"an unknown hash", rootsigner.Options{Hash: 3}, 0, FaultUnverifiable, false},
		{"a wrong digest", rootsigner.Options{Digest: strings.Repeat("ab", 48)}, 0, FaultDigest, false},
		{"of another serial", rootsigner.Options{ZONEMDSerial: 1}, 0, FaultDigest, false},
		{"expired", rootsigner.Options{Valid: time.Second}, 0, FaultSignature, false},
		{"SHA-384 and SHA-512", rootsigner.Options{Also: []*dns.ZONEMD{{Scheme: 1, Hash: 2}}}, 0, 0, true},
		{"one wrong, one right", rootsigner.Options{Digest: strings.Repeat("ab", 48), Also: []*dns.ZONEMD{{Scheme: 1, Hash: 2}}}, 0, 0, true},
		{"both wrong", rootsigner.Options{Digest: strings.Repeat("ab", 48), Also: []*dns.ZONEMD{{Scheme: 1, Hash: 2, Digest: strings.Repeat("cd", 64)}}}, 0, FaultDigest, false},
		{"one of another serial, one right", rootsigner.Options{ZONEMDSerial: 1, Also: []*dns.ZONEMD{{Scheme: 1, Hash: 2}}}, 0, 0, true},
		{"both of another serial", rootsigner.Options{ZONEMDSerial: 1, Also: []*dns.ZONEMD{{Serial: 1, Scheme: 1, Hash: 2}}}, 0, FaultDigest, false},
		{"one private, one right", rootsigner.Options{Hash: 240, Also: []*dns.ZONEMD{{Scheme: 1, Hash: 2}}}, 0, 0, true},
		{"private schemes and algorithms", rootsigner.Options{Scheme: 240, Also: []*dns.ZONEMD{{Scheme: 1, Hash: 240}, {Scheme: 255, Hash: 255}}}, 0, FaultUnverifiable, false},
		{"SHA-384 twice, one right", rootsigner.Options{Also: []*dns.ZONEMD{{Scheme: 1, Hash: 1, Digest: strings.Repeat("ab", 48)}}}, 0, FaultUnverifiable, false},
		{"SHA-384 twice, of two serials", rootsigner.Options{Also: []*dns.ZONEMD{{Serial: 1, Scheme: 1, Hash: 1}}}, 0, FaultUnverifiable, false},
		{"SHA-384 twice, SHA-512 once", rootsigner.Options{Also: []*dns.ZONEMD{{Scheme: 1, Hash: 1, Digest: strings.Repeat("ab", 48)}, {Scheme: 1, Hash: 2}}}, 0, 0, true},
		{"the digest of SHA-512 as SHA-384", rootsigner.Options{Digest: strings.Repeat("ab", 64)}, 0, FaultUnverifiable, false},
	} {
		c.options.Signed = signedAt
		z, err := parseText(t.Context(), rootsigner.Sign(t, smallRoot, c.options), dnsname.Root)
		if err != nil {
			t.Fatal(err)
		}
		zone, err := trustOf(t, c.seed).verify(z, signedAt.Add(time.Minute))
		switch {
		case c.good && (err != nil || !zone.Secure):
			t.Errorf("%s: got %v", c.name, err)
		case !c.good && (err == nil || from("", err).Fault != c.fault):
			t.Errorf("%s: got %v, want fault %d", c.name, err, c.fault)
		}
	}
	// Without an anchor for the root, ZONEMD is a checksum.
	z, err := parseText(t.Context(), rootsigner.Sign(t, smallRoot, rootsigner.Options{Unsigned: true}), dnsname.Root)
	if err != nil {
		t.Fatal(err)
	}
	untrusting := Trust{Anchors: func() []dnssec.Anchor { return nil }}
	zone, err := untrusting.verify(z, signedAt)
	if err != nil || zone.Secure {
		t.Errorf("no anchor: got %v, %t", err, zone != nil && zone.Secure)
	}
	z.records[0].ttl++
	if _, err := untrusting.verify(z, signedAt); err == nil || from("", err).Fault != FaultDigest {
		t.Errorf("no anchor, changed: got %v", err)
	}
}

// world is a source that can fail and change, and a Root that reads it.
type world struct {
	*Root
	mu      sync.Mutex
	text    string // "": it fails
	asked   []time.Time
	changes []Change
}

func newWorld(t *testing.T, o rootsigner.Options, change func(*Config)) *world {
	t.Helper()
	w := new(world)
	w.set(t, o)
	open := func(_ context.Context, held uint32) (io.ReadCloser, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.asked = append(w.asked, time.Now())
		if w.text == "" {
			return nil, errors.New("out of order")
		}
		return io.NopCloser(strings.NewReader(w.text)), nil
	}
	c := Config{
		Sources: []Source{{Name: "source", Open: open}}, Trust: trustOf(t, 0), Now: time.Now, SignatureTime: time.Now,
		Changed: w.note,
	}
	if change != nil {
		change(&c)
	}
	w.Root = New(c)
	return w
}

func (w *world) note(e Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changes = append(w.changes, e)
}

// rounds are the times at which the source was asked, and told what was told of it.
func (w *world) rounds() []time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked
}

func (w *world) told() []Change {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changes
}

func (w *world) set(t *testing.T, o rootsigner.Options) {
	t.Helper()
	o.Signed = time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = rootsigner.Sign(t, smallRoot, o)
}

// start runs the Root until the bubble's test ends.
func (w *world) start(t *testing.T) {
	base, end := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.Run(base) })
	t.Cleanup(func() { end(); running.Wait() })
	synctest.Wait()
}

// The timers of the SOA: refresh, retry, expire, and back again.
func TestTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rootsigner.Options{Serial: 1, Refresh: 1800, Retry: 900, Expire: 7200}, nil)
		w.start(t)
		within := func(least, most time.Duration) {
			t.Helper()
			n := len(w.rounds())
			got := w.rounds()[n-1].Sub(w.rounds()[n-2])
			if got < least || got > most {
				t.Errorf("asked again after %v, want %v to %v", got, least, most)
			}
		}
		if z := w.Zone(); z == nil || z.Serial != 1 {
			t.Fatalf("got %+v", w.State())
		}
		time.Sleep(30 * time.Minute)
		within(1350*time.Second, 30*time.Minute)
		w.set(t, rootsigner.Options{Serial: 2, Refresh: 1800, Retry: 900, Expire: 7200})
		time.Sleep(30 * time.Minute)
		if s := w.State(); s.Serial != 2 || w.Counts.Loaded.Load() != 2 || w.Counts.Unchanged.Load() == 0 || !s.InUse {
			t.Fatalf("got %+v", s)
		}
		w.set(t, rootsigner.Options{Serial: 1}) // older
		time.Sleep(30 * time.Minute)
		if s := w.State(); s.Serial != 2 || s.Err == nil || from("", s.Err).Fault != FaultSerial || from("", s.Err).Serial != 1 {
			t.Fatalf("got %+v", s)
		}
		w.mu.Lock()
		w.text = ""
		w.mu.Unlock()
		time.Sleep(15 * time.Minute)
		time.Sleep(15 * time.Minute)
		within(675*time.Second, 15*time.Minute)
		if w.Zone() == nil {
			t.Error("the copy is given up before it expires")
		}
		confirmed := w.State().Confirmed
		time.Sleep(time.Until(confirmed.Add(2*time.Hour - time.Second)))
		if w.Zone() == nil {
			t.Error("the copy is given up before it expires")
		}
		time.Sleep(time.Second)
		if s := w.State(); w.Zone() != nil || s.InUse || s.Serial != 2 {
			t.Errorf("expired, got %+v", s)
		}
		w.set(t, rootsigner.Options{Serial: 1}) // any good copy is better than none
		time.Sleep(15 * time.Minute)
		if z := w.Zone(); z == nil || z.Serial != 1 || w.State().Err != nil {
			t.Errorf("got %+v", w.State())
		}
		loaded, failed := 0, 0
		for _, e := range w.told() {
			if e.Err != nil {
				failed++
			} else {
				loaded++
			}
		}
		if uint64(loaded) != w.Counts.Loaded.Load() || failed < 5 {
			t.Errorf("got %d changes without and %d with an error", loaded, failed)
		}
	})
}

// The signatures of the copy end its use too.
func TestSignaturesExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rootsigner.Options{Valid: time.Hour}, nil)
		w.start(t)
		time.Sleep(time.Hour - time.Second)
		if w.Zone() == nil {
			t.Error("given up too early")
		}
		if got, want := w.State().Expires, signedAt.AddDate(-26, 0, 0).Add(time.Hour); !got.Equal(want) {
			t.Errorf("expires %v, want %v", got, want)
		}
		time.Sleep(time.Second)
		if w.Zone() != nil {
			t.Error("used with expired signatures")
		}
	})
}

// Timers of any size ask neither without a pause nor never again, and keep no copy longer than its
// signatures.
func TestTimersOfAnySize(t *testing.T) {
	const most = 1<<32 - 1
	for _, c := range []struct {
		options    rootsigner.Options
		inUse      bool
		over       time.Duration
		least, max int // rounds in that time
		until      time.Duration
	}{
		{rootsigner.Options{ZeroTimers: true}, false, 2 * time.Hour, 8, 20, 0},
		{rootsigner.Options{Refresh: 1, Retry: 1, Expire: 1}, false, 2 * time.Hour, 120, 170, time.Second},
		{rootsigner.Options{Refresh: 1, Retry: 1}, true, 2 * time.Hour, 120, 170, 7 * 24 * time.Hour},
		{rootsigner.Options{Refresh: 1 << 31, Retry: 1 << 31, Expire: 1 << 31}, true, 24 * time.Hour, 2, 2, 13 * 24 * time.Hour},
		{rootsigner.Options{Refresh: most, Retry: most, Expire: most}, true, 24 * time.Hour, 2, 2, 13 * 24 * time.Hour},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, c.options, nil)
			signed := time.Now()
			w.start(t)
			if (w.Zone() != nil) != (c.until > 0) || c.until == 0 && w.Counts.Failures[FaultExpired].Load() != 1 {
				t.Errorf("%+v: got %+v", c.options, w.State())
			}
			if s := w.State(); c.until > 0 && !s.Expires.Equal(signed.Add(c.until)) {
				t.Errorf("%+v: expires %v", c.options, s.Expires)
			}
			time.Sleep(c.over)
			if n := len(w.rounds()); n < c.least || n > c.max {
				t.Errorf("%+v: got %d rounds in %v, want %d to %d", c.options, n, c.over, c.least, c.max)
			}
			w.mu.Lock()
			w.text = ""
			w.mu.Unlock()
			time.Sleep(12 * time.Hour)
			if inUse := w.Zone() != nil; inUse != c.inUse {
				t.Errorf("%+v: in use: %t", c.options, inUse)
			}
			time.Sleep(time.Until(signed.Add(13 * 24 * time.Hour)))
			if w.Zone() != nil {
				t.Errorf("%+v: in use after its signatures have expired", c.options)
			}
		})
	}
}

// Serial numbers are compared as RFC 1982 says, where they begin again too.
func TestSerialNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rootsigner.Options{Serial: 1<<32 - 2}, nil)
		w.start(t)
		for _, c := range []struct {
			serial uint32
			taken  bool
		}{{1<<32 - 3, false}, {1<<32 - 1, true}, {1, true}, {1<<32 - 1, false}, {1 << 31, true}, {1<<31 - 1, false}, {1<<32 - 1, true}, {1<<31 - 1, false}, {1<<31 - 2, true}} {
			before := w.State().Serial
			w.set(t, rootsigner.Options{Serial: c.serial})
			time.Sleep(31 * time.Minute)
			if s := w.State(); !s.InUse || (s.Serial == c.serial) != c.taken || !c.taken && (s.Serial != before || from("", s.Err).Fault != FaultSerial) {
				t.Errorf("%d after %d: got %+v, want it taken: %t", c.serial, before, s, c.taken)
			}
		}
	})
}

// Until there is a copy, sources are tried again soon, and less and less often.
func TestFirstRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rootsigner.Options{}, nil)
		w.text = ""
		w.start(t)
		if err := w.Await(t.Context(), t.Context()); err == nil || from("", err).Fault != FaultSource {
			t.Errorf("got %v", err)
		}
		time.Sleep(time.Hour)
		if n := len(w.rounds()); n < 7 || n > 10 {
			t.Errorf("got %d rounds in an hour, want 7 to 10", n)
		}
		if got := w.rounds()[1].Sub(w.rounds()[0]); got > firstRetry || got < firstRetry*3/4 {
			t.Errorf("tried again after %v", got)
		}
	})
}

// A host that slept notices at the first question.
func TestClockJumps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ahead time.Duration
		now := func() time.Time { return time.Now().Add(ahead) }
		w := newWorld(t, rootsigner.Options{}, func(c *Config) { c.Now = now })
		w.start(t)
		ahead = 8 * 24 * time.Hour
		if w.Zone() != nil {
			t.Error("used after its expiry")
		}
		synctest.Wait()
		if w.Zone() == nil || len(w.rounds()) != 2 {
			t.Errorf("got %d rounds: the sources are not asked at once", len(w.rounds()))
		}
	})
}

// The copy is kept in a file, and taken from there; what is wrong there is no worse than nothing.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root.zone")
	inFile := func(c *Config) { c.File = path }
	atTime := func(t *testing.T, after time.Duration, change func(*Config), f func(t *testing.T, w *world)) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(after)
			w := newWorld(t, rootsigner.Options{Serial: 7}, change)
			f(t, w)
		})
	}
	atTime(t, 0, inFile, func(t *testing.T, w *world) {
		w.start(t)
		info, err := os.Stat(path)
		if err != nil || !info.ModTime().Equal(w.State().Confirmed) {
			t.Fatalf("got %v, %v, want the file of %v", info, err, w.State().Confirmed)
		}
		time.Sleep(time.Hour)
		if info, _ = os.Stat(path); !info.ModTime().Equal(w.State().Confirmed) || time.Since(info.ModTime()) > 30*time.Minute {
			t.Errorf("confirmed %v, and the file says %v", w.State().Confirmed, info.ModTime())
		}
	})
	kept, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The file is there before any source is asked, and nothing is asked that is not due.
	atTime(t, time.Hour+time.Minute, inFile, func(t *testing.T, w *world) {
		w.start(t)
		if s := w.State(); !s.InUse || s.Serial != 7 || s.Source != path || len(w.rounds()) > 0 && w.rounds()[0].Equal(w.State().Loaded) {
			t.Errorf("got %+v, and %d rounds", s, len(w.rounds()))
		}
		if err := w.Await(t.Context(), t.Context()); err != nil {
			t.Error(err)
		}
	})
	// It expires like any other.
	atTime(t, 8*24*time.Hour, inFile, func(t *testing.T, w *world) {
		w.text = ""
		w.start(t)
		if s := w.State(); s.InUse || w.Counts.Failures[FaultExpired].Load() != 1 {
			t.Errorf("got %+v", s)
		}
	})
	for name, text := range map[string]string{
		"cut": string(kept[:len(kept)-100]), "changed": strings.Replace(string(kept), "192.0.2.53", "192.0.2.54", 1), "empty": "",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		os.Chtimes(path, time.Time{}, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
		atTime(t, 0, inFile, func(t *testing.T, w *world) {
			w.start(t)
			if s := w.State(); !s.InUse || s.Source != "source" || w.Counts.Failures[FaultSyntax].Load()+w.Counts.Failures[FaultDigest].Load() != 1 {
				t.Errorf("%s: got %+v", name, s)
			}
			if again, _ := os.ReadFile(path); string(again) != string(kept) {
				t.Errorf("%s: the file is not replaced", name)
			}
		})
	}
	// A file that cannot be written is told, and the copy is used.
	atTime(t, 0, func(c *Config) { c.File = filepath.Join(path, "below", "a-file") }, func(t *testing.T, w *world) {
		w.start(t)
		last := w.told()[len(w.told())-1]
		if !w.State().InUse || w.Counts.Failures[FaultFile].Load() != 1 || last.Err != nil && from("", last.Err).Fault == FaultSource {
			t.Errorf("got %+v, %v", w.State(), last)
		}
	})
	if left, _ := filepath.Glob(path + ".tmp*"); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

// Sources are tried in order, and what is wrong with one does not keep the next from being used.
func TestSourcesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := rootsigner.Sign(t, smallRoot, rootsigner.Options{Signed: time.Now()})
		text := func(name, text string) Source {
			return Source{Name: name, Once: true, Open: func(context.Context, uint32) (io.ReadCloser, error) {
				return io.NopCloser(strings.NewReader(text)), nil
			}}
		}
		panics := Source{Name: "panics", Open: func(context.Context, uint32) (io.ReadCloser, error) { panic("of the program") }}
		w := newWorld(t, rootsigner.Options{}, func(c *Config) {
			c.Sources = []Source{
				{Name: "no such file", Path: filepath.Join(t.TempDir(), "none")}, {Name: "a folder", Path: t.TempDir()}, panics,
				text("a page", "<html>"), text("good", good), text("not reached", "<html>"),
			}
		})
		w.start(t)
		if s := w.State(); s.Source != "good" || s.Err != nil {
			t.Errorf("got %+v", s)
		}
		if got := [2]uint64{w.Counts.Failures[FaultSource].Load(), w.Counts.Failures[FaultSyntax].Load()}; got != [2]uint64{3, 1} {
			t.Errorf("failures: got %d", got)
		}
	})
}

// Everything that can be waited for ends with the resolver.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := func(io.Writer, *dns.Msg) {}
		reader, _ := io.Pipe()
		for name, source := range map[string]Source{
			"a server":   {Name: "silent", Server: serverAddr},
			"a function": {Name: "f", Open: func(ctx context.Context, _ uint32) (io.ReadCloser, error) { <-ctx.Done(); return nil, ctx.Err() }},
			"a text":     {Name: "pipe", Open: func(context.Context, uint32) (io.ReadCloser, error) { return reader, nil }},
		} {
			base, end := context.WithCancel(t.Context())
			r := New(Config{Sources: []Source{source}, Now: time.Now, SignatureTime: time.Now, Dial: dialTo(silent)})
			done := make(chan struct{})
			go func() { r.Run(base); close(done) }()
			wait, stop := context.WithCancel(t.Context())
			go stop()
			if err := r.Await(wait, base); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: got %v", name, err)
			}
			synctest.Wait() // so that it does wait for the source
			end()
			<-done
			if r.Counts.Failures[FaultSource].Load() > 0 {
				t.Errorf("%s: its end counts as a failure", name)
			}
		}
	})
}

// Copies are replaced while they are read.
func TestConcurrently(t *testing.T) {
	w := newWorld(t, rootsigner.Options{Serial: 1}, nil)
	base, end := context.WithCancel(t.Context())
	defer end()
	if err := w.round(base); err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for base.Err() == nil {
				if z := w.Zone(); z == nil || z.Reply("\x03org\x00", dns.TypeDS) == nil {
					t.Error("no reply")
					return
				}
				w.State()
			}
		})
	}
	for serial := range uint32(20) {
		w.set(t, rootsigner.Options{Serial: serial + 2})
		if err := w.round(base); err != nil {
			t.Error(err)
		}
		w.planned(0)
	}
	end()
	readers.Wait()
	if got := w.Zone().Serial; got != 21 {
		t.Errorf("got serial %d, want 21", got)
	}
}
