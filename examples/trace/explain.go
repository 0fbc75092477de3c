package main

import (
	"errors"
	"fmt"

	"github.com/iterdns/iterdns/internal/drawing"
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

// headline says the same in a few words, for the title of a picture.
func headline(err error) string {
	var failure *resolver.Error
	if errors.As(err, &failure) {
		return drawing.OneLine(fmt.Sprintf("no answer for %s: %v", drawing.QuestionText(failure.Question), failure.Err))
	}
	return drawing.OneLine(err.Error())
}
