package zonetext

import (
	"iter"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// span is a word of a text.
type span struct{ begin, end int }

func (s span) of(text string) string { return text[s.begin:s.end] }

// generic is an entry of a zone file whose RDATA is in the generic form.
type generic struct {
	rrtype, length span
	number         uint16 // of the type
}

// entries lists the entries whose RDATA is in the generic form.
func entries(text string) iter.Seq[generic] {
	return func(yield func(generic) bool) {
		s := scanner{text: text}
		for s.at < len(text) {
			owned := !strings.ContainsRune(" \t", rune(text[s.at]))
			if e, ok := parseEntry(text, s.entry(), owned); ok && !yield(e) {
				return
			}
		}
	}
}

// parseEntry reads an entry: an owner unless the line begins with a blank, TTL and class in any
// order, the type, the RDATA (RFC 1035 §5.1). ok is false if the RDATA is not in the generic form.
func parseEntry(text string, words []span, owned bool) (e generic, ok bool) {
	if owned && len(words) > 0 {
		words = words[1:]
	}
	for len(words) >= 3 {
		if e.number, ok = parseType(words[0].of(text)); ok {
			e.rrtype, e.length = words[0], words[2]
			return e, words[1].of(text) == `\#`
		}
		words = words[1:]
	}
	return e, false
}

// parseType reads a type's mnemonic or TYPE123.
func parseType(word string) (uint16, bool) {
	word = strings.ToUpper(word)
	if rrtype, ok := dns.StringToType[word]; ok {
		return rrtype, true
	}
	digits, ok := strings.CutPrefix(word, "TYPE")
	n, err := strconv.ParseUint(digits, 10, 16)
	return uint16(n), ok && err == nil
}

// scanner splits the text of a zone file into entries, and these into words.
type scanner struct {
	text  string
	at    int
	words []span // of the last entry
}

// entry returns the words of the next entry, which ends with its line unless in parentheses. They
// are valid until the next call.
func (s *scanner) entry() []span {
	s.words = s.words[:0]
	for depth := 0; s.at < len(s.text); {
		switch s.text[s.at] {
		case '\n':
			if depth <= 0 {
				s.at++
				return s.words
			}
			s.at++
		case '(':
			depth++
			s.at++
		case ')':
			depth--
			s.at++
		case ' ', '\t', '\r':
			s.at++
		case ';':
			s.skipComment()
		default:
			s.words = append(s.words, s.word())
		}
	}
	return s.words
}

// skipComment goes to the end of the line.
func (s *scanner) skipComment() {
	if n := strings.IndexByte(s.text[s.at:], '\n'); n >= 0 {
		s.at += n
	} else {
		s.at = len(s.text)
	}
}

// word reads a word; any quoted or escaped byte is part of it.
func (s *scanner) word() span {
	word := span{begin: s.at}
	for quoted := false; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '\\':
			s.at++
		case c == '"':
			quoted = !quoted
		case !quoted && strings.IndexByte(" \t\r\n;()", c) >= 0:
			word.end = s.at
			return word
		}
	}
	s.at = min(s.at, len(s.text))
	word.end = s.at
	return word
}
