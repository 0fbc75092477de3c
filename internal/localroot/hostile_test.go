package localroot

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/expiring"
	"github.com/iterdns/iterdns/internal/test/rootsigner"
)

// readerFunc is a reader without a Close method.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// closer is a reader whose Close panics.
type closer struct{ io.Reader }

func (closer) Close() error { panic("close") }

// runOnce runs a Root with one source until its first round has ended.
func runOnce(t *testing.T, s Source) (r *Root, err error) {
	t.Helper()
	base, end := context.WithCancel(t.Context())
	r = New(Config{Sources: []Source{s}, Trust: trustOf(t, 0), Now: time.Now, SignatureTime: time.Now})
	done := make(chan struct{})
	go func() { r.Run(base); close(done) }()
	err = r.Await(base, base)
	end()
	<-done
	return r, err
}

// Readers that never come to an end, whatever they do meanwhile, are given up.
func TestReadersWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const mostReads = 10_000 // of small pieces
		for name, c := range map[string]struct {
			read  readerFunc
			fault Fault
		}{
			"nothing, at once, for ever": {func([]byte) (int, error) { return 0, nil }, FaultSource},
			"nothing each second":        {func([]byte) (int, error) { time.Sleep(time.Second); return 0, nil }, FaultSource},
			"a byte each second":         {func(b []byte) (int, error) { time.Sleep(time.Second); return copy(b, ";"), nil }, FaultSize},
			"too much":                   {func(b []byte) (int, error) { return copy(b, strings.Repeat(";", len(b))), nil }, FaultSize},
			"more than there is room":    {func(b []byte) (int, error) { return len(b) + 1, nil }, FaultSource},
			"less than nothing":          {func([]byte) (int, error) { return -1, nil }, FaultSource},
			"a panic":                    {func([]byte) (int, error) { panic("read") }, FaultSource},
		} {
			reads := 0
			counted := readerFunc(func(b []byte) (int, error) {
				if reads++; reads > mostReads {
					return 0, io.EOF
				}
				return c.read(b)
			})
			r, err := runOnce(t, Source{Name: "reader", Open: func(context.Context, uint32) (io.ReadCloser, error) { return io.NopCloser(counted), nil }})
			if e := (*Error)(nil); !errors.As(err, &e) || e.Fault != c.fault || r.Zone() != nil {
				t.Errorf("%s: got %v, want fault %d", name, err, c.fault)
			}
			if reads > mostReads {
				t.Errorf("%s: it was not given up", name)
			}
		}
	})
}

// A text whose Close panics, after it was read or while it is waited for, ends nothing else.
func TestCloseOfTextPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := rootsigner.Sign(t, smallRoot, rootsigner.Options{Signed: time.Now()})
		open := func(r io.Reader) Source {
			return Source{Name: "reader", Open: func(context.Context, uint32) (io.ReadCloser, error) { return closer{r}, nil }}
		}
		if _, err := runOnce(t, open(strings.NewReader(text))); err == nil {
			t.Error("no error, though Close has panicked")
		}
		var reads atomic.Int32
		waits := readerFunc(func([]byte) (int, error) {
			reads.Add(1)
			time.Sleep(2 * roundTime)
			return 0, io.EOF
		})
		if _, err := runOnce(t, open(waits)); err == nil || reads.Load() == 0 {
			t.Errorf("got %v after %d reads, want an error", err, reads.Load())
		}
	})
}

// A source that is slow does not keep those behind it from being asked.
func TestSlowSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		drips := Source{Name: "drips", Open: func(context.Context, uint32) (io.ReadCloser, error) {
			return io.NopCloser(readerFunc(func(b []byte) (int, error) { time.Sleep(time.Second); return copy(b, ";"), nil })), nil
		}}
		w := newWorld(t, rootsigner.Options{Serial: 1}, func(c *Config) {
			read := Source{Name: "read once", Once: true} // is not waited for
			c.Sources = []Source{drips, drips, drips, c.Sources[0], read}
		})
		begun := time.Now()
		if err := w.round(t.Context()); err != nil || w.State().Source != "source" || w.Counts.Failures[FaultSize].Load() != 3 {
			t.Errorf("got %v, %+v", err, w.State())
		}
		if took := time.Since(begun); took >= roundTime {
			t.Errorf("took %v", took)
		}
		w.config.Sources = []Source{drips, {Name: "read once", Once: true}}
		begun = time.Now()
		err := w.round(t.Context())
		if took := time.Since(begun); from("", err).Fault != FaultSize || took < roundTime || took > roundTime+time.Second {
			t.Errorf("alone: got %v after %v", err, took)
		}
	})
}

// A DNAME at the apex makes names below it others, which the copy leaves to the servers.
func TestReplyBelowApexDNAME(t *testing.T) {
	text := rootsigner.Sign(t, smallRoot+". 60 DNAME org.\n", rootsigner.Options{Signed: time.Now(), Serial: 1})
	c, err := readText(t.Context(), strings.NewReader(text), dnsname.Root)
	if err != nil {
		t.Fatal(err)
	}
	z := newZone(c)
	if z.Reply(dnsname.MustParse("missing."), dns.TypeA) != nil {
		t.Error("a name below a DNAME is denied")
	}
	if z.Reply(dnsname.Root, dns.TypeDNAME) == nil || z.Reply(dnsname.Root, dns.TypeMX) == nil {
		t.Error("the name of the DNAME itself is not answered")
	}
}

// A clock that is set back lengthens no life: the sources are asked at the first question, once.
func TestClockIsSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var offset atomic.Int64
		w := newWorld(t, rootsigner.Options{Serial: 1, Refresh: 1800, Expire: 7200}, func(c *Config) {
			c.Now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
		})
		w.start(t)
		for i, back := range []time.Duration{time.Second, time.Minute, time.Hour, 20 * 365 * 24 * time.Hour} {
			offset.Add(-int64(back))
			if ok := w.Zone() != nil; ok != (back <= expiring.ClockSlack) {
				t.Errorf("set back by %v: in use: %t", back, ok)
			}
			synctest.Wait()
			for range 10 {
				w.Zone()
				synctest.Wait()
			}
			if s := w.State(); !s.InUse || back > expiring.ClockSlack && time.Until(s.Confirmed) != time.Duration(offset.Load()) || len(w.rounds()) != max(1, i+1) {
				t.Errorf("set back by %v: got %+v, %d rounds", back, s, len(w.rounds()))
			}
		}
		w.mu.Lock()
		w.text = ""
		w.mu.Unlock()
		offset.Add(-int64(time.Hour))
		for range 10 {
			if w.Zone() != nil {
				t.Error("in use, though nobody knows how old it is")
			}
			synctest.Wait()
		}
		if got := len(w.rounds()); got != 5 {
			t.Errorf("got %d rounds, want one for all questions", got)
		}
	})
}
