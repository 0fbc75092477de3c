package roothttp

import (
	"context"
	"io"
	"net/http"
)

// OpenerOf is the function behind a Source.
func OpenerOf(client *http.Client, url string) func(context.Context, uint32) (io.ReadCloser, error) {
	return (&source{client: client, url: url}).open
}
