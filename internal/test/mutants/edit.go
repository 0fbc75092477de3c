package main

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
)

// indentation is not compared: code that moves into a block keeps its mutants.
const indentation = "\t "

// A change is an edit at its place in a file.
type change struct {
	decl     *declaration
	in       string // the declaration's name within its package
	from, to int
	text     []byte
}

// changes finds the place of each edit of a mutant.
func (m *module) changes(mu *mutant) ([]change, error) {
	var all []change
	for _, e := range mu.edits {
		decl, err := m.find(e.in)
		if err != nil {
			return nil, err
		}
		c, err := decl.change(e)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.in, err)
		}
		all = append(all, c)
	}
	return all, nil
}

// change finds the old text of an edit in a declaration, where it must be once.
func (d *declaration) change(e edit) (change, error) {
	text, places := withoutIndentation(d.file.src, d.from, d.to)
	old := []byte(joinTrimmed(e.old))
	at := bytes.Index(text, old)
	if at < 0 {
		return change{}, fmt.Errorf("%q is not in it", old)
	}
	if bytes.Contains(text[at+1:], old) {
		return change{}, fmt.Errorf("%q is in it more than once", old)
	}
	_, name, _ := splitName(e.in)
	c := change{decl: d, in: name, from: places[at], to: places[at+len(old)-1] + 1}
	c.replace(e)
	return c, nil
}

// replace sets the new text, indented as the old one is. Without new text the lines go
// that are left empty.
func (c *change) replace(e edit) {
	src := c.decl.file.src
	indent := lineIndent(src, c.from)
	lineStart := bytes.LastIndexByte(src[:c.from], '\n') + 1
	wholeStart := lineStart+len(indent) == c.from
	if len(e.new) == 0 {
		if wholeStart && c.to < len(src) && src[c.to] == '\n' {
			c.from, c.to = lineStart, c.to+1
		}
		return
	}
	depth := len(indent) - leading(e.old[0])
	lines := make([]string, len(e.new))
	for i, line := range e.new {
		lines[i] = line
		if text := strings.TrimLeft(line, indentation); text != "" {
			lines[i] = strings.Repeat("\t", max(0, depth+leading(line))) + text
		}
	}
	if wholeStart {
		c.from = lineStart
	} else {
		lines[0] = strings.TrimLeft(lines[0], indentation)
	}
	c.text = []byte(strings.Join(lines, "\n"))
}

func leading(line string) int { return len(line) - len(strings.TrimLeft(line, indentation)) }

func joinTrimmed(lines []string) string {
	trimmed := make([]string, len(lines))
	for i, line := range lines {
		trimmed[i] = strings.TrimLeft(line, indentation)
	}
	return strings.Join(trimmed, "\n")
}

// withoutIndentation returns src[from:to] without the white space that lines begin with,
// and for each byte of it the place in src.
func withoutIndentation(src []byte, from, to int) (text []byte, places []int) {
	start := true
	for i := from; i < to; i++ {
		if start && strings.IndexByte(indentation, src[i]) >= 0 {
			continue
		}
		start = src[i] == '\n'
		text, places = append(text, src[i]), append(places, i)
	}
	return text, places
}

// mutatedFiles returns the files that changes alter, by path, as they are then.
func mutatedFiles(changes []change) (map[string][]byte, error) {
	byFile := map[*sourceFile][]change{}
	for _, c := range changes {
		byFile[c.decl.file] = append(byFile[c.decl.file], c)
	}
	files := map[string][]byte{}
	for file, changes := range byFile {
		src, err := apply(file.src, changes)
		if err != nil {
			return nil, err
		}
		if _, err := parser.ParseFile(token.NewFileSet(), file.path, src, parser.SkipObjectResolution); err != nil {
			return nil, err
		}
		files[file.path] = src
	}
	return files, nil
}

// apply makes changes, which must not overlap, in a text.
func apply(src []byte, changes []change) ([]byte, error) {
	changes = slices.SortedFunc(slices.Values(changes), func(a, b change) int { return cmp.Compare(a.from, b.from) })
	var out []byte
	at := 0
	for _, c := range changes {
		if c.from < at {
			return nil, fmt.Errorf("%s: two edits of one mutant overlap", c.in)
		}
		out = append(append(out, src[at:c.from]...), c.text...)
		at = c.to
	}
	return append(out, src[at:]...), nil
}

// A function is a function's text.
type function struct {
	signature string
	body      string // between the braces
	line      int    // of the opening brace
	results   bool
	labels    bool
}

// functionIn returns a function of a file by its name within the package.
func functionIn(src []byte, name string) (function, bool) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", src, parser.SkipObjectResolution)
	if err != nil {
		return function{}, false
	}
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok || functionName(f) != name || f.Body == nil {
			continue
		}
		at := func(pos token.Pos) int { return fset.Position(pos).Offset }
		return function{
			signature: string(src[at(f.Type.Pos()):at(f.Body.Lbrace)]),
			body:      string(src[at(f.Body.Lbrace)+1 : at(f.Body.Rbrace)]),
			line:      fset.Position(f.Body.Lbrace).Line,
			results:   f.Type.Results != nil,
			labels:    hasLabels(f.Body),
		}, true
	}
	return function{}, false
}

func hasLabels(body *ast.BlockStmt) bool {
	found := false
	ast.Inspect(body, func(n ast.Node) bool {
		_, label := n.(*ast.LabeledStmt)
		found = found || label
		return !found
	})
	return found
}
