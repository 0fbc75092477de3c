package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// authority signs certificates.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T, name string) *authority {
	a := &authority{key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	a.cert = certificate(t, template, template, &a.key.PublicKey, a.key)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func certificate(t *testing.T, template, parent *x509.Certificate, public *ecdsa.PublicKey, private *ecdsa.PrivateKey) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, private)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// issue makes a server certificate for a name, good for an hour or long expired.
func (a *authority) issue(t *testing.T, name string, expired bool) *tls.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	if expired {
		template.NotAfter = time.Now().Add(-time.Hour)
	}
	key := newKey(t)
	leaf := certificate(t, template, a.cert, &key.PublicKey, a.key)
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw, a.cert.Raw}, PrivateKey: key, Leaf: leaf}
}

// tlsServer is a TLS server on loopback that counts who sends it data.
type tlsServer struct {
	port     string
	accepted atomic.Int64
	current  atomic.Pointer[tls.Certificate]
}

func newTLSServer(t *testing.T) *tlsServer {
	s := &tlsServer{}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.current.Load(), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	_, s.port, _ = net.SplitHostPort(l.Addr().String())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.accepted.Add(1)
			_ = conn.(*tls.Conn).HandshakeContext(context.Background()) // the client says what it found
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return s
}

// record returns the data of a TLSA record for a certificate.
func record(usage, selector, matching int, der []byte) string {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	data := c.Raw
	if selector == 1 {
		data = c.RawSubjectPublicKeyInfo
	}
	switch matching {
	case 1:
		sum := sha256.Sum256(data)
		data = sum[:]
	case 2:
		sum := sha512.Sum512(data)
		data = sum[:]
	}
	return fmt.Sprintf("%d %d %d %s", usage, selector, matching, hex.EncodeToString(data))
}

const host = "www.shop.example"

