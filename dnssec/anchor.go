package dnssec

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// Anchor is a key that is trusted without a proof: a DS or DNSKEY record of any
// zone, which need not be the root. The zero value trusts nothing.
type Anchor struct {
	// ValidFrom and ValidUntil bound the time of signatures that the anchor may
	// vouch for, as IANA publishes them (RFC 9718 §2.1); zero is no bound.
	ValidFrom, ValidUntil time.Time

	zone  dnsname.Name
	rdata string
	key   Key // of a DNSKEY; of a DS tag and algorithm only
	ds    DS
	isDS  bool
}

// rootAnchors is what IANA publishes at data.iana.org/root-anchors (RFC 9718):
// KSK-2017 and KSK-2024, which was to take over on 11 October 2026.
const rootAnchors = `
. IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D
. IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16
`

// DefaultAnchors returns the embedded anchors of the root zone: the keys 20326 and
// 38696.
func DefaultAnchors() []Anchor {
	anchors, err := ParseAnchors(strings.NewReader(rootAnchors))
	if err != nil {
		panic("dnssec: embedded trust anchors: " + err.Error())
	}
	return anchors
}

// ErrAnchor says that a record cannot be a trust anchor.
var ErrAnchor = errors.New("not a trust anchor")

// NewAnchor makes an anchor of a *dns.DS or *dns.DNSKEY record; a DNSKEY must be an
// unrevoked zone key. It fails with ErrAnchor.
func NewAnchor(rr dns.RR) (Anchor, error) {
	zone, rdata, err := pack(rr)
	if err != nil {
		return Anchor{}, fmt.Errorf("%w: %w", ErrAnchor, err)
	}
	if class := rr.Header().Class; class != dns.ClassINET {
		return Anchor{}, fmt.Errorf("%w: class %s", ErrAnchor, dns.Class(class))
	}
	a := Anchor{zone: zone, rdata: rdata}
	switch rr.(type) {
	case *dns.DS:
		a.isDS = true
		if a.ds, err = ParseDS(rdata); err == nil {
			err = checkDigestLength(a.ds)
		}
	case *dns.DNSKEY:
		a.key, err = ParseKey(rdata)
		key := zoneKey{Key: a.key}
		if err == nil && !key.usable() {
			err = errors.New("revoked, or no zone key")
		}
	default:
		err = errors.New("neither DS nor DNSKEY")
	}
	if err != nil {
		return Anchor{}, fmt.Errorf("%w: %s: %w", ErrAnchor, rr, err)
	}
	return a, nil
}

// checkDigestLength refuses a digest that is cut short: no key would match it.
func checkDigestLength(ds DS) error {
	want := map[uint8]int{dns.SHA1: sha1.Size, dns.SHA256: sha256.Size, dns.SHA384: sha512.Size384}[ds.DigestType]
	if want != 0 && len(ds.Digest) != want {
		return fmt.Errorf("digest of %d bytes, %s has %d", len(ds.Digest), DigestName(ds.DigestType), want)
	}
	return nil
}

// maxAnchorFile bounds the size of a file of anchors in bytes: the real one has
// two lines.
const maxAnchorFile = 1 << 20

// ParseAnchors reads DS and DNSKEY records of any zones in zone-file syntax (RFC
// 1035 §5.1), comments allowed. Names are absolute. Other records, a record that
// does not parse, and a file without anchors are errors, which name the line. At
// most 1 MiB is read.
//
// What FormatRollovers has written is read too: the anchors are the keys that it trusts,
// and a zone without any is ErrNoAnchorLeft.
func ParseAnchors(r io.Reader) ([]Anchor, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxAnchorFile+1))
	if err != nil {
		return nil, fmt.Errorf("read trust anchors: %w", err)
	}
	if len(text) > maxAnchorFile {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrAnchor, maxAnchorFile)
	}
	if isJSON(text) {
		return storedAnchors(text)
	}
	lines := &lineReader{Reader: bytes.NewReader(text)}
	parser := dns.NewZoneParser(lines, ".", "")
	parser.SetDefaultTTL(0)
	var anchors []Anchor
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		a, err := NewAnchor(rr)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", lines.ended, err)
		}
		anchors = append(anchors, a)
	}
	if err := parser.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnchor, err) // it says the line itself
	}
	if len(anchors) == 0 {
		return nil, fmt.Errorf("line %d: %w: no DS or DNSKEY record", lines.ended, ErrAnchor)
	}
	return anchors, nil
}

// isJSON reports whether text is a stored Rollover, cut short or not. A record may begin with a
// brace too, but an owner's quotation mark is escaped, and no type begins with one.
func isJSON(text []byte) bool {
	const space = " \t\r\n"
	inner, ok := bytes.CutPrefix(bytes.TrimLeft(text, space), []byte("{"))
	inner = bytes.TrimLeft(inner, space)
	return ok && (len(inner) == 0 || inner[0] == '"')
}

// lineReader counts the lines that the zone parser, which reads byte by byte and
// never past the end of a record, has finished.
type lineReader struct {
	*bytes.Reader
	ended int
}

// ReadByte returns the next byte.
func (l *lineReader) ReadByte() (byte, error) {
	b, err := l.Reader.ReadByte()
	if b == '\n' {
		l.ended++
	}
	return b, err
}

// Zone is the name of the anchor's zone with its trailing dot, "" for the zero
// value.
func (a Anchor) Zone() string { return a.zone.String() }

// String returns the record in zone-file syntax.
func (a Anchor) String() string {
	set := RRset{Owner: a.zone, Type: dns.TypeDNSKEY, Class: dns.ClassINET, Records: Pack(a.rdata)}
	if a.isDS {
		set.Type = dns.TypeDS
	}
	rrs, err := set.AppendRRs(nil, 0, false)
	if a.zone == "" || err != nil {
		return ""
	}
	return rrs[0].String()
}

// Tag is the key tag.
func (a Anchor) Tag() uint16 { return a.tag() }

// validAt reports whether the anchor may be used for signatures judged at t.
func (a Anchor) validAt(t time.Time) bool {
	return !t.Before(a.ValidFrom) && (a.ValidUntil.IsZero() || t.Before(a.ValidUntil))
}

func (a Anchor) tag() uint16 {
	if a.isDS {
		return a.ds.KeyTag
	}
	return a.key.Tag
}

func (a Anchor) algorithm() uint8 {
	if a.isDS {
		return a.ds.Algorithm
	}
	return a.key.Algorithm
}

// matches reports whether the anchor vouches for a key of its zone.
func (a Anchor) matches(zone dnsname.Name, key *zoneKey) bool {
	if a.isDS {
		return a.ds.matches(zone, key)
	}
	return a.rdata == key.rdata
}

// NegativeAnchor makes everything at and below a zone Insecure until a time, for a
// zone that its operator has broken and is known to be repairing (RFC 7646). A trust
// anchor below the zone still holds.
type NegativeAnchor struct {
	Zone Name
	// Until is when it ends; zero: never. RFC 7646 §2 asks for a short time;
	// more than a week is bad practice.
	Until time.Time
}
