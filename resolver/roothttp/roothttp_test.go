package roothttp_test

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/test/rootsigner"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/roothttp"
)

// A program that fetches the root zone from IANA, keeps it on disk, and asks no root server, not
// even for the first name.
func ExampleSource() {
	cache, err := os.UserCacheDir()
	if err != nil {
		log.Fatal(err)
	}
	r, err := resolver.New(resolver.Options{LocalRoot: &resolver.LocalRoot{
		Sources: append([]resolver.LocalRootSource{roothttp.Source(nil, roothttp.IANA)}, resolver.LocalRootServers()...),
		File:    filepath.Join(cache, "root.zone"),
		Changed: func(c resolver.LocalRootChange) { log.Print("local root: ", c.LocalRootState) },
	}})
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	if err := r.AwaitLocalRoot(context.Background()); err != nil {
		log.Print("the root servers are asked: ", err)
	}
}

// server serves a text as a web server does.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	text     string
	tag      string
	status   int // 0: 200
	full     atomic.Int32
	notMod   atomic.Int32
	compress bool
}

func newServer(t *testing.T) *server {
	s := new(server)
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("ETag", s.tag)
	switch {
	case s.status != 0:
		w.WriteHeader(s.status)
		io.WriteString(w, "<html>out of order</html>")
	case r.Header.Get("If-None-Match") == s.tag:
		s.notMod.Add(1)
		w.WriteHeader(http.StatusNotModified)
	case s.compress: // a file that is compressed, rather than its transfer
		z := gzip.NewWriter(w)
		io.WriteString(z, s.text)
		z.Close()
	default:
		s.full.Add(1)
		io.WriteString(w, s.text)
	}
}

