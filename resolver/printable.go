package resolver

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/miekg/dns"
)

// Printable returns text with every byte of what cannot be printed as \DDD, the form of zone
// files (RFC 1035 §5.1): control characters, line ends and tabs among them, characters that
// turn the direction of writing, and what is no UTF-8. What comes from servers (RDATA, texts,
// the names in certificates) may hold any of them, and a terminal obeys some.
func Printable(text string) string { return printableBut(text, "") }

// PrintableRR returns a record in the syntax of zone files as its String method does, but
// printable: not all types of miekg/dns escape their data. The tabs between its fields stay.
func PrintableRR(rr dns.RR) string {
	if null, ok := rr.(*dns.NULL); ok {
		shown := *null
		shown.Data = Printable(null.Data)
		rr = &shown
	}
	return printableBut(rr.String(), "\t")
}

// PrintableWriter returns a writer to w that makes what is written to it printable, lines and
// tabs apart. It is for the output of programs, so that nothing of what servers say reaches a
// terminal by way of a line that was forgotten. Characters are written in one piece.
func PrintableWriter(w io.Writer) io.Writer { return printableWriter{w} }

type printableWriter struct{ w io.Writer }

// Write makes p printable. Its count is that of the bytes of p.
func (p printableWriter) Write(b []byte) (int, error) {
	if _, err := io.WriteString(p.w, printableLines(string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// printableLines is Printable for text that has lines and columns of its own.
func printableLines(text string) string { return printableBut(text, "\n\t") }

// printableBut leaves the characters in kept as they are.
func printableBut(text, kept string) string {
	if isPrintable(text, kept) {
		return text
	}
	var b strings.Builder
	for i, size := 0, 0; i < len(text); i += size {
		var r rune
		r, size = utf8.DecodeRuneInString(text[i:])
		if isPrintableRune(r, size, kept) {
			b.WriteString(text[i : i+size])
			continue
		}
		for _, c := range []byte(text[i : i+size]) {
			fmt.Fprintf(&b, "\\%03d", c)
		}
	}
	return b.String()
}

// isPrintable reports whether there is nothing to replace.
func isPrintable(text, kept string) bool {
	for i, size := 0, 0; i < len(text); i += size {
		var r rune
		r, size = utf8.DecodeRuneInString(text[i:])
		if !isPrintableRune(r, size, kept) {
			return false
		}
	}
	return true
}

func isPrintableRune(r rune, size int, kept string) bool {
	return (unicode.IsPrint(r) || strings.ContainsRune(kept, r)) && (r != utf8.RuneError || size > 1)
}

// printableError is an error whose text comes in part from servers.
type printableError struct{ error }

func (e printableError) Error() string { return Printable(e.error.Error()) }

// Unwrap returns the error.
func (e printableError) Unwrap() error { return e.error }
