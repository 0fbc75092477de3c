package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver/debugpage"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

func TestDebugPage(t *testing.T) {
	r := resolvertest.New(t, shopWorld).Resolver(t)
	page, err := debugpage.New(r, debugpage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Resolve(page.Watch(t.Context()), "www.shop.example", dns.TypeA); err != nil {
		t.Error(err)
	}
	request := httptest.NewRequest(http.MethodGet, "http://localhost/debug/dns/", nil)
	request.RemoteAddr = "127.0.0.1:1024"
	shown := httptest.NewRecorder()
	if page.ServeHTTP(shown, request); shown.Code != http.StatusOK {
		t.Errorf("got status %d: %s", shown.Code, shown.Body)
	}
	if err := page.Close(); err != nil {
		t.Error(err)
	}
	var option *debugpage.OptionError
	if _, err := debugpage.New(r, debugpage.Options{Remote: true}); !errors.As(err, &option) || option.Error() == "" {
		t.Error(err)
	}
}
