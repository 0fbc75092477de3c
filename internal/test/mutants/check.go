package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// check returns an error for each mutant that does not fit the code: whose old text is gone,
// whose new one is no Go, or whose test does not exist.
func check(mod *module, all []*mutant) error {
	var bad []error
	tests := map[string][]string{}
	for _, mu := range all {
		if err := checkOne(mod, mu, tests); err != nil {
			bad = append(bad, fmt.Errorf("%s: %s: %w", mu.at, mu.name, err))
		}
	}
	return errors.Join(bad...)
}

func checkOne(mod *module, mu *mutant, tests map[string][]string) error {
	changes, err := mod.changes(mu)
	if err != nil {
		return err
	}
	if _, err := mutatedFiles(changes); err != nil {
		return err
	}
	words := strings.Fields(mu.test)
	if tests[words[0]] == nil {
		if tests[words[0]], err = testNames(filepath.Join(mod.root, words[0])); err != nil {
			return err
		}
	}
	return checkTest(words, tests[words[0]])
}

// checkTest requires that a test has the name that -run gives.
func checkTest(words, names []string) error {
	for i, word := range words {
		if word != "-run" || i+1 == len(words) {
			continue
		}
		// What follows a slash is about subtests, which only a run knows.
		name, _, _ := strings.Cut(words[i+1], "/")
		pattern, err := regexp.Compile(name)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(names, pattern.MatchString) {
			return nil
		}
		return fmt.Errorf("no test in %s is named %s", words[0], words[i+1])
	}
	return nil
}

var testFunction = regexp.MustCompile(`(?m)^func ((?:Test|Example|Fuzz)\w*)\(`)

// testNames lists the tests of the package in a folder.
func testNames(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no tests in %s", dir)
	}
	var names []string
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, match := range testFunction.FindAllSubmatch(src, -1) {
			names = append(names, string(match[1]))
		}
	}
	return names, nil
}
