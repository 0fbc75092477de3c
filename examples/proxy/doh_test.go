package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// dohServer starts a proxy over HTTPS and returns a client for it.
func dohServer(t *testing.T, flags ...string) (p *process, client *http.Client, url string) {
	t.Helper()
	cert, key := writeCertificate(t)
	p = startProxy(t, newInternet(t).flags(append(flags, "-https-listen", "127.0.0.1:0", "-cert", cert, "-key", key)...)...)
	transport := &http.Transport{TLSClientConfig: trusting(t, cert), ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return p, &http.Client{Transport: transport, Timeout: patience}, "https://" + p.at["https"] + dohPath
}

// do sends a request and returns the response with its body.
func do(t *testing.T, client *http.Client, method, url, contentType string, body []byte) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, got
}

func packed(t *testing.T, name string, qtype uint16) []byte {
	t.Helper()
	query := new(dns.Msg).SetQuestion(name, qtype)
	query.Id = 0 // RFC 8484 §4.1
	query.SetEdns0(4096, true)
	wire, err := query.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

func TestDoH(t *testing.T) {
	_, client, url := dohServer(t)
	tests := []struct {
		name    string
		qtype   uint16
		rcode   int
		control string // prefix of Cache-Control
	}{
		{"www.shop.example.", dns.TypeA, dns.RcodeSuccess, "max-age="},
		{"nosuch.shop.example.", dns.TypeA, dns.RcodeNameError, "max-age="},
		{"www.shop.example.", dns.TypeMX, dns.RcodeSuccess, "max-age="},
		{"www.bogus.example.", dns.TypeA, dns.RcodeServerFailure, "no-store"},
		{"www.shop.example.", dns.TypeANY, dns.RcodeSuccess, "max-age="},
	}
	for _, test := range tests {
		wire := packed(t, test.name, test.qtype)
		get := url + "?dns=" + base64.RawURLEncoding.EncodeToString(wire)
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodHead} {
			target, body, kind := get, []byte(nil), ""
			if method == http.MethodPost {
				target, body, kind = url, wire, dohType
			}
			response, got := do(t, client, method, target, kind, body)
			if response.StatusCode != http.StatusOK || response.ProtoMajor != 2 ||
				response.Header.Get("Content-Type") != dohType ||
				!strings.HasPrefix(response.Header.Get("Cache-Control"), test.control) {
				t.Errorf("%s %s: got %s, %s, %v, want HTTP/2, 200, %s and Cache-Control %s", method, test.name,
					response.Proto, response.Status, response.Header, dohType, test.control)
			}
			if method == http.MethodHead {
				continue
			}
			reply := new(dns.Msg)
			if err := reply.Unpack(got); err != nil || reply.Rcode != test.rcode || reply.Id != 0 || reply.Truncated {
				t.Errorf("%s %s: got %v\n%v\nwant %s", method, test.name, err, reply, dns.RcodeToString[test.rcode])
			}
			if test.control == "max-age=" {
				checkFreshness(t, reply, response.Header.Get("Cache-Control"))
			}
		}
	}
}

// checkFreshness: no record may live longer in an HTTP cache than in a DNS cache.
func checkFreshness(t *testing.T, reply *dns.Msg, control string) {
	t.Helper()
	wire, err := reply.Pack()
	if err != nil {
		t.Fatal(err)
	}
	want, ok := freshness(wire)
	if !ok || want == 0 || want > 300 {
		t.Errorf("got TTL %d, %t, want at most the zone's 300 s:\n%v", want, ok, reply)
	}
	if _, text, _ := strings.Cut(control, "="); text == "" || len(text) > 3 {
		t.Errorf("got Cache-Control %s, want at most 300", control)
	}
}

func TestDoHErrors(t *testing.T) {
	_, client, url := dohServer(t)
	query := packed(t, "www.shop.example.", dns.TypeA)
	response := bytes.Clone(query)
	response[2] |= 0x80
	tests := []struct {
		what, method, url, kind string
		body                    []byte
		want                    int
	}{
		{"no parameter", "GET", url, "", nil, http.StatusBadRequest},
		{"no base64url", "GET", url + "?dns=***", "", nil, http.StatusBadRequest},
		{"padded", "GET", url + "?dns=AAA=", "", nil, http.StatusBadRequest},
		{"too short", "GET", url + "?dns=AAAA", "", nil, http.StatusBadRequest},
		{"a response", "GET", url + "?dns=" + base64.RawURLEncoding.EncodeToString(response), "", nil, http.StatusBadRequest},
		{"too long", "GET", url + "?dns=" + strings.Repeat("A", 90_000), "", nil, http.StatusRequestURITooLong},
		{"another method", "PUT", url, dohType, query, http.StatusMethodNotAllowed},
		{"another method", "DELETE", url, "", nil, http.StatusMethodNotAllowed},
		{"another type", "POST", url, "application/dns-json", query, http.StatusUnsupportedMediaType},
		{"no type", "POST", url, "", query, http.StatusUnsupportedMediaType},
		{"too large", "POST", url, dohType, make([]byte, dns.MaxMsgSize+1), http.StatusRequestEntityTooLarge},
		{"empty", "POST", url, dohType, nil, http.StatusBadRequest},
		{"another path", "GET", strings.TrimSuffix(url, dohPath) + "/", "", nil, http.StatusNotFound},
	}
	for _, test := range tests {
		response, _ := do(t, client, test.method, test.url, test.kind, test.body)
		if response.StatusCode != test.want {
			t.Errorf("%s, %s: got %s, want %d", test.what, test.method, response.Status, test.want)
		}
		if allow := response.Header.Get("Allow"); test.want == http.StatusMethodNotAllowed && allow != "GET, HEAD, POST" {
			t.Errorf("%s: got Allow %q, want the methods", test.what, allow)
		}
	}
	// A query that cannot be read is DNS's business, not HTTP's.
	got, body := do(t, client, "POST", url, dohType, query[:len(query)-3])
	if got.StatusCode != http.StatusOK || len(body) < 12 || body[3]&15 != dns.RcodeFormatError {
		t.Errorf("query cut off: got %s, % x, want FORMERR", got.Status, body)
	}
}

func TestDoHOverRate(t *testing.T) {
	_, client, url := dohServer(t, "-client-rate", "1")
	wire := packed(t, "www.shop.example.", dns.TypeA)
	eventually(t, "429 with Retry-After", func() bool {
		got, _ := do(t, client, "POST", url, dohType, wire)
		return got.StatusCode == http.StatusTooManyRequests && got.Header.Get("Retry-After") != ""
	})
}

// Many requests of one connection at the same time, each with an answer of its own. The
// names are answered without servers, which a busy machine may make look dead. RFC 6761 §6.4.
func TestDoHParallel(t *testing.T) {
	_, client, url := dohServer(t)
	var running sync.WaitGroup
	for i := range 200 {
		running.Go(func() {
			name := fmt.Sprintf("n%d.invalid.", i)
			response, err := client.Post(url, dohType, bytes.NewReader(packed(t, name, dns.TypeA)))
			if err != nil {
				t.Error(err)
				return
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			reply := new(dns.Msg)
			if err != nil || reply.Unpack(body) != nil || reply.Rcode != dns.RcodeNameError || reply.Question[0].Name != name {
				t.Errorf("%s: got %v, %s\n%v\nwant NXDOMAIN", name, err, response.Status, reply)
			}
		})
	}
	running.Wait()
}
