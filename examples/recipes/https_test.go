package recipes

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/iterdns/iterdns/internal/test/testcert"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

func TestEndpoints(t *testing.T) {
	r := resolvertest.New(t, `
-- zone example.com. --
www       HTTPS  2 . alpn=h2 port=8443
www       HTTPS  1 svc.example.net. alpn=h3,h2
@         HTTPS  0 www
loop      HTTPS  0 loop
none      HTTPS  0 .
onlyh3    HTTPS  1 . alpn=h3 no-default-alpn
plain     A      192.0.2.80
_8080._https.www  HTTPS  0 onlyh3
-- zone example.net. --
svc       A      192.0.2.81
`).Resolver(t)
	for _, test := range []struct {
		host  string
		port  uint16
		want  []string
		wrong string
	}{
		{"www.example.com", 443, []string{"svc.example.net:443 h2 http/1.1", "www.example.com:8443 h2 http/1.1"}, ""},
		{"example.com", 443, []string{"svc.example.net:443 h2 http/1.1", "www.example.com:8443 h2 http/1.1"}, ""},
		{"plain.example.com", 443, []string{"plain.example.com:443 h2 http/1.1"}, ""},
		{"onlyh3.example.com", 443, nil, ""},
		{"www.example.com", 8080, nil, ""},
		{"none.example.com", 443, nil, "no such service"},
		{"loop.example.com", 443, nil, "more than 8 aliases"},
	} {
		got, err := Endpoints(t.Context(), r, test.host, test.port)
		if test.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), test.wrong) {
				t.Errorf("%s: got %v, want %q", test.host, err, test.wrong)
			}
			continue
		}
		var lines []string
		for _, e := range got {
			lines = append(lines, strings.Join(append([]string{e.Address}, e.TLS.NextProtos...), " "))
			if e.TLS.ServerName != test.host {
				t.Errorf("%s: the certificate of %s is wanted", test.host, e.TLS.ServerName)
			}
		}
		if err != nil || !slices.Equal(lines, test.want) {
			t.Errorf("%s: got %q, %v, want %q", test.host, lines, err, test.want)
		}
	}
}

// The configurations of an HTTPS record, as they are, make a server take an encrypted Client Hello.
func TestEndpointsECH(t *testing.T) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	config := echConfig(key.PublicKey().Bytes(), "public.example.com")
	list := append(binary.BigEndian.AppendUint16(nil, uint16(len(config))), config...)
	certificate := testcert.New(t, 1)
	r := resolvertest.New(t, fmt.Sprintf("-- zone %s. --\n@  HTTPS  1 . alpn=h2 ech=%s\n",
		testcert.Name, base64.StdEncoding.EncodeToString(list))).Resolver(t)
	endpoints, err := Endpoints(t.Context(), r, testcert.Name, 443)
	if err != nil || len(endpoints) != 1 {
		t.Fatalf("got %v, %v, want one", endpoints, err)
	}
	ours, theirs := net.Pipe()
	server := tls.Server(theirs, &tls.Config{
		Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2"},
		EncryptedClientHelloKeys: []tls.EncryptedClientHelloKey{{Config: config, PrivateKey: key.Bytes(), SendAsRetry: true}},
	})
	served := make(chan error, 1)
	go func() { served <- server.Handshake() }()
	c := endpoints[0].TLS
	c.RootCAs = x509.NewCertPool()
	c.RootCAs.AddCert(certificate.Leaf)
	client := tls.Client(ours, c)
	defer client.NetConn().Close()
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	if s := client.ConnectionState(); !s.ECHAccepted || s.NegotiatedProtocol != "h2" {
		t.Errorf("ECH accepted %t, protocol %q, want true and h2", s.ECHAccepted, s.NegotiatedProtocol)
	}
}

// echConfig is an ECHConfig of draft-ietf-tls-esni-18 §4: X25519, HKDF-SHA256, AES-128-GCM.
func echConfig(publicKey []byte, publicName string) []byte {
	contents := []byte{1, 0x00, 0x20}
	contents = append(binary.BigEndian.AppendUint16(contents, uint16(len(publicKey))), publicKey...)
	contents = append(contents, 0, 4, 0x00, 0x01, 0x00, 0x01, 0)
	contents = append(append(contents, byte(len(publicName))), publicName...)
	contents = append(contents, 0, 0)
	return append(binary.BigEndian.AppendUint16([]byte{0xfe, 0x0d}, uint16(len(contents))), contents...)
}
