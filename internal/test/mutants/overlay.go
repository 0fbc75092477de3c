package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Compiling is most of the work, so that one build holds all mutants that it can: each
// changed function has its body once for every mutant, and once as it is. A variable,
// which the environment sets, chooses.
const (
	selectedVar = "selectedMutant"
	selectedEnv = "SELECTED_MUTANT"
	selectFile  = "selected_mutant.go"
)

// mutantFile is what the compiler takes a mutant's body to stand in, so that an error in
// it names the mutant.
const mutantFile = ".mutant"

// A variant is one mutant's body of a function.
type variant struct {
	number int // of the mutant
	name   string
	body   string
}

// A choice is a function with its variants.
type choice struct {
	decl     *declaration
	plain    function
	variants []variant
}

// choices returns what a mutant adds to a build that holds others too, or false if it
// changes anything but the bodies of functions. Labels would be declared twice.
func choices(mu *mutant, number int, changes []change) ([]choice, bool) {
	var all []choice
	for _, c := range changes {
		if slices.ContainsFunc(all, func(o choice) bool { return o.decl == c.decl }) {
			continue
		}
		plain, isFunction := functionIn(c.decl.file.src, c.in)
		src, err := apply(c.decl.file.src, slices.DeleteFunc(slices.Clone(changes), func(o change) bool { return o.decl != c.decl }))
		if err != nil || !isFunction {
			return nil, false
		}
		mutated, ok := functionIn(src, c.in)
		if !ok || mutated.signature != plain.signature || mutated.labels {
			return nil, false
		}
		all = append(all, choice{decl: c.decl, plain: plain, variants: []variant{{number, mu.name, mutated.body}}})
	}
	return all, true
}

// A combination collects the choices of many mutants.
type combination struct {
	mod     *module
	choices map[*declaration]*choice
}

func newCombination(mod *module) *combination {
	return &combination{mod: mod, choices: map[*declaration]*choice{}}
}

func (c *combination) add(all []choice) {
	for _, one := range all {
		if c.choices[one.decl] == nil {
			c.choices[one.decl] = &choice{decl: one.decl, plain: one.plain}
		}
		have := c.choices[one.decl]
		have.variants = append(have.variants, one.variants...)
	}
}

// files returns the files of the combination, by path.
func (c *combination) files() (map[string][]byte, error) {
	var all []change
	files := map[string][]byte{}
	for decl, one := range c.choices {
		all = append(all, change{decl: decl, from: decl.bodyFrom, to: decl.bodyTo, text: []byte(one.text())})
		files[filepath.Join(filepath.Dir(decl.file.path), selectFile)] = selector(decl.file.pkgName)
	}
	mutated, err := mutatedFiles(all)
	if err != nil {
		return nil, err
	}
	maps.Copy(files, mutated)
	return files, nil
}

// text is the body that chooses. With else, so that the compiler misses a return in each
// body for itself.
func (c *choice) text() string {
	var b strings.Builder
	for _, v := range c.variants {
		fmt.Fprintf(&b, "if %s == %d {\n//line %s%s:1\n%s\n} else ", selectedVar, v.number, v.name, mutantFile, v.body)
	}
	fmt.Fprintf(&b, "{\n//line %s:%d\n%s\n}\n", c.decl.file.path, c.plain.line, c.plain.body)
	return b.String()
}

// selector declares the variable. Go initialises it before whatever calls a function that
// reads it.
func selector(pkg string) []byte {
	return fmt.Appendf(nil, `package %s

import (
	"os"
	"strconv"
)

var %s, _ = strconv.Atoi(os.Getenv(%q))
`, pkg, selectedVar, selectedEnv)
}

// inFunction reports whether a compiler's message is about a function's plain text, such as
// a missing return at its end, and so about one of its variants.
func (c *choice) inFunction(message string) bool {
	name := "/" + filepath.Base(c.decl.file.path) + ":"
	_, at, ok := strings.Cut("/"+message, name)
	if !ok {
		return false
	}
	number, _, _ := strings.Cut(at, ":")
	line, err := strconv.Atoi(number)
	last := c.plain.line + strings.Count(c.plain.body, "\n") + 3
	return err == nil && line >= c.plain.line && line <= last
}

// writeOverlay writes files for go build's flag -overlay, and returns the flag's value.
func writeOverlay(dir string, files map[string][]byte) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	replace := map[string]string{}
	for i, path := range slices.Sorted(maps.Keys(files)) {
		replace[path] = filepath.Join(dir, fmt.Sprintf("%d.go", i))
		if err := os.WriteFile(replace[path], files[path], 0o644); err != nil {
			return "", err
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, list, 0o644)
}
