package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/iterdns/iterdns/internal/test/testcert"
)

// writeCertificate makes a certificate for the proxy, and returns its files.
func writeCertificate(t *testing.T) (cert, key string) {
	t.Helper()
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	testcert.Write(t, cert, key, 1)
	return cert, key
}

// trusting returns what a TLS client needs to believe cert.
func trusting(t *testing.T, cert string) *tls.Config {
	t.Helper()
	text, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatalf("no certificate in %s", cert)
	}
	return &tls.Config{RootCAs: roots}
}

// A renewed certificate is used without a restart; one that is not whole is not.
func TestCertificateRenewed(t *testing.T) {
	certFile, keyFile := writeCertificate(t)
	c, err := readCertificate(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	c.log = slog.New(slog.NewTextHandler(&log, nil))
	serial := func() int64 {
		t.Helper()
		c.looked = time.Time{} // long ago
		pair, err := c.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		return pair.Leaf.SerialNumber.Int64()
	}
	touch := func(ago time.Duration) {
		t.Helper()
		at := time.Now().Add(-ago)
		if err := os.Chtimes(certFile, at, at); err != nil {
			t.Fatal(err)
		}
	}
	if got := serial(); got != 1 {
		t.Errorf("got serial %d, want 1", got)
	}
	write(t, certFile, "half a certif")
	touch(time.Hour)
	if got := serial(); got != 1 {
		t.Errorf("half a file: got serial %d, want 1 still", got)
	}
	serial() // told of once
	if got := strings.Count(log.String(), "the certificate cannot be read"); got != 1 {
		t.Errorf("half a file: got the log\n%swant one line", &log)
	}
	if err := os.Remove(certFile); err != nil {
		t.Fatal(err)
	}
	if got := serial(); got != 1 || !strings.Contains(log.String(), "no such file") {
		t.Errorf("no file: got serial %d and the log\n%swant 1 still, and a line", got, &log)
	}
	testcert.Write(t, certFile, keyFile, 2)
	touch(30 * time.Minute)
	if got := serial(); got != 2 {
		t.Errorf("renewed: got serial %d, want 2", got)
	}
	if !strings.Contains(log.String(), "level=INFO msg=\"over: the certificate cannot be read") {
		t.Errorf("renewed: got the log\n%swant a line that all is well", &log)
	}
	if err := os.Remove(keyFile); err != nil {
		t.Fatal(err)
	}
	if got := serial(); got != 2 || strings.Count(log.String(), "no such file") != 2 {
		t.Errorf("no key: got serial %d and the log\n%swant 2 still, and a line", got, &log)
	}
	if got := c.expires(); !got.Equal(c.current.Leaf.NotAfter) || got.Before(time.Now()) {
		t.Errorf("expires at %v, want what the certificate says", got)
	}
}
