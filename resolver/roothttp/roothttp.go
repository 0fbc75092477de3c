// Package roothttp fetches the root zone over HTTP for resolver.Options.LocalRoot. It is a package
// of its own so that other programs need not link net/http.
package roothttp

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/iterdns/iterdns/resolver"
)

// IANA is where IANA publishes the root zone.
const IANA = "https://www.internic.net/domain/root.zone"

// Source is a copy of the root zone at a URL, such as IANA, that client fetches; nil: http.DefaultClient.
// If the server sent an ETag or Last-Modified with the copy in use, it is only asked for a newer one (RFC
// 9110 §13.1). Any status other than 200, and 304 where that was asked, is an error. A client that resolves
// the host of the URL with this same resolver asks the root servers for it until there is a copy.
func Source(client *http.Client, url string) resolver.LocalRootSource {
	if client == nil {
		client = http.DefaultClient
	}
	s := &source{client: client, url: url}
	return resolver.LocalRootFunc(url, s.open)
}

// source remembers which text the copy in use was made of.
type source struct {
	client *http.Client
	url    string

	mu     sync.Mutex
	held   uint32    // the serial number of the copy in use when it was asked last
	taken  validator // of the text that this copy was made of
	latest validator // of the text that came last; it may have been refused
}

// validator tells two texts at one URL apart.
type validator struct{ tag, modified string }

func (s *source) open(ctx context.Context, held uint32) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if held != s.held { // the text that came last was taken
		s.held, s.taken = held, s.latest
	}
	s.latest = validator{}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	conditional := false
	condition := func(header, value string) {
		if held != 0 && value != "" {
			request.Header.Set(header, value)
			conditional = true
		}
	}
	condition("If-None-Match", s.taken.tag)
	condition("If-Modified-Since", s.taken.modified)
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	switch {
	case response.StatusCode == http.StatusOK:
		s.latest = validator{response.Header.Get("ETag"), response.Header.Get("Last-Modified")}
		return response.Body, nil
	case response.StatusCode == http.StatusNotModified && conditional: // to another request it says nothing
		s.latest = s.taken
		response.Body.Close()
		return nil, resolver.ErrLocalRootUnchanged
	}
	response.Body.Close()
	return nil, fmt.Errorf("HTTP status %s", response.Status)
}
