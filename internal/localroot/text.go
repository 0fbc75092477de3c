package localroot

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
	"github.com/iterdns/iterdns/internal/zonetext"
)

// gzipMagic begins compressed files.
const gzipMagic = "\x1f\x8b"

// readText reads a copy as a zone file (RFC 1035 §5.1), of which ctx's end makes no copy.
func readText(ctx context.Context, r io.Reader, apex dnsname.Name) (*contents, error) {
	text, err := io.ReadAll(io.LimitReader(&endingReader{ctx: ctx, Reader: r}, MaxBytes+1))
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, fmt.Errorf("read: %w", err)
	case len(text) > MaxBytes:
		return nil, faultf(FaultSize, "more than %d bytes", MaxBytes)
	case strings.HasPrefix(string(text[:min(len(text), len(gzipMagic))]), gzipMagic):
		return nil, faultf(FaultSyntax, "it is compressed (gzip), want the text of a zone file")
	}
	return parseText(ctx, string(text), apex)
}

// maxEmptyReads is how many reads one after the other may bring nothing, as in package bufio.
const maxEmptyReads = 100

// endingReader reads until ctx ends, or the reader below brings nothing any more.
type endingReader struct {
	io.Reader
	ctx   context.Context
	empty int // reads in a row that brought nothing
}

func (r *endingReader) Read(b []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	n, err := r.Reader.Read(b)
	if r.empty++; n > 0 {
		r.empty = 0
	}
	if err == nil && r.empty >= maxEmptyReads {
		err = io.ErrNoProgress
	}
	return n, err
}

// recordsAtOnce is how many records are read before it is looked whether they are still wanted.
const recordsAtOnce = 1000

func parseText(ctx context.Context, text string, apex dnsname.Name) (*contents, error) {
	c := collector{apex: apex}
	parser := dns.NewZoneParser(strings.NewReader(zonetext.Wrap(text)), apex.String(), "")
	for n := 1; ; n++ {
		rr, ok := parser.Next()
		if !ok {
			break
		}
		if err := c.addRR(rr); err != nil {
			return nil, err
		}
		if n%recordsAtOnce == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	if err := parser.Err(); err != nil {
		return nil, faultf(FaultSyntax, "no zone file: %w", err)
	}
	return c.finish()
}

// fixed is how many bytes of a record are type, class, TTL and length.
const fixed = 10

// addRR takes in a record as the parser has read it.
func (c *collector) addRR(rr dns.RR) error {
	rr, err := zonetext.Unwrap(rr)
	if err != nil {
		return faultf(FaultSyntax, "%w", err)
	}
	h := rr.Header()
	owner, err := dnsname.Parse(h.Name)
	if err != nil {
		return faultf(FaultSyntax, "%q: %w", h.Name, err)
	}
	if c.packed == nil {
		c.packed = make([]byte, dnsname.MaxWire+fixed+wire.MaxLen)
	}
	buf := c.packed
	end, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return faultf(FaultSyntax, "%s %s: %w", h.Name, dns.Type(h.Rrtype), err)
	}
	at := len(owner) + fixed
	return c.add(owner, h.Rrtype, h.Class, h.Ttl, string(buf[at:end]))
}

// writeText writes a copy as a zone file that readText reads, the SOA first.
func (z *contents) writeText(w io.Writer) error {
	out := bufio.NewWriter(w)
	write := func(r record) error {
		h := dns.RR_Header{Name: r.owner.String(), Rrtype: r.rrtype, Class: dns.ClassINET, Ttl: r.ttl}
		rr, err := wire.DecodeUnread(h, []byte(r.rdata))
		if err == nil {
			_, err = fmt.Fprintln(out, rr)
		}
		return err
	}
	if err := write(z.soa); err != nil {
		return err
	}
	for _, r := range z.records {
		if r.owner == z.apex && r.rrtype == dns.TypeSOA {
			continue
		}
		if err := write(r); err != nil { // where the disk is full, all others fail for the same reason
			return err
		}
	}
	return out.Flush()
}