// Every usage, selector and matching type, and everything that can be wrong with DNS or
// with the certificate.
func TestDANE(t *testing.T) {
	known, other := newAuthority(t, "known"), newAuthority(t, "other")
	good, foreign := known.issue(t, host, false), other.issue(t, host, false)
	expired, misnamed := known.issue(t, host, true), known.issue(t, "elsewhere.example", false)
	server := newTLSServer(t)
	leaf := func(c *tls.Certificate) []byte { return c.Certificate[0] }
	wrong := "3 1 1 " + strings.Repeat("00", 32)
	const none = ""
	type danecase struct {
		label  string
		cert   *tls.Certificate
		words  string // how the zone is signed
		tlsa   []string
		status int
		want   string // in what is printed
	}
	tests := []danecase{
		{"no records", good, "signed", nil, exitGood, "no DANE, since there are no usable TLSA records"},
		{"no records, unknown authority", foreign, "signed", nil, exitBad, "unknown authority"},
		{"no records, expired", expired, "signed", nil, exitBad, "expired"},
		{"no records, another name", misnamed, "signed", nil, exitBad, "not " + host},
		{"not signed", good, none, []string{wrong}, exitGood, "no DANE, since the zone of"},
		{"not signed, unknown authority", foreign, none, []string{record(3, 1, 1, leaf(foreign))}, exitBad, "unknown authority"},
		{"bogus", good, "signed break=corrupt:TLSA", []string{record(3, 1, 1, leaf(good))}, exitBad, "bogus"},
		{"bogus denial", good, "signed break=unsigned:NSEC", nil, exitBad, "bogus"},
		{"wrong key", good, "signed", []string{wrong}, exitBad, errNoMatch.Error()},
		{"one of two", foreign, "signed", []string{wrong, record(3, 1, 1, leaf(foreign))}, exitGood, "DANE-EE(3) SPKI(1)"},
		{"unknown usage only", good, "signed", []string{"7 1 1 " + strings.Repeat("00", 32)}, exitGood, "no DANE, since there are no usable"},
		{"digest too short", good, "signed", []string{"3 1 1 00"}, exitGood, "no DANE, since there are no usable"},
		{"unknown matching type", good, "signed", []string{"3 1 9 00"}, exitGood, "no DANE, since there are no usable"},
		{"unknown selector", good, "signed", []string{"3 9 0 00"}, exitGood, "no DANE, since there are no usable"},
		// RFC 7671 §9: the weaker digest does not count beside the stronger one.
		{"weaker digest matches alone", foreign, "signed", []string{record(3, 1, 1, leaf(foreign)), "3 1 2 " + strings.Repeat("00", 64)}, exitBad, errNoMatch.Error()},

		{"EE, unknown authority", foreign, "signed", []string{record(3, 1, 1, leaf(foreign))}, exitGood, "DANE-EE(3)"},
		{"EE, expired", expired, "signed", []string{record(3, 1, 1, leaf(expired))}, exitGood, "DANE-EE(3)"},
		{"EE, another name", misnamed, "signed", []string{record(3, 1, 1, leaf(misnamed))}, exitGood, "DANE-EE(3)"},
		{"EE of the authority", good, "signed", []string{record(3, 1, 1, known.cert.Raw)}, exitBad, errNoMatch.Error()},
		{"TA", foreign, "signed", []string{record(2, 0, 1, other.cert.Raw)}, exitGood, "DANE-TA(2)"},
		{"TA of the certificate itself", foreign, "signed", []string{record(2, 0, 1, leaf(foreign))}, exitBad, errNoMatch.Error()},
		{"TA, expired", expired, "signed", []string{record(2, 1, 1, known.cert.Raw)}, exitBad, "expired"},
		{"TA, another name", misnamed, "signed", []string{record(2, 1, 1, known.cert.Raw)}, exitBad, "not " + host},
		{"TA, another authority", foreign, "signed", []string{record(2, 1, 1, known.cert.Raw)}, exitBad, errNoMatch.Error()},
		{"TA not sent", &tls.Certificate{Certificate: foreign.Certificate[:1], PrivateKey: foreign.PrivateKey}, "signed",
			[]string{record(2, 0, 0, other.cert.Raw)}, exitGood, "DANE-TA(2)"},
		{"PKIX-EE", good, "signed", []string{record(1, 1, 1, leaf(good))}, exitGood, "PKIX-EE(1)"},
		{"PKIX-EE, unknown authority", foreign, "signed", []string{record(1, 1, 1, leaf(foreign))}, exitBad, "unknown authority"},
		{"PKIX-EE, wrong", good, "signed", []string{record(1, 1, 1, leaf(foreign))}, exitBad, errNoMatch.Error()},
		{"PKIX-TA", good, "signed", []string{record(0, 1, 1, known.cert.Raw)}, exitGood, "PKIX-TA(0)"},
		{"PKIX-TA of the certificate itself", good, "signed", []string{record(0, 1, 1, leaf(good))}, exitBad, errNoMatch.Error()},
		{"PKIX-TA, unknown authority", foreign, "signed", []string{record(0, 1, 1, other.cert.Raw)}, exitBad, "unknown authority"},
	}
	for usage := range 4 {
		der := map[bool][]byte{true: known.cert.Raw, false: leaf(good)}[usage%2 == 0]
		for selector := range 2 {
			for matching := range 3 {
				data := record(usage, selector, matching, der)
				tests = append(tests, danecase{"match " + data[:5], good, "signed", []string{data}, exitGood, " matches"})
			}
		}
	}
	roots := writeRoots(t, known)
	for _, test := range tests {
		t.Run(test.label, func(t *testing.T) {
			var zone strings.Builder
			zone.WriteString(fmt.Sprintf("-- zone signed.example. signed --\n-- zone shop.example. %s --\nwww A 127.0.0.1\n", test.words))
			for _, data := range test.tlsa {
				zone.WriteString(fmt.Sprintf("_%s._tcp.www TLSA %s\n", server.port, data))
			}
			server.current.Store(test.cert)
			before := server.accepted.Load()
			status, printed := runOn(t, zone.String(), "-roots", roots, net.JoinHostPort(host, server.port))
			if status != test.status || !strings.Contains(printed, test.want) {
				t.Errorf("got status %d and %s\nwant status %d and %q", status, printed, test.status, test.want)
			}
			if strings.Contains(test.want, "bogus") && server.accepted.Load() != before {
				t.Error("the server was connected to although its records are bogus")
			}
		})
	}
}

