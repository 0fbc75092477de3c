// Package testcert makes certificates for the TLS servers of tests.
package testcert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"testing"
	"time"
)

// Name is the host that the certificates are for, beside 127.0.0.1.
const Name = "dns.example"

// New makes a certificate that signs itself, with its Leaf, valid for a day.
func New(t testing.TB, serial int64) tls.Certificate {
	t.Helper()
	return For(t, serial, time.Now().Add(24*time.Hour), Name)
}

// For makes a certificate as New does, for other names and the 25 hours before notAfter.
func For(t testing.TB, serial int64, notAfter time.Time, names ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(serial),
		Subject:               pkix.Name{CommonName: names[0]},
		DNSNames:              names,
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:             notAfter.Add(-25 * time.Hour),
		NotAfter:              notAfter,
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// Write makes a certificate as New does, and writes it and its key to PEM files.
func Write(t testing.TB, certFile, keyFile string, serial int64) {
	t.Helper()
	cert := New(t, serial)
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		name  string
		block pem.Block
	}{
		{keyFile, pem.Block{Type: "PRIVATE KEY", Bytes: key}},
		{certFile, pem.Block{Type: "CERTIFICATE", Bytes: cert.Leaf.Raw}},
	} {
		if err := os.WriteFile(f.name, pem.EncodeToMemory(&f.block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
