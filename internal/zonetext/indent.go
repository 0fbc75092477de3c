package zonetext

import "strings"

// Dedent takes the indentation away that all records share, as in a string of a program. It stays
// where each is a record without a name of its own, which begins with a blank (RFC 1035 §5.1).
// Lines keep their numbers, and those within parentheses begin with a blank: the parser of
// miekg/dns takes no others.
func Dedent(text string) string {
	var firsts []span // the indentation of each entry
	var within []int  // where the lines within parentheses begin
	named := false
	s := scanner{text: text}
	for s.at < len(text) {
		words := s.entry()
		if len(words) == 0 {
			continue
		}
		begin := words[0].begin
		firsts = append(firsts, span{strings.LastIndexByte(text[:begin], '\n') + 1, begin})
		word := words[0].of(text)
		_, isType := parseType(word)
		named = named || !isType && !isTTL(word) && !isClass(word)
		for i, next := range words[1:] {
			if gap := text[words[i].end:next.begin]; strings.HasSuffix(gap, "\n") {
				within = append(within, next.begin)
			}
		}
	}
	prefix := ""
	if named {
		prefix = common(text, firsts)
	}
	if prefix == "" && len(within) == 0 {
		return text
	}
	var out strings.Builder
	written := 0
	for _, first := range firsts {
		for len(within) > 0 && within[0] < first.begin {
			out.WriteString(text[written:within[0]] + " ")
			written, within = within[0], within[1:]
		}
		out.WriteString(text[written:first.begin])
		written = first.begin + len(prefix)
	}
	for _, at := range within {
		out.WriteString(text[written:at] + " ")
		written = at
	}
	return out.String() + text[written:]
}

// common returns the blanks that all of some texts begin with.
func common(text string, all []span) string {
	if len(all) == 0 {
		return ""
	}
	prefix := all[0].of(text)
	for _, indent := range all {
		for !strings.HasPrefix(indent.of(text), prefix) {
			prefix = prefix[:len(prefix)-1]
		}
	}
	blanks := len(prefix) - len(strings.TrimLeft(prefix, " \t")) // parentheses can stand between them
	return prefix[:blanks]
}