func writeRoots(t *testing.T, a *authority) string {
	file := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// runOn runs the program in a mock Internet.
func runOn(t *testing.T, zones string, args ...string) (status int, printed string) {
	t.Helper()
	in := resolvertest.New(t, zones)
	var out bytes.Buffer
	status = run(t.Context(), args, in.Options(), &out, &out)
	return status, out.String()
}

// The records are looked for at the end of the alias chain if it is Secure, else and if
// there are none at the host (RFC 7671 §7); the certificate may have either name.
func TestAliases(t *testing.T) {
	known := newAuthority(t, "known")
	server := newTLSServer(t)
	roots := writeRoots(t, known)
	const hosting = "host.hosting.example"
	for _, test := range []struct {
		label        string
		certName     string
		signed       string // the zone with the host
		atHost, atTo bool
		status       int
		want         string
	}{
		{"at the end", hosting, "signed", false, true, exitGood, "._tcp.host.hosting.example. matches"},
		{"at the end, with the host's name", host, "signed", false, true, exitGood, "._tcp.host.hosting.example. matches"},
		{"at both", host, "signed", true, true, exitGood, "._tcp.host.hosting.example. matches"},
		{"at the host", host, "signed", true, false, exitGood, "._tcp.www.shop.example. matches"},
		{"at the host, with the end's name", hosting, "signed", true, false, exitBad, "not " + host},
		{"alias not signed", host, "", false, true, exitGood, "no DANE, since the zone of"},
	} {
		t.Run(test.label, func(t *testing.T) {
			cert := known.issue(t, test.certName, false)
			server.current.Store(cert)
			data := "_" + server.port + "._tcp.%s TLSA " + record(2, 1, 1, known.cert.Raw) + "\n"
			zones := "-- zone hosting.example. signed --\nhost A 127.0.0.1\n"
			if test.atTo {
				zones += fmt.Sprintf(data, "host")
			}
			zones += fmt.Sprintf("-- zone shop.example. %s --\nwww CNAME %s.\n", test.signed, hosting)
			if test.atHost {
				zones += fmt.Sprintf(data, "www")
			}
			status, printed := runOn(t, zones, "-roots", roots, net.JoinHostPort(host, server.port))
			if status != test.status || !strings.Contains(printed, test.want) {
				t.Errorf("got status %d and %s\nwant status %d and %q", status, printed, test.status, test.want)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"-h"}, exitGood, "TLSA records"},
		{nil, exitUsage, "HOST:PORT"},
		{[]string{"www.shop.example"}, exitUsage, "HOST:PORT"},
		{[]string{":443"}, exitUsage, "HOST:PORT"},
		{[]string{"a:1", "b:2"}, exitUsage, "HOST:PORT"},
		{[]string{"-nosuch"}, exitUsage, "nosuch"},
		{[]string{"-roots", missing, "www.shop.example:443"}, exitUsage, "missing"},
		{[]string{"-roots", empty, "www.shop.example:443"}, exitUsage, "no certificates"},
		{[]string{"www.shop.example:nosuch"}, exitBad, "nosuch"},
		{[]string{"missing.shop.example:443"}, exitBad, "no such host"},
	} {
		status, printed := runOn(t, "-- zone shop.example. signed --\nwww A 127.0.0.1\n", test.args...)
		if status != test.status || !strings.Contains(printed, test.want) {
			t.Errorf("%q: got status %d and %s\nwant status %d and %q", test.args, status, printed, test.status, test.want)
		}
	}
}

// A server that sends nothing is none of ours.
func TestNothingSent(t *testing.T) {
	p := &place{tlsa: []*dns.TLSA{{Usage: 3, Selector: 1, MatchingType: 1}}}
	if text, err := p.verify(nil, nil, time.Now()); err == nil {
		t.Errorf("got %q, want an error", text)
	}
}
