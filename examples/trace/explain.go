package main

import (
	"errors"

	"github.com/iterdns/iterdns/resolver"
)

// explain says in one line what went wrong, and the way out where there is one, by what this
// program can do.
func explain(err error) string {
	text := resolver.Explain(err)
	switch {
	case errors.Is(err, resolver.ErrNoNetwork):
		text += " Without arguments the mock Internet is walked, which needs none."
	case errors.Is(err, resolver.ErrIntercepted), errors.Is(err, resolver.ErrBlocked):
		text += " Here -forward ADDRESS does that."
	}
	return text
}
