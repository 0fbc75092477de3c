// Package dnsname decides whether text or bytes are a domain name, and how names
// relate: equal, below, in canonical order.
//
// In come names in presentation form or in wire format; out comes a [Name],
// always uncompressed wire format, lower case, absolute, or the reason why it is
// none. It never follows a compression pointer (package wire does) and never
// completes a relative name.
//
// In this form two names are equal when their strings are, a name can be a map
// key, an ancestor is a slice of its descendant that costs no allocation, and no
// escape sequence (`\.`, `\000`) makes two different names look alike, as happens
// with names in presentation form.
//
// It follows RFC 1035 §3.1 (labels and lengths), RFC 4034 §6.1 (canonical order)
// and RFC 4343 (only ASCII letters have two cases).
package dnsname

import (
	"errors"
	"strings"
)

const (
	// MaxWire is the length of the longest name on the wire in bytes, root
	// label included. RFC 1035 §2.3.4.
	MaxWire = 255
	// MaxLabel is the length of the longest label in bytes. RFC 1035 §2.3.4.
	MaxLabel = 63
	// MaxLabels is how many labels a name can have without the root label:
	// 127 of one byte each fill the 255.
	MaxLabels = 127
)

// Why a name is refused.
var (
	// ErrTooLong says that a name takes more than 255 bytes on the wire.
	ErrTooLong = errors.New("domain name longer than 255 bytes")
	// ErrLabelTooLong says that a label takes more than 63 bytes.
	ErrLabelTooLong = errors.New("label longer than 63 bytes")
	// ErrEmptyLabel says that there is nothing between two dots.
	ErrEmptyLabel = errors.New("empty label in domain name")
	// ErrEscape says that a backslash is not followed by a character or by
	// three digits up to 255.
	ErrEscape = errors.New("malformed escape in domain name")
	// ErrSyntax says that the bytes are no uncompressed name in wire format.
	ErrSyntax = errors.New("malformed domain name")
	// ErrEmpty says that there is no name at all.
	ErrEmpty = errors.New("empty domain name")
)

// Name is a domain name: uncompressed wire format in lower case, ending with
// the root label. The zero value "" is no name; Root is the root.
type Name string

// Root is the name of the root zone.
const Root Name = "\x00"

// Parse reads a name in presentation form (RFC 1035 §5.1: dots between labels,
// `\X` and `\DDD` as escapes). It is absolute with or without the trailing dot.
func Parse(s string) (Name, error) {
	if s == "." {
		return Root, nil
	}
	if s == "" {
		return "", ErrEmpty
	}
	if len(s) > 4*MaxWire { // every byte escaped
		return "", ErrTooLong
	}
	buf := make([]byte, 1, len(s)+2)
	start := 0 // where the length byte of the current label stands
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch c {
		case '.':
			if err := closeLabel(buf, start); err != nil {
				return "", err
			}
			start = len(buf)
			buf = append(buf, 0)
			continue
		case '\\':
			n, b, err := unescape(s[i+1:])
			if err != nil {
				return "", err
			}
			i += n
			c = b
		}
		buf = append(buf, lower(c))
	}
	if len(buf)-start > 1 { // no trailing dot
		if err := closeLabel(buf, start); err != nil {
			return "", err
		}
		buf = append(buf, 0)
	}
	if len(buf) > MaxWire {
		return "", ErrTooLong
	}
	return Name(buf), nil
}

// MustParse is Parse for names that stand in the program text. It panics if the
// name is malformed.
func MustParse(s string) Name {
	n, err := Parse(s)
	if err != nil {
		panic("dnsname: " + s + ": " + err.Error())
	}
	return n
}

// closeLabel writes the length of the label that began at start and ends with buf.
func closeLabel(buf []byte, start int) error {
	n := len(buf) - start - 1
	if n == 0 {
		return ErrEmptyLabel
	}
	if n > MaxLabel {
		return ErrLabelTooLong
	}
	buf[start] = byte(n)
	return nil
}

// unescape reads an escape behind its backslash: how many characters it takes and
// which byte it stands for.
func unescape(s string) (n int, b byte, err error) {
	if s == "" {
		return 0, 0, ErrEscape
	}
	if s[0] < '0' || s[0] > '9' {
		return 1, s[0], nil
	}
	if len(s) < 3 {
		return 0, 0, ErrEscape
	}
	v := 0
	for _, c := range []byte(s[:3]) {
		if c < '0' || c > '9' {
			return 0, 0, ErrEscape
		}
		v = v*10 + int(c-'0')
	}
	if v > 255 {
		return 0, 0, ErrEscape
	}
	return 3, byte(v), nil
}

// FromWire takes an uncompressed name in wire format that fills b, in any case.
func FromWire(b []byte) (Name, error) {
	if len(b) > MaxWire {
		return "", ErrTooLong
	}
	for i := 0; i < len(b); i += int(b[i]) + 1 {
		switch {
		case b[i] == 0 && i == len(b)-1:
			return canonical(b), nil
		case b[i] == 0 || b[i] > MaxLabel:
			return "", ErrSyntax
		}
	}
	return "", ErrSyntax
}

// Canonical makes a Name of bytes that are known to be a well-formed
// uncompressed name, such as the wire walker's.
func Canonical(b []byte) Name { return canonical(b) }

// Lower is Canonical of a string, which it returns itself where it is in lower case.
func Lower(s string) Name {
	for i := range len(s) {
		if s[i] != lower(s[i]) {
			return canonical([]byte(s))
		}
	}
	return Name(s)
}

// canonical lowers the letters of b. Length bytes are at most 63 and so below
// the letters: the whole name can be lowered without looking at labels.
func canonical(b []byte) Name {
	for i, c := range b {
		if c != lower(c) {
			return Name(lowered(b, i))
		}
	}
	return Name(b)
}

func lowered(b []byte, from int) []byte {
	out := make([]byte, len(b))
	copy(out, b[:from])
	for i := from; i < len(b); i++ {
		out[i] = lower(b[i])
	}
	return out
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// String returns the name in presentation form with its trailing dot; bytes
// other than letters, digits, hyphen, underscore and a few harmless signs are
// escaped. For the zero Name it is "".
func (n Name) String() string {
	if n == "" {
		return ""
	}
	if n == Root {
		return "."
	}
	var b strings.Builder
	b.Grow(len(n))
	for rest := n; rest[0] != 0; rest = rest.Parent() {
		for _, c := range []byte(rest.Label()) {
			writeEscaped(&b, c)
		}
		b.WriteByte('.')
	}
	return b.String()
}

// writeEscaped writes one byte as miekg/dns does, so that names of both can be
// compared as text.
func writeEscaped(b *strings.Builder, c byte) {
	switch c {
	case '.', ' ', '\'', '@', ';', '(', ')', '"', '\\':
		b.WriteByte('\\')
		b.WriteByte(c)
	default:
		if c < ' ' || c > '~' {
			b.WriteByte('\\')
			b.WriteByte('0' + c/100)
			b.WriteByte('0' + c/10%10)
			b.WriteByte('0' + c%10)
			return
		}
		b.WriteByte(c)
	}
}
