package localroot

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/rescue"
)

// Source is where a copy comes from: one of Path, Open and Server.
type Source struct {
	Name string // for people

	Path string // a file

	// Open returns the text of a copy, or ErrUnchanged. Once says that it can be called once only.
	Open func(ctx context.Context, held uint32) (io.ReadCloser, error)
	Once bool

	Server netip.AddrPort // asked by AXFR
	TLS    *tls.Config    // for Server; nil: without TLS
}

// ErrUnchanged is what a Source's Open returns when the caller has the newest copy already.
var ErrUnchanged = errors.New("local root: unchanged")

// fetched is a copy that is not verified yet.
type fetched struct {
	contents *contents
	asOf     time.Time // when the source said so; zero: now
}

// fetch reads the source. It fails with errUnchanged when that has nothing newer than held.
func (s *Source) fetch(ctx context.Context, dial Dial, held *Zone) (fetched, error) {
	switch {
	case s.Path != "":
		return readFile(ctx, s.Path)
	case s.Open != nil:
		return s.open(ctx, held)
	}
	z, err := fetchAXFR(ctx, dial, s.Server, s.TLS, dnsname.Root, held)
	return fetched{contents: z}, err
}

// open reads a text that the program gives.
func (s *Source) open(ctx context.Context, held *Zone) (f fetched, err error) {
	err = rescue.ErrAborted
	defer rescue.Into(&err)
	var serial uint32
	if held != nil {
		serial = held.Serial
	}
	text, err := s.Open(ctx, serial)
	switch {
	case errors.Is(err, ErrUnchanged):
		return fetched{}, errUnchanged
	case err != nil:
		return fetched{}, err
	}
	defer text.Close()
	defer context.AfterFunc(ctx, func() { // which ends a read that waits
		defer rescue.Quietly()
		text.Close()
	})()
	f.contents, err = readText(ctx, text, dnsname.Root)
	return f, err
}

// readFile reads a copy in a file. It is as old as the file says.
func readFile(ctx context.Context, path string) (fetched, error) {
	info, err := os.Stat(path) // before it is opened: a pipe would wait for its writer
	switch {
	case err != nil:
		return fetched{}, err
	case !info.Mode().IsRegular():
		return fetched{}, errors.New("not a regular file")
	}
	file, err := os.Open(path)
	if err != nil {
		return fetched{}, err
	}
	defer file.Close()
	if info, err = file.Stat(); err != nil { // it may be another one by now
		return fetched{}, err
	}
	z, err := readText(ctx, file, dnsname.Root)
	return fetched{z, info.ModTime()}, err
}
