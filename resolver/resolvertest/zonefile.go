package resolvertest

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/scenario"
	"github.com/iterdns/iterdns/internal/zonetext"
)

// defaultTTL is what a record gets that is written without a TTL, in seconds.
const defaultTTL = 300

// parseZone reads a zone section: the header, then records in zone-file syntax
// (RFC 1035 §5.1) relative to the zone's name.
func parseZone(s scenario.Section) (*zone, error) {
	header, err := scenario.ParseZoneHeader(s)
	if err != nil {
		return nil, err
	}
	z := newZone(header.Origin)
	z.from = s
	z.addrs, z.undelegated, z.signing = header.Addrs, header.Undelegated, header.Signing
	body := zonetext.Dedent(s.Body)
	var wrong *zonetext.LineError
	if errors.As(zonetext.Check(body), &wrong) {
		return nil, s.Errorf(s.Line+wrong.Line, "%w", wrong.Err)
	}
	source := newLineReader(zonetext.Wrap(body))
	parser := dns.NewZoneParser(source, header.Origin.String(), "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		normal, err := normalised(rr)
		if err == nil {
			err = z.addFrom(normal, s.Line+source.line())
		}
		if err != nil {
			return nil, s.Errorf(s.Line+source.line(), "%s %s: %w", rr.Header().Name, dns.Type(rr.Header().Rrtype), err)
		}
	}
	if err := parser.Err(); err != nil {
		return nil, s.Errorf(s.Line+source.line(), "%w", withoutPlace(err))
	}
	return z, nil
}

var errNoData = errors.New("no data behind the type")

// normalised returns a record as it would come off the wire: with one way to write
// each byte of a name, and nothing that cannot be sent.
func normalised(rr dns.RR) (dns.RR, error) {
	buffer := make([]byte, dns.Len(rr)+1)
	n, err := dns.PackRR(rr, buffer, 0, nil, false)
	if err != nil {
		return nil, withoutPlace(err)
	}
	normal, _, err := dns.UnpackRR(buffer[:n], 0)
	if err != nil {
		return nil, withoutPlace(err)
	}
	if normal.Header().Rdlength == 0 && !mayBeEmpty(rr) {
		return nil, errNoData
	}
	return zonetext.Unwrap(normal)
}

// mayBeEmpty reports whether a record may do without data: those of types that
// nobody here knows, and the few that are made so.
func mayBeEmpty(rr dns.RR) bool {
	switch rr.(type) {
	case *dns.RFC3597, *dns.NULL, *dns.APL:
		return true
	}
	return false
}

// lineReader hands a zone file to the parser byte by byte, so that at any
// moment it is known which line has been read.
type lineReader struct {
	*strings.Reader
	read     int  // complete lines given out
	lineOpen bool // something of the line after them was given out too
	prefix   int
}

// newLineReader puts the default TTL in front as a directive: given in any other
// way it would be replaced by the TTL of the last record that has one.
func newLineReader(text string) *lineReader {
	directive := fmt.Sprintf("$TTL %d\n", defaultTTL)
	return &lineReader{Reader: strings.NewReader(directive + text), prefix: 1}
}

// ReadByte makes the parser read without a buffer of its own.
func (r *lineReader) ReadByte() (byte, error) {
	c, err := r.Reader.ReadByte()
	if err != nil {
		return 0, err
	}
	r.lineOpen = c != '\n'
	if !r.lineOpen {
		r.read++
	}
	return c, nil
}

// line is the number of the last line that was read from, from 1.
func (r *lineReader) line() int {
	n := r.read - r.prefix
	if r.lineOpen {
		n++
	}
	return max(n, 1)
}

var _ io.ByteReader = (*lineReader)(nil)

// withoutPlace takes the parser's own idea of the line off an error, which counts
// from the start of the section.
func withoutPlace(err error) error {
	text, _, _ := strings.Cut(err.Error(), " at line: ")
	return fmt.Errorf("%s", strings.TrimPrefix(text, "dns: "))
}
