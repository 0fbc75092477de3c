package main

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"math"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/miekg/dns"
)

// Where and how DNS is spoken over HTTP. RFC 8484.
const (
	dohPath = "/dns-query"
	dohType = "application/dns-message"
)

const (
	// dohHeader is how long headers may be: a query of the largest size in the URL, and
	// some room.
	dohHeader = 96 << 10
	// dohRead is how long a client may take to send a request.
	dohRead = 10 * time.Second
	// dohWrite is how long a request may take in all: the resolver's time, and some for
	// the client.
	dohWrite = 20 * time.Second
	// dohStreams is how many requests one connection may have under way.
	dohStreams = 100
	// dohBuffer is how many bytes of bodies one connection may have sent that nobody has
	// read yet: one query of the largest size. net/http takes 1 MiB.
	dohBuffer = 1 << 16
)

// httpListener serves HTTP: DNS, or metrics.
type httpListener struct {
	net.Listener
	name   string
	server *http.Server
	ended  chan struct{}
}

func newHTTPListener(name string, l net.Listener, h http.Handler) *httpListener {
	return &httpListener{Listener: l, name: name, ended: make(chan struct{}), server: &http.Server{
		Handler:        h,
		ReadTimeout:    dohRead,
		WriteTimeout:   dohWrite,
		IdleTimeout:    streamIdle,
		MaxHeaderBytes: dohHeader,
		ConnContext:    withActivity,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          dohStreams,
			MaxReceiveBufferPerConnection: dohBuffer,
			MaxReceiveBufferPerStream:     dohBuffer,
		},
		// What clients do wrong while they connect is not for our log.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}}
}

// active has the connection of a request count as active until end is called.
func active(r *http.Request) (end func()) {
	a, ok := r.Context().Value(activityKey{}).(*activity)
	if !ok {
		return func() {}
	}
	a.begin()
	return a.end
}

func newDoHListener(l net.Listener, h *handler) *httpListener {
	mux := http.NewServeMux()
	mux.Handle(dohPath, &dohHandler{h, h.metrics.newTally(overHTTPS)})
	return newHTTPListener("https", l, mux)
}

func (l *httpListener) String() string { return l.name + " " + l.Addr().String() }

func (l *httpListener) serve() error {
	err := l.server.Serve(l.Listener)
	if !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-l.ended
	return nil
}

// stop has the server finish the requests that it has read.
func (l *httpListener) stop() {
	go func() {
		defer close(l.ended)
		_ = l.server.Shutdown(context.Background()) // ends when they have ended, each within dohWrite
	}()
}

func (l *httpListener) close() error { return ignoreClosed(l.server.Close()) }

// dohHandler answers DNS over HTTPS.
type dohHandler struct {
	*handler
	tally *tally
}

func (d *dohHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		http.Error(w, "no client address", http.StatusInternalServerError)
		return
	}
	client := addrPort(net.TCPAddrFromAddrPort(at))
	leave := d.hold(client.Addr(), dohSize(r))
	if leave == nil {
		tooMany(w)
		return
	}
	defer leave()
	wire, status := dohQuery(w, r)
	if status != http.StatusOK {
		http.Error(w, http.StatusText(status), status)
		return
	}
	defer active(r)() // not before: a body that does not come would keep its place
	d.serve(w, &query{
		handler: d.handler, begun: time.Now(), transport: overHTTPS, tally: d.tally,
		client: client, wire: wire, way: dohWay{w},
	})
}

// serve answers a query, or says with a status of HTTP why not.
func (d *dohHandler) serve(w http.ResponseWriter, q *query) {
	v := d.judge(q.begun, q.client.Addr(), q.wire)
	q.tally.received(v)
	switch v {
	case ignored:
		http.Error(w, "not a query", http.StatusBadRequest)
	case refused:
		http.Error(w, "not a client", http.StatusForbidden)
	case overRate:
		tooMany(w)
	case answered:
		if r := turnAway(v, overHTTPS, q.wire); r != nil {
			q.refuse(r)
			return
		}
		d.handle(q)
	}
}

// tooMany is the answer to a client that asks too much.
func tooMany(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	http.Error(w, "too many queries", http.StatusTooManyRequests)
}

// dohSize returns how many bytes a query may have, before it is read.
func dohSize(r *http.Request) int {
	switch {
	case r.Method != http.MethodPost:
		return base64.RawURLEncoding.DecodedLen(len(r.URL.RawQuery))
	case 0 <= r.ContentLength && r.ContentLength <= dns.MaxMsgSize:
		return int(r.ContentLength)
	}
	return dns.MaxMsgSize
}

// dohQuery returns the query in a request, or the status that says what is wrong.
func dohQuery(w http.ResponseWriter, r *http.Request) (wire []byte, status int) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return dohQueryOfURL(r)
	case http.MethodPost:
		return dohQueryOfBody(w, r)
	}
	w.Header().Set("Allow", "GET, HEAD, POST")
	return nil, http.StatusMethodNotAllowed
}

// dohQueryOfURL: the query is in the URL, in base64url without padding (RFC 8484 §4.1).
func dohQueryOfURL(r *http.Request) ([]byte, int) {
	text := r.URL.Query().Get("dns")
	if len(text) > base64.RawURLEncoding.EncodedLen(dns.MaxMsgSize) {
		return nil, http.StatusRequestURITooLong
	}
	wire, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(wire) == 0 {
		return nil, http.StatusBadRequest
	}
	return wire, http.StatusOK
}

func dohQueryOfBody(w http.ResponseWriter, r *http.Request) ([]byte, int) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != dohType {
		w.Header().Set("Accept-Post", dohType)
		return nil, http.StatusUnsupportedMediaType
	}
	wire, err := io.ReadAll(http.MaxBytesReader(w, r.Body, dns.MaxMsgSize))
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		return nil, http.StatusRequestEntityTooLarge
	case err != nil:
		return nil, http.StatusBadRequest
	}
	return wire, http.StatusOK
}

// dohWay is the way back over HTTPS.
type dohWay struct{ http.ResponseWriter }

// send sends an answer, which HTTP caches may keep as long as DNS caches (RFC 8484 §5.1).
func (w dohWay) send(_ *query, answer []byte) error {
	h := w.Header()
	h.Set("Content-Type", dohType)
	h.Set("Content-Length", strconv.Itoa(len(answer)))
	if age, ok := freshness(answer); ok {
		h.Set("Cache-Control", "max-age="+strconv.FormatUint(uint64(age), 10))
	} else {
		h.Set("Cache-Control", "no-store")
	}
	_, err := w.Write(answer)
	return err
}

// freshness returns the seconds for which an answer may be kept: the lowest TTL of its
// answers or, if it has none, what the SOA record says of a denial (RFC 2308 §5).
// Failures, and denials without SOA record, may not be kept.
func freshness(answer []byte) (seconds uint32, ok bool) {
	m := new(dns.Msg)
	if m.Unpack(answer) != nil || m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return 0, false
	}
	seconds = math.MaxUint32
	for _, rr := range m.Answer {
		seconds, ok = min(seconds, rr.Header().Ttl), true
	}
	for _, rr := range m.Ns {
		if soa, isSOA := rr.(*dns.SOA); isSOA {
			seconds, ok = min(seconds, soa.Hdr.Ttl, soa.Minttl), true
		}
	}
	return seconds, ok
}
