package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A mutant is one rule of the resolver, and how to take it away.
type mutant struct {
	name string // of the rule, in words of the code
	rule string // with its source
	test string // arguments for go test, split at spaces; the first is the package
	seed int    // of the simulator, that found it when last tried; 0: none has
	at   string // file and line of the table

	edits []edit
}

// An edit replaces text in one function or other declaration.
type edit struct {
	in  string // the declaration's name after that of its package, such as internal/scrub.scrubber.dname
	old []string
	new []string
}

// readTables returns the mutants of all tables in a folder, in order of file and line.
func readTables(dir string) ([]*mutant, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return nil, err
	}
	var all []*mutant
	named := map[string]*mutant{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		table, err := parseTable(filepath.Base(file), string(content))
		if err != nil {
			return nil, err
		}
		for _, m := range table {
			if other := named[m.name]; other != nil {
				return nil, fmt.Errorf("%s: %s is in %s already", m.at, m.name, other.at)
			}
			named[m.name] = m
		}
		all = append(all, table...)
	}
	return all, nil
}

// parseTable reads one table: entries apart by blank lines, each with a line for each
// field, and the edits as in a diff without line numbers.
func parseTable(file, content string) ([]*mutant, error) {
	p := tableParser{file: file}
	lines := bufio.NewScanner(strings.NewReader(content))
	for lines.Scan() {
		p.line++
		if err := p.take(lines.Text()); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, p.line, err)
		}
	}
	if err := p.endEntry(); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", file, p.line, err)
	}
	return p.all, lines.Err()
}

type tableParser struct {
	file string
	line int
	all  []*mutant
	now  *mutant // nil between entries
}

func (p *tableParser) take(line string) error {
	switch {
	case strings.TrimSpace(line) == "":
		return p.endEntry()
	case line[0] == '#':
		return nil
	case strings.ContainsRune(" -+", rune(line[0])):
		return p.takeText(line[0], line[1:])
	}
	field, value, ok := strings.Cut(line, ":")
	if !ok {
		return fmt.Errorf("%q is neither a field nor a line of an edit", line)
	}
	return p.takeField(field, strings.TrimSpace(value))
}

func (p *tableParser) takeField(field, value string) error {
	if field == "mutant" {
		if err := p.endEntry(); err != nil {
			return err
		}
		p.now = &mutant{name: value, at: fmt.Sprintf("%s:%d", p.file, p.line)}
		return nil
	}
	if p.now == nil {
		return fmt.Errorf("%s: stands before a line \"mutant:\"", field)
	}
	switch field {
	case "rule":
		p.now.rule = value
	case "test":
		p.now.test = value
	case "seed":
		seed, err := strconv.Atoi(value)
		p.now.seed = seed
		return err
	case "in":
		if err := p.endEdit(); err != nil {
			return err
		}
		p.now.edits = append(p.now.edits, edit{in: value})
	default:
		return fmt.Errorf("no field %q", field)
	}
	return nil
}

// takeText reads a line of an edit: a blank one in both texts, others in one of them.
func (p *tableParser) takeText(side byte, text string) error {
	if p.now == nil || len(p.now.edits) == 0 {
		return fmt.Errorf("text stands before a line \"in:\"")
	}
	e := &p.now.edits[len(p.now.edits)-1]
	if side != '+' {
		e.old = append(e.old, text)
	}
	if side != '-' {
		e.new = append(e.new, text)
	}
	return nil
}

func (p *tableParser) endEdit() error {
	if len(p.now.edits) == 0 {
		return nil
	}
	e := p.now.edits[len(p.now.edits)-1]
	if strings.TrimSpace(strings.Join(e.old, "")) == "" {
		return fmt.Errorf("%s: the edit of %s has no old text", p.now.name, e.in)
	}
	return nil
}

func (p *tableParser) endEntry() error {
	if p.now == nil {
		return nil
	}
	if err := p.endEdit(); err != nil {
		return err
	}
	switch m := p.now; {
	case m.name == "" || strings.ContainsAny(m.name, " /:"):
		return fmt.Errorf("%q is no name for a mutant", m.name)
	case m.rule == "":
		return fmt.Errorf("%s says no rule", m.name)
	case !strings.HasPrefix(m.test, "./"):
		return fmt.Errorf("%s has no line \"test: ./package -run TestName\"", m.name)
	case len(m.edits) == 0:
		return fmt.Errorf("%s changes nothing", m.name)
	}
	p.all = append(p.all, p.now)
	p.now = nil
	return nil
}
