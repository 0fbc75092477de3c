package scenario

import (
	"errors"
	"fmt"
	"strings"
)

// Section is one part of a text: a header line `-- kind argument ... --` and
// everything up to the next header.
type Section struct {
	Kind string   // first word of the header, such as "zone"
	Args []string // the other words of the header
	File string   // name of the file it is from; "" when there is none
	Line int      // line number of the header, from 1
	Body string   // the lines below it, comment lines blanked, ending with a newline unless empty
}

// Error says where a text is wrong.
type Error struct {
	File    string // name of the file; "" when there is none
	Line    int    // line number in the text, from 1
	Section string // header of the section the line is in; "" before the first one
	Err     error  // what is wrong
}

func (e *Error) Error() string {
	if e.Section == "" {
		return fmt.Sprintf("%s: %v", e.place(), e.Err)
	}
	return fmt.Sprintf("%s: in %q: %v", e.place(), e.Section, e.Err)
}

func (e *Error) place() string {
	if e.File != "" {
		return fmt.Sprintf("%s:%d", e.File, e.Line)
	}
	return fmt.Sprintf("line %d", e.Line)
}

// Unwrap returns the error without the place.
func (e *Error) Unwrap() error { return e.Err }

var (
	errNoHeader    = errors.New("text before the first section header, which is not a # comment")
	errEmptyHeader = errors.New("section header without a word")
	errHeaderEnd   = errors.New("a section header has blanks and two hyphens at both ends, as in \"-- zone example.com. --\"")
)

// Header returns the section's header line.
func (s Section) Header() string {
	return "-- " + strings.Join(append([]string{s.Kind}, s.Args...), " ") + " --"
}

// Errorf makes an Error for a line of the text that lies in the section.
func (s Section) Errorf(line int, format string, args ...any) *Error {
	return &Error{File: s.File, Line: line, Section: s.Header(), Err: fmt.Errorf(format, args...)}
}

// Place says where the section begins.
func (s Section) Place() string { return (&Error{File: s.File, Line: s.Line}).place() }

// Line is one line of a section that is not blank.
type Line struct {
	Number int    // line number in the text, from 1
	Text   string // without surrounding blanks
}

// Lines returns the lines of the body that are not blank, each with its number.
func (s Section) Lines() []Line {
	var lines []Line
	for i, text := range strings.Split(s.Body, "\n") {
		if text = strings.TrimSpace(text); text != "" {
			lines = append(lines, Line{Number: s.Line + 1 + i, Text: text})
		}
	}
	return lines
}

// Split cuts a text into its sections. doc is the comment before the first
// header without its number signs.
//
// A line whose first character other than blanks is '#' is a comment
// everywhere; an owner name that begins so is written `\#`.
func Split(text string) (doc string, sections []Section, err error) {
	var docLines []string
	var body strings.Builder
	closeSection := func() {
		if len(sections) > 0 {
			sections[len(sections)-1].Body = body.String()
		}
		body.Reset()
	}
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		line = strings.TrimSuffix(line, "\r")
		trimmed := strings.TrimSpace(line)
		words, isHeader := header(trimmed)
		switch {
		case isHeader && len(words) == 0:
			return "", nil, &Error{Line: i + 1, Err: errEmptyHeader}
		case isHeader:
			closeSection()
			sections = append(sections, Section{Kind: words[0], Args: words[1:], Line: i + 1})
		case isHalfHeader(trimmed):
			return "", nil, &Error{Line: i + 1, Err: fmt.Errorf("%q: %w", trimmed, errHeaderEnd)}
		case strings.HasPrefix(trimmed, "#"):
			if len(sections) == 0 {
				docLines = append(docLines, strings.TrimSpace(strings.TrimPrefix(trimmed, "#")))
			}
			body.WriteByte('\n')
		case len(sections) > 0:
			body.WriteString(line)
			body.WriteByte('\n')
		case trimmed != "":
			return "", nil, &Error{Line: i + 1, Err: errNoHeader}
		}
	}
	closeSection()
	return strings.Join(docLines, "\n"), sections, nil
}

// isHalfHeader reports whether a line that is no header was meant to be one.
func isHalfHeader(line string) bool {
	if strings.HasPrefix(line, "--") {
		return true
	}
	words := strings.Fields(line)
	if len(words) < 2 || words[len(words)-1] != "--" {
		return false
	}
	switch strings.TrimLeft(words[0], "-") {
	case "zone", "fault", "intercept":
		return true
	}
	return words[0] == "-"
}

// header returns the words of a header line; ok is false for any other line.
func header(line string) (words []string, ok bool) {
	if line == "-- --" {
		return nil, true
	}
	inner, ok := strings.CutPrefix(line, "-- ")
	if !ok {
		return nil, false
	}
	inner, ok = strings.CutSuffix(inner, " --")
	return strings.Fields(inner), ok
}
