package main

import (
	_ "embed" // for mock.txt
	"fmt"
	"io"
	"os"
	"time"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
	roothints "github.com/iterdns/iterdns/rootHints"
)

//go:embed mock.txt
var mockText string

// internet is where the walk takes place.
type internet struct {
	title   string // "" for the real one
	options resolver.Options
	close   func()

	// progress is told of a walk that takes longer than progressAfter; nil: nobody is.
	progress io.Writer
}

// signatureTime is when signatures have to be valid, as the resolver sees it.
func (in *internet) signatureTime() time.Time {
	switch {
	case in.options.SignatureTime != nil:
		return in.options.SignatureTime()
	case in.options.Now != nil:
		return in.options.Now()
	}
	return time.Now()
}

// internet returns the Internet that the command line asks for.
func (c *command) internet() (in internet, err error) {
	switch {
	case c.onlyLoopback:
		in, err = mockInternet("mock.txt", mockText)
	case c.mock != "":
		in, err = readMock(c.mock)
	default:
		in, err = realInternet(c.hints)
	}
	if c.forward != "" && err == nil {
		var rt resolver.Route
		if rt, err = resolver.ParseRoute(".=" + c.forward); err != nil {
			in.close()
			return internet{}, fmt.Errorf("-forward: %w", err)
		}
		in.options.Routes = []resolver.Route{rt}
	}
	switch {
	case c.ipv4:
		in.options.Family = resolver.FamilyIPv4Only
	case c.ipv6:
		in.options.Family = resolver.FamilyIPv6Only
	}
	return in, err
}

// mockInternet puts the servers of a text on loopback sockets. The resolver goes on
// knowing them by their own addresses.
func mockInternet(title, text string) (internet, error) {
	mock, err := resolvertest.NewInternet(text)
	if err != nil {
		return internet{}, fmt.Errorf("%s: %w", title, err)
	}
	if err := mock.Listen(); err != nil {
		mock.Close()
		return internet{}, fmt.Errorf("no sockets for the mock Internet: %w", err)
	}
	options := mock.Options()
	options.Dial = mock.LoopbackDial
	return internet{title: title, options: options, close: mock.Close}, nil
}

func readMock(file string) (internet, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return internet{}, err
	}
	return mockInternet(file, string(text))
}

func realInternet(hints string) (internet, error) {
	in := internet{close: func() {}}
	if hints == "" {
		return in, nil
	}
	f, err := os.Open(hints)
	if err != nil {
		return in, err
	}
	defer f.Close()
	if in.options.RootHints, err = roothints.Parse(f); err != nil {
		return in, fmt.Errorf("%s: %w", hints, err)
	}
	return in, nil
}
