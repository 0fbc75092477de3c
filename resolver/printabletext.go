package resolver

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// printableLines makes text printable that has lines and columns of its own.
func printableLines(text string) string { return printableBut(text, "\n\t") }

// printableBut makes text printable, as Printable does, but leaves the characters in kept as
// they are.
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

// isPrintable reports whether text needs no replacement.
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
type printableError struct{ err error }

func (e printableError) Error() string { return printableBut(e.err.Error(), "") }

// Unwrap returns the error.
func (e printableError) Unwrap() error { return e.err }