func (s *server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

const records = ". NS a.root-servers.net.\nnet. NS ns.net.\nns.net. A 192.0.2.1\n"

func TestSource(t *testing.T) {
	s := newServer(t)
	sign := func(serial uint32) string {
		return rootsigner.Sign(t, records, rootsigner.Options{Serial: serial, Signed: time.Now()})
	}
	s.text, s.tag = sign(1), `"one"`
	anchor, err := dnssec.NewAnchor(rootsigner.Key(0))
	if err != nil {
		t.Fatal(err)
	}
	var ahead atomic.Int64
	changes := make(chan error, 10)
	r, err := resolver.New(resolver.Options{
		TrustAnchors: []dnssec.Anchor{anchor},
		Now:          func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
		LocalRoot: &resolver.LocalRoot{
			Sources: []resolver.LocalRootSource{roothttp.Source(s.Client(), s.URL)},
			Changed: func(c resolver.LocalRootChange) { changes <- c.Err },
		},
		SignatureTime: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.AwaitLocalRoot(t.Context()); err != nil || <-changes != nil {
		t.Fatal(err)
	}
	// again asks for the copy once more, and waits until that has an end.
	again := func(until func(resolver.LocalRootStats) bool) {
		t.Helper()
		now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		for !r.LocalRootState().Refresh.After(now()) { // the round before plans the next one by the clock
			time.Sleep(time.Millisecond)
		}
		ahead.Add(int64(time.Hour))
		for !until(r.Stats().LocalRoot) {
			r.Resolve(t.Context(), "missing.", 1)
			r.Options().Cache.Clear()
			if t.Context().Err() != nil {
				t.Fatal("no end")
			}
			time.Sleep(time.Millisecond)
		}
	}
	again(func(s resolver.LocalRootStats) bool { return s.Unchanged > 0 })
	if s.full.Load() != 1 || s.notMod.Load() == 0 {
		t.Errorf("got %d whole texts, %d unchanged, want one, and some", s.full.Load(), s.notMod.Load())
	}
	for _, c := range []struct {
		name   string
		change func()
		fault  resolver.LocalRootFault
	}{
		{"an error page", func() { s.status = http.StatusServiceUnavailable }, resolver.LocalRootSourceFailed},
		{"a page", func() { s.text, s.tag = "<html>please log in</html>", `"page"` }, resolver.LocalRootSyntax},
		{"compressed", func() { s.text, s.tag, s.compress = sign(2), `"gz"`, true }, resolver.LocalRootSyntax},
		{"an older one", func() { s.text, s.tag = sign(1<<31+5), `"old"` }, resolver.LocalRootSerial},
		{"cut", func() { s.text, s.tag = sign(2)[:900], `"cut"` }, resolver.LocalRootSyntax},
	} {
		s.set(c.change)
		again(func(resolver.LocalRootStats) bool { return len(changes) > 0 })
		var failed *resolver.LocalRootError
		if err := <-changes; !errors.As(err, &failed) || failed.Fault != c.fault && c.name != "cut" {
			t.Errorf("%s: got %v, want %s", c.name, err, c.fault)
		}
		if state := r.LocalRootState(); !state.InUse || state.Serial != 1 {
			t.Errorf("%s: got %+v", c.name, state)
		}
		s.set(func() { s.status, s.compress = 0, false })
	}
	// What was refused is not taken for what is in use, though its tag is the newest.
	s.set(func() { s.text, s.tag = sign(3), `"cut"` })
	unchanged := r.Stats().LocalRoot.Unchanged
	again(func(s resolver.LocalRootStats) bool { return s.Loaded == 2 || s.Unchanged > unchanged })
	if state := r.LocalRootState(); state.Serial != 3 {
		t.Errorf("got %+v", state)
	}
}

// What servers may do beside serving the zone: each is a source that has failed, in bounded size, and
// changes nothing.
func TestHostileServers(t *testing.T) {
	const headers = "Content-Encoding"
	zone := rootsigner.Sign(t, records, rootsigner.Options{Signed: time.Now()})
	anchor, err := dnssec.NewAnchor(rootsigner.Key(0))
	if err != nil {
		t.Fatal(err)
	}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, zone) }))
	defer other.Close()
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		fault resolver.LocalRootFault // "": it is used
	}{
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			line := []byte(strings.Repeat("; more\n", 1000))
			for {
				if _, err := w.Write(line); err != nil {
					return
				}
			}
		}, resolver.LocalRootSize},
		"a gzip bomb": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(headers, "gzip")
			z := gzip.NewWriter(w)
			zeros := make([]byte, 1<<20)
			for range 1000 {
				if _, err := z.Write(zeros); err != nil {
					return
				}
			}
			z.Close()
		}, resolver.LocalRootSize},
		"compressed on the way": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(headers, "gzip")
			z := gzip.NewWriter(w)
			io.WriteString(z, zone)
			z.Close()
		}, ""},
		"damaged gzip": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(headers, "gzip")
			io.WriteString(w, zone)
		}, resolver.LocalRootSourceFailed},
		"elsewhere":            {http.RedirectHandler(other.URL, http.StatusFound).ServeHTTP, ""},
		"elsewhere and back":   {http.RedirectHandler("/", http.StatusFound).ServeHTTP, resolver.LocalRootSourceFailed},
		"elsewhere, no scheme": {http.RedirectHandler("file:///etc/hostname", http.StatusFound).ServeHTTP, resolver.LocalRootSourceFailed},
		"not modified, unasked": {
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) },
			resolver.LocalRootSourceFailed,
		},
		"a part": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusPartialContent)
			io.WriteString(w, zone)
		}, resolver.LocalRootSourceFailed},
		"no content": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, resolver.LocalRootSourceFailed},
		"nothing":    {func(http.ResponseWriter, *http.Request) {}, resolver.LocalRootSyntax},
		"less than announced": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000000")
			io.WriteString(w, zone)
		}, resolver.LocalRootSourceFailed},
		"hangs up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, resolver.LocalRootSourceFailed},
		"another zone": {
			func(w http.ResponseWriter, _ *http.Request) {
				io.WriteString(w, strings.ReplaceAll(zone, "192.0.2.1", "192.0.2.2"))
			},
			resolver.LocalRootDigest,
		},
	} {
		server := httptest.NewServer(c.serve)
		r, err := resolver.New(resolver.Options{
			TrustAnchors: []dnssec.Anchor{anchor},
			LocalRoot:    &resolver.LocalRoot{Sources: []resolver.LocalRootSource{roothttp.Source(server.Client(), server.URL)}},
		})
		if err != nil {
			t.Fatal(err)
		}
		err = r.AwaitLocalRoot(t.Context())
		var failed *resolver.LocalRootError
		if c.fault == "" && err != nil || c.fault != "" && (!errors.As(err, &failed) || failed.Fault != c.fault || r.LocalRootState().InUse) {
			t.Errorf("%s: got %v, want %q", name, err, c.fault)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		server.Close() // which waits for its handlers
	}
}

// A server that says "not modified" to a request without a condition confirms nothing.
func TestNotModifiedUnasked(t *testing.T) {
	var status atomic.Int32
	status.Store(http.StatusOK)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { // without a tag or time
		w.WriteHeader(int(status.Load()))
	}))
	defer server.Close()
	open := roothttp.OpenerOf(server.Client(), server.URL)
	for _, held := range []uint32{0, 1, 1} {
		text, err := open(t.Context(), held)
		if ok := status.Load() == http.StatusOK; ok && err != nil || !ok && (err == nil || errors.Is(err, resolver.ErrLocalRootUnchanged)) {
			t.Errorf("held %d, status %d: got %v", held, status.Load(), err)
		}
		if text != nil {
			text.Close()
		}
		status.Store(http.StatusNotModified)
	}
}
