package recipes

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// A name of the public DNS with a private address, a literal, and a redirect to either are
// refused; a permitted address works.
func TestPublicClient(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		asked++
		if to := request.URL.Query().Get("to"); to != "" {
			http.Redirect(w, request, to, http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, "hello")
	}))
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	r := resolvertest.New(t, `
-- zone example.com. --
www     A  127.0.0.1
inside  A  10.0.0.1
also    A  127.0.0.2
`).Resolver(t)
	client := PublicClient(r, func(a netip.Addr) bool { return a == netip.MustParseAddr("127.0.0.1") })
	for _, test := range []struct{ url, wrong string }{
		{"http://www.example.com:" + port + "/", ""},
		{"http://inside.example.com:" + port + "/", "10.0.0.1 is not a public address"},
		{"http://127.0.0.2:" + port + "/", "127.0.0.2 is not a public address"},
		{"http://www.example.com:" + port + "/?to=http://also.example.com:" + port + "/", "127.0.0.2 is not a public address"},
		{"http://www.example.com:" + port + "/?to=http://[::ffff:10.0.0.1]/", "is not a public address"},
	} {
		response, err := client.Get(test.url)
		switch {
		case err == nil:
			response.Body.Close()
			if test.wrong != "" {
				t.Errorf("%s: got %s, want an error", test.url, response.Status)
			}
		case test.wrong == "" || !strings.Contains(err.Error(), test.wrong):
			t.Errorf("%s: got %v, want %q", test.url, err, test.wrong)
		}
	}
	if asked != 3 {
		t.Errorf("the server was asked %d times, want 3", asked)
	}
	if _, err := PublicClient(r, nil).Get("http://www.example.com:" + port + "/"); err == nil {
		t.Error("loopback is reached without allow")
	}
}
