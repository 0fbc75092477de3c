package printable

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Lines makes text printable that has lines and columns of its own.
func Lines(text string) string { return Except(text, "\n\t") }

// Except makes text printable, as resolver.Printable does, but leaves the characters in kept
// as they are.
func Except(text, kept string) string {
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

// Error is an error whose text comes in part from servers.
type Error struct{ Err error }

func (e Error) Error() string { return Except(e.Err.Error(), "") }

// Unwrap returns the error.
func (e Error) Unwrap() error { return e.Err }
