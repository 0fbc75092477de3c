package roothints

import (
	"fmt"
	"strings"
)

// scanner cuts the text of a zone file into entries: lines, and the several lines
// that parentheses join to one (RFC 1035 §5.1).
type scanner struct {
	text string // what is left
	line int    // where text begins
}

// entry is what stands between two line ends, comments left out. Most lines of a
// hints file have no words at all.
type entry struct {
	words    []word
	indented bool // begins with a blank: the owner is that of the record before
}

// word is a run of characters between blanks, escapes as written.
type word struct {
	text string
	line int
}

func (w word) fail(err error) error { return &ParseError{w.line, err} }

func (s *scanner) next() (entry, error) {
	e := entry{indented: strings.HasPrefix(s.text, " ") || strings.HasPrefix(s.text, "\t")}
	opened := 0 // line of the open parenthesis
	for s.text != "" {
		switch c := s.text[0]; c {
		case '\n':
			s.text = s.text[1:]
			s.line++
			if opened == 0 {
				return e, nil
			}
		case ' ', '\t', '\r':
			s.text = s.text[1:]
		case ';':
			s.text = s.text[len(lineOf(s.text)):]
		case '(', ')':
			if (c == '(') != (opened == 0) {
				return e, s.fail("parenthesis out of place")
			}
			opened = 0
			if c == '(' {
				opened = s.line
			}
			s.text = s.text[1:]
		default:
			w, err := s.word()
			if err != nil {
				return e, err
			}
			e.words = append(e.words, w)
		}
	}
	if opened != 0 {
		return e, &ParseError{opened, fmt.Errorf("%w: parenthesis never closed", ErrSyntax)}
	}
	return e, nil
}

// word reads to the next blank, comment or parenthesis. Nothing in a hints file
// needs quotation marks, and bytes that are not printable ASCII are written as
// escapes, so that whatever else turns up (a BOM, a binary file) is refused here.
func (s *scanner) word() (word, error) {
	n := 0
	for n < len(s.text) && !strings.ContainsRune(" \t\r\n;()", rune(s.text[n])) {
		switch c := s.text[n]; {
		case c < ' ' || c > '~' || c == '"':
			return word{}, s.fail(fmt.Sprintf("unexpected character %q", c))
		case c == '\\':
			n++
			if n == len(s.text) || s.text[n] < ' ' || s.text[n] > '~' {
				return word{}, s.fail("backslash with nothing to escape")
			}
		}
		n++
	}
	w := word{s.text[:n], s.line}
	s.text = s.text[n:]
	return w, nil
}

func (s *scanner) fail(what string) error {
	return &ParseError{s.line, fmt.Errorf("%w: %s", ErrSyntax, what)}
}

func lineOf(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
