package localroot

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/test/rootsigner"
	"github.com/iterdns/iterdns/internal/wire"
)

// tryZone asks whatever was read for all that it may have, and checks that each reply is a message.
func tryZone(t *testing.T, c *contents) {
	t.Helper()
	_ = c.checkDigest()
	z := newZone(c)
	ask := func(name dnsname.Name, rrtype uint16) {
		if msg := z.Reply(name, rrtype); msg != nil {
			if _, err := wire.Parse(msg); err != nil {
				t.Errorf("%s %s: %v", name, dns.Type(rrtype), err)
			}
		}
	}
	for i, s := range z.sets {
		if i == 100 {
			break
		}
		ask(s.Owner, s.Type)
		ask(s.Owner, dns.TypeDS)
		ask(s.Owner.Parent(), dns.TypeA)
		if below, err := s.Owner.Child("x"); err == nil {
			ask(below, dns.TypeA)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add(rootsigner.Sign(f, smallRoot, rootsigner.Options{Signed: signedAt}))
	f.Add(". SOA . . 1 2 3 4 5\n. NS .\n*. NS a.\na.*. A 192.0.2.1\nb. DNAME c.\n")
	f.Add("$ORIGIN x\n@ 5 IN TYPE63 \\# 4 00000001\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := readText(t.Context(), strings.NewReader(text), dnsname.Root)
		if err != nil {
			return
		}
		tryZone(t, c)
		// What is written is read again as it was, if $GENERATE has not made more of it than is read.
		var b strings.Builder
		if c.writeText(&b) != nil || b.Len() > MaxBytes {
			return
		}
		again, err := readText(t.Context(), strings.NewReader(b.String()), dnsname.Root)
		if err != nil || len(again.records) != len(c.records) {
			t.Fatalf("written and read again: %v\n%s", err, b.String())
		}
		for i, r := range c.records {
			if again.records[i] != r {
				t.Fatalf("written and read again: got %+v, want %+v, as\n%s", again.records[i], r, b.String())
			}
		}
	})
}

// stream is a connection that brings bytes and then ends.
type stream struct{ io.Reader }

func (stream) Write(b []byte) (int, error)      { return len(b), nil }
func (stream) Close() error                     { return nil }
func (stream) LocalAddr() net.Addr              { return nil }
func (stream) RemoteAddr() net.Addr             { return nil }
func (stream) SetDeadline(time.Time) error      { return nil }
func (stream) SetReadDeadline(time.Time) error  { return nil }
func (stream) SetWriteDeadline(time.Time) error { return nil }

func FuzzTransfer(f *testing.F) {
	var sent strings.Builder
	serving(f, rootsigner.Sign(f, smallRoot, rootsigner.Options{Signed: signedAt}), nil)(&sent, new(dns.Msg).SetAxfr("."))
	f.Add([]byte(sent.String()))
	f.Fuzz(func(t *testing.T, sent []byte) {
		conn := stream{strings.NewReader(string(sent))}
		tr := transfer{conn: conn, zone: dnsname.Root}
		c := collector{apex: dnsname.Root}
		for first := ""; ; {
			id := uint16(0)
			if len(sent) > 3 {
				id = uint16(sent[2])<<8 | uint16(sent[3])
			}
			m, err := tr.receive(id, dns.TypeAXFR)
			if err != nil {
				return
			}
			done, err := tr.take(&c, m, &first)
			if err != nil {
				return
			}
			if done {
				break
			}
		}
		if z, err := c.finish(); err == nil {
			tryZone(t, z)
		}
	})
}

// A program's function that panics, or returns nothing, is a source that fails.
func TestOpenReturnsNothing(t *testing.T) {
	for _, open := range []func(context.Context, uint32) (io.ReadCloser, error){
		func(context.Context, uint32) (io.ReadCloser, error) { panic("x") },
		func(context.Context, uint32) (io.ReadCloser, error) { return nil, nil },
	} {
		s := Source{Name: "f", Open: open}
		if _, err := s.fetch(t.Context(), nil, nil); err == nil {
			t.Error("got no error")
		}
	}
}
